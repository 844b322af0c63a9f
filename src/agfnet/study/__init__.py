"""Single runs from training to evaluation, and studies of many runs."""
