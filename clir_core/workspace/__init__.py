"""Where things are kept: steps, locks, files that appear whole."""
