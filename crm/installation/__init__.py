"""Releasing an installation that is held: what the journal remembers first, then the new epoch."""
