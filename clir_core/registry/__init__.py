"""Which checkpoints there are, where they appear, and what was said of them."""
