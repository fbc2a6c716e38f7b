"""Heads, one file each: the outputs of all branches -> logits ``(B,)``."""
