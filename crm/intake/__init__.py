"""Site forms, submissions, double opt-in."""
