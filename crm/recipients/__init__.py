"""The public pages of a person: unsubscribe, double opt-in, the archive of texts."""
