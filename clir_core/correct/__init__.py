"""Corrections without training: what makes one language's vectors outrank another's is taken out of stored vectors."""
