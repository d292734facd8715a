"""Relays that do not answer; a provider's last words; what sends a mailing's letters again."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "relay_absences",
        sa.Column("relay", sa.String(length=262), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("because", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("relay", name=op.f("pk_relay_absences")),
    )
    op.add_column("refusal_counts", sa.Column("reply", sa.String(length=200), nullable=True))
    op.create_index(
        op.f("ix_mailings_resends_id"),
        "mailings",
        ["resends_id"],
        postgresql_where=sa.text("resends_id IS NOT NULL"),
    )
