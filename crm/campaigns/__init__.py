"""Campaigns: compose, check, approve, follow."""
