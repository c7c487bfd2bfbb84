"""Schematics: what is frozen, what is trained, and where the gradient goes. ``drawing.py`` is the way in."""
