"""People and their addresses."""
