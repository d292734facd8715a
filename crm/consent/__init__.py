"""Purposes, consent texts, the ledger, standing, suppression, tokens, the gate."""
