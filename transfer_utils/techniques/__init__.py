"""The techniques of transfer learning, a file each."""
