"""The report: one self-contained page that a clinician and a statistician can both read."""
