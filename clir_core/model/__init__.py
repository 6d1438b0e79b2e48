"""Checkpoints and what turns texts into vectors with them."""
