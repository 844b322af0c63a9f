"""Published data sets, each turned into a cases table without copying its images."""
