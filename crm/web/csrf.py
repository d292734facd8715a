"""The one CSRF protection, here so that views can exempt themselves without a cycle."""

from flask_wtf import CSRFProtect

csrf = CSRFProtect()
"""``@csrf.exempt`` is for routes that take no cookie into account: links in letters, the form."""
