"""What ruins a study, found before training: `agfnet check`."""
