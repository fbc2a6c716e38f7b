"""``ctrkit search``: a file per kind of search."""
