"""Alembic's entry: runs the migrations on the connection it is given."""

from alembic import context

from crm.db import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=Base.metadata, transaction_per_migration=False
)
with context.begin_transaction():
    context.run_migrations()
