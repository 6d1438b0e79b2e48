"""What a person reads of an audit: a page, a table for the terminal, a chart. Computes no figure of its own."""
