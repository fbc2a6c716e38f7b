"""Which row is training, validation or test."""
