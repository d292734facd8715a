"""An invented clinic: people, consents, campaigns and requests to look at."""
