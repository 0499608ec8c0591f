"""Alembic's entry: runs the revisions on the connection that `storage.migrate` hands over."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=True,
    transaction_per_migration=True,
)
context.run_migrations()
