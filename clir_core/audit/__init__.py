"""What an audit is asked and what it answers."""
