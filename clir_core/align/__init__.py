"""Alignment: fine-tuning that mends an inclination, and corrections that need none."""
