"""Where and how big a run is: profile, seeds, devices, files, sources, progress bars. It imports no other room."""
