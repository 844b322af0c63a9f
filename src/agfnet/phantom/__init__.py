"""Synthetic cohorts of paired photographs and skin ultrasound whose answer is known.

Research use only: what works here says nothing about patients.
"""

from agfnet.phantom.cohort import make_cohort

__all__ = ["make_cohort"]
