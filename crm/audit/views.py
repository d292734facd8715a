"""Pages of this feature."""

from flask import Blueprint

bp = Blueprint("audit", __name__)
