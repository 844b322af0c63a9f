"""The Python API behind the names of `agfnet`: models, results, training, comparison."""
