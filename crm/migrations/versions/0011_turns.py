"""The order of stops and letters at the gate."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "barriers",
        sa.Column("turn", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["consent_events.id"], name=op.f("fk_barriers_event_id_consent_events")
        ),
        sa.PrimaryKeyConstraint("turn", name=op.f("pk_barriers")),
        sa.UniqueConstraint("event_id", name=op.f("uq_barriers_event_id")),
    )
    op.add_column("outcomes", sa.Column("turn", sa.BigInteger(), nullable=True))
