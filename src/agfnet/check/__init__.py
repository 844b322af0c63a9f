"""`agfnet check`: problems of a cohort, found before training."""
