"""The mail servers that take our letters: whose they are, where they stand, which is spoken to."""
