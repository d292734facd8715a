"""Vezhlivo: a consent-first mini-CRM for clinics that writes only to those who want it."""
