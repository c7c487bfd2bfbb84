"""Studies: runs with several seeds, one computed here and now, the others stored. ``study.py`` is the way in."""
