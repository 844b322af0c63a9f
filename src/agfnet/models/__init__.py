"""What the networks are. A name becomes a class in `build`, nowhere else."""
