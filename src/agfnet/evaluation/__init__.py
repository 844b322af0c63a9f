"""What a network is worth: pure functions on a predictions table."""
