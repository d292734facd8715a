"""Every route that answers without a role, by endpoint name. The whole list; nothing adds to it.

A route in none of these sets needs ``@allow(…)`` on its view, or it is closed to everybody.
"""

STRANGERS = frozenset(
    {
        "static",
        # what the monitoring asks
        "health.healthz",
        "health.readyz",
        "health.metrics",
        # the hosted form and the texts it shows
        "intake.show_form",
        "intake.take_in",
        "intake.text",
        # links in letters: each token carries its own narrow right
        "recipients.unsubscribe",
        "recipients.preferences",
        "recipients.confirm",
        "recipients.appointment",
        # what letters show
        "campaigns.picture",
    }
)
"""Visitors and recipients: no cookie, no script, nothing about who is signed in."""

SIGN_IN = frozenset(
    {
        "security.login",
    }
)
"""The way in: open to strangers, but with a session, a CSRF token and the staff's look.

What Flask-Security is told to add later (recovery, a second factor) is listed when it is.
"""

ANY_STAFF = frozenset(
    {
        "security.logout",
        "security.verify",
        "security.change_password",
    }
)
"""A person's own account, whatever the role. Any other route of Flask-Security stays closed."""
