"""Runs by Alembic: on the connection that `migrate` gives it, and inside its transaction if it has
one. Otherwise each migration is a transaction of its own."""

from alembic import context

from sms_gateway.store.indexes import is_compared, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_object=is_compared,
    render_as_batch=True,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
