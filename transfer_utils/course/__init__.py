"""The course's own tools, for those who set it up or write it: no lesson imports them."""
