"""Whole runs as plain functions: an audit, an alignment, a night, and what of them is registered."""
