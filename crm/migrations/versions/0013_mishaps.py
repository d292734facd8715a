"""What befell senders and was overcome by itself, for people to read."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "mishap_counts",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("on", sa.Date(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("longest_s", sa.Float(), nullable=False),
        sa.Column("uncertain", sa.Integer(), nullable=False),
        sa.Column("queued_again", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "on", name=op.f("pk_mishap_counts")),
    )
