"""Pictures of lesson 13: what a teacher says, who recognises a digit never seen, and what softness and images gain."""
