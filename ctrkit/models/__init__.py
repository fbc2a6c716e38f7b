"""Assemble a module from a layout and a configuration; named presets."""
