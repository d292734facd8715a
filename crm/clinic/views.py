"""Pages of this feature."""

from flask import Blueprint

bp = Blueprint("clinic", __name__)
