"""Runs by Alembic: on the connection that `migrate` gives it, inside its transaction."""

from alembic import context

from sms_gateway.store.indexes import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()
