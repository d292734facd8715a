"""Mailings and deliveries, and the engine that dispatches them."""
