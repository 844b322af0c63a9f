"""Metrics as pure functions of arrays: they read and write no file."""
