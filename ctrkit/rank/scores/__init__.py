"""What features are sorted by: a class per score, each in a file of its own."""
