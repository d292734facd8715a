"""Pages of this feature."""

from flask import Blueprint

bp = Blueprint("appointments", __name__)
