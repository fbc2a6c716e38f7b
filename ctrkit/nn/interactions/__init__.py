"""Interaction layers, one file each: ``(B, F, D) -> (B, O)`` with attribute ``out_dim``."""
