"""Compute attribution maps, attention and contributions. Nothing here writes a file."""
