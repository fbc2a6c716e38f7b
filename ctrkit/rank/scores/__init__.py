"""What features are sorted by: a class per score, each in its own file."""
