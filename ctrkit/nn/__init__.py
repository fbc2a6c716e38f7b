"""Layers on tensors ``(B, F, D)``; they know integers, never columns."""
