"""Prediction with a trained network: no training code; torch only in `torch_backend`."""
