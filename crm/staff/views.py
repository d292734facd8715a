"""Pages of this feature."""

from flask import Blueprint

bp = Blueprint("staff", __name__)
