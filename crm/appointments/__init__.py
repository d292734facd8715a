"""Requests from the forms, and the appointments they become."""
