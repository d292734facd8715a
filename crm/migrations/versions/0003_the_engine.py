"""Windows of intents, sums of leases, and what a mailing may be told.

Stop the workers before this step: a sender of the version before writes an intent for each letter,
which is a table that ends here.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "clinic",
        sa.Column("bounce_domain", sa.String(length=190), nullable=False, server_default=""),
    )
    _mailings()
    _leases()
    _ranges_and_retries()
    _windows()
    _outcomes()


def _mailings() -> None:
    op.alter_column(
        "mailings",
        "held_because",
        type_=sa.String(length=400),
        existing_type=sa.String(length=200),
    )
    op.add_column(
        "mailings",
        sa.Column("key", sa.Uuid(), nullable=False, server_default=sa.func.gen_random_uuid()),
    )
    op.add_column("mailings", sa.Column("per_minute", sa.Integer(), nullable=True))
    op.add_column(
        "mailings", sa.Column("uncapped", sa.Boolean(), nullable=False, server_default="false")
    )
    op.add_column("mailings", sa.Column("probe_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "mailings", sa.Column("is_probed", sa.Boolean(), nullable=False, server_default="false")
    )
    op.add_column("mailings", sa.Column("resends_id", sa.BigInteger(), nullable=True))
    op.add_column(
        "mailings", sa.Column("certificate", sa.dialects.postgresql.JSONB(), nullable=True)
    )
    op.create_foreign_key(
        op.f("fk_mailings_resends_id_mailings"), "mailings", "mailings", ["resends_id"], ["id"]
    )


def _leases() -> None:
    op.add_column(
        "leases",
        sa.Column("provider", sa.String(length=16), nullable=False, server_default="other"),
    )
    for ended in ("accepted", "withheld", "failed", "uncertain", "bounced"):
        op.add_column("leases", sa.Column(ended, sa.Integer(), nullable=False, server_default="0"))
    op.create_index(op.f("ix_leases_mailing_id"), "leases", ["mailing_id"])
    # The sums of what ended before this step, in a lease of their own for each mailing.
    op.execute("""
        INSERT INTO leases (lane, mailing_id, state, beats, windows, taken_at,
                            accepted, withheld, failed, uncertain)
        SELECT m.lane, m.id, 'ended', 0, 0, m.created_at,
               count(*) FILTER (WHERE o.state = 'accepted'),
               count(*) FILTER (WHERE o.state = 'withheld'),
               count(*) FILTER (WHERE o.state = 'failed'),
               count(*) FILTER (WHERE o.state = 'uncertain')
        FROM mailings m JOIN outcomes o ON o.mailing_id = m.id GROUP BY m.id
    """)


def _ranges_and_retries() -> None:
    op.add_column("ranges", sa.Column("waiting", sa.Integer(), nullable=False, server_default="0"))
    op.execute("""
        UPDATE ranges SET waiting = (
            SELECT count(*) FROM deliveries d
            WHERE d.mailing_id = ranges.mailing_id AND d.id BETWEEN ranges.next_id AND ranges.high
        ) WHERE NOT done
    """)
    op.drop_index("ix_ranges_free", "ranges")
    op.create_index(
        "ix_ranges_free",
        "ranges",
        ["mailing_id", "provider", "id"],
        postgresql_where=sa.text("fence IS NULL AND NOT done"),
    )
    op.add_column(
        "retries",
        sa.Column("provider", sa.String(length=16), nullable=False, server_default="other"),
    )
    op.drop_index("ix_retries_due", "retries")
    op.create_index(
        "ix_retries_due",
        "retries",
        ["mailing_id", "provider", "due_at", "delivery_id"],
        postgresql_where=sa.text("fence IS NULL"),
    )


def _windows() -> None:
    op.create_table(
        "windows",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("mailing_id", sa.BigInteger(), nullable=False),
        sa.Column("delivery_ids", sa.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("tries", sa.ARRAY(sa.SmallInteger()), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["fence"], ["leases.fence"], name=op.f("fk_windows_fence_leases")),
        sa.ForeignKeyConstraint(
            ["mailing_id"], ["mailings.id"], name=op.f("fk_windows_mailing_id_mailings")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_windows")),
    )
    op.create_index(op.f("ix_windows_fence"), "windows", ["fence"])
    op.create_index(op.f("ix_windows_mailing_id"), "windows", ["mailing_id"])
    op.execute("""
        INSERT INTO windows (fence, mailing_id, delivery_ids, tries, at)
        SELECT i.fence, i.mailing_id, array_agg(i.delivery_id), array_agg(i.tries), max(i.at)
        FROM intents i
        WHERE NOT EXISTS (SELECT 1 FROM outcomes o WHERE o.delivery_id = i.delivery_id)
          AND NOT EXISTS (SELECT 1 FROM retries r WHERE r.delivery_id = i.delivery_id)
          AND NOT EXISTS (SELECT 1 FROM intents later
                          WHERE later.delivery_id = i.delivery_id AND later.fence > i.fence)
        GROUP BY i.fence, i.mailing_id
    """)
    op.drop_table("intents")


def _outcomes() -> None:
    op.drop_constraint(op.f("fk_outcomes_delivery_id_deliveries"), "outcomes")
    op.drop_constraint(op.f("fk_outcomes_mailing_id_mailings"), "outcomes")
    op.drop_index(op.f("ix_outcomes_mailing_id_state"), "outcomes")
    op.create_index(
        "ix_outcomes_not_accepted",
        "outcomes",
        ["mailing_id", "state", "delivery_id"],
        postgresql_where=sa.text("state <> 'accepted'"),
    )
    op.create_index(op.f("ix_outcomes_at"), "outcomes", ["at"])
    op.add_column("outcomes", sa.Column("enhanced", sa.String(length=12), nullable=True))
    op.add_column("outcomes", sa.Column("refusal", sa.String(length=24), nullable=True))
