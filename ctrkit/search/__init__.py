"""Searches: a configuration and data in, a smaller or better configuration out."""
