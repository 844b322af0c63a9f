"""Runs from start to end, and many of them to one table."""
