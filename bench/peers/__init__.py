"""Other designs, for comparison."""
