"""Which copy of this installation may send, and which stops are not in its journal yet."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

QUEUE = """
CREATE FUNCTION remember_unjournalled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO unjournalled (event_id)
    SELECT id FROM added WHERE act NOT IN ('asked', 'confirmed');
    RETURN NULL;
END $$;

CREATE TRIGGER to_journal AFTER INSERT ON consent_events REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION remember_unjournalled();

INSERT INTO unjournalled (event_id)
SELECT id FROM consent_events WHERE act NOT IN ('asked', 'confirmed');
"""


def upgrade() -> None:
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.Uuid(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("agreed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_by", sa.Integer(), nullable=True),
        sa.Column("released_because", sa.String(length=300), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_installation_one_row")),
        sa.ForeignKeyConstraint(
            ["released_by"], ["staff.id"], name=op.f("fk_installation_released_by_staff")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
    )
    op.create_table(
        "unjournalled",
        sa.Column("event_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_unjournalled")),
    )
    op.create_table(
        "handed",
        sa.Column("mailing_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("mailing_id", "token", name=op.f("pk_handed")),
    )
    op.execute(QUEUE)
