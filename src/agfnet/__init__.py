"""Skin lesion diagnosis from a clinical photograph and skin ultrasound. Research use only."""

__version__ = "0.2.0"

NOTICE = "Research use only, not a medical device."
