"""What the running application was built with. For the edges only: views, tasks, commands."""

from typing import cast

from flask import current_app

from crm.config import Settings


def settings() -> Settings:
    """Return the operator's settings."""
    return cast("Settings", current_app.extensions["crm.settings"])
