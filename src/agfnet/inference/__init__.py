"""Using a trained network. No training code; torch only inside `torch_backend`."""
