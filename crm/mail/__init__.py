"""Bytes and sockets: addresses, headers, encodings, SMTP. No database, no clock, no settings."""
