"""What every function shares. Nothing here imports from `functions`."""
