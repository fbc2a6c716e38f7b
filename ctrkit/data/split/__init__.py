"""Splits of rows into train, validation and test: one class in one file each."""
