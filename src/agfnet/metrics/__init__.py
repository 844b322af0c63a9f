"""Metrics as pure functions of arrays, with intervals and tests that resample patients."""
