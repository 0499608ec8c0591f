"""Alembic's entry point: runs the revisions on the connection passed by `schema.migrate`."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    transactional_ddl=True,
    transaction_per_migration=True,
)
context.run_migrations()
