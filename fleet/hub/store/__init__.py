"""The hub's database: tables, migrations, and how it is opened."""

from fleet.hub.store.opening import Store, open_store

__all__ = ["Store", "open_store"]
