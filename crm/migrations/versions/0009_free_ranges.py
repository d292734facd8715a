"""The next free range by what no primary key can put in order: see ``delivery.lease``."""

from alembic import op
from sqlalchemy import text

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_ranges_free", "ranges")
    op.create_index(
        "ix_ranges_free",
        "ranges",
        ["mailing_id", "provider", "low"],
        postgresql_where=text("fence IS NULL AND NOT done"),
    )
