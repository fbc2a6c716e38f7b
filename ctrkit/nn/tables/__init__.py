"""Embedding tables, one kind per file: integer codes -> vectors ``(B, F, D)``."""
