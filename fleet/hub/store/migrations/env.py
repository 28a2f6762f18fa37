"""Alembic runs this file; the connection comes from `open_store`."""

from alembic import context

from fleet.hub.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
