"""Flags on features: a class per flag, each in its own file."""
