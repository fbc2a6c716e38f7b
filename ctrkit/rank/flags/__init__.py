"""Flags on features: a class per flag, each in a file of its own."""
