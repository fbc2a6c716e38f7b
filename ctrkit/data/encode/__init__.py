"""Columns to integer codes: counts, the frozen encoder, crosses, pruning."""
