"""Robustness to corrupted, missing and mismatched images, and the focus of the attributions."""
