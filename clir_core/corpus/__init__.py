"""The corpus: its tables, its texts, their languages."""
