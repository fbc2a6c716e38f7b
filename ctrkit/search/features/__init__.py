"""``search features`` (OptFS): which feature values earn their embedding row."""
