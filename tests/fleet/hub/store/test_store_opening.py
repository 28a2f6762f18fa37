"""The database: migrated, durable, honest about faults."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import insert, select

from chain.errors import Faulty
from fleet.hub.store import open_store
from fleet.hub.store.tables import facts, metadata


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path)
    yield opened
    opened.close()


def test_the_migrations_lead_to_exactly_these_tables(store):
    with store.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_commit_is_on_the_disk_and_a_failure_leaves_nothing(store, tmp_path):
    with store.begin() as connection:
        connection.execute(insert(facts).values(name="kept", value="1"))
    with pytest.raises(ZeroDivisionError), store.begin() as connection:
        connection.execute(insert(facts).values(name="lost", value="1"))
        _ = 1 // 0
    again = open_store(tmp_path)
    with again.read() as connection:
        assert connection.execute(select(facts.c.name)).scalars().all() == ["kept"]
    again.close()


@pytest.mark.parametrize("bare", [True, False])
def test_every_connection_syncs_before_it_says_committed(store, bare):
    if bare:
        connection = store.connect()
        found = (
            connection.execute("PRAGMA synchronous").fetchone(),
            connection.execute("PRAGMA journal_mode").fetchone(),
        )
        connection.close()
    else:
        with store.read() as connection:
            run = connection.exec_driver_sql
            found = tuple(run("PRAGMA synchronous").one()), tuple(run("PRAGMA journal_mode").one())
    assert found == ((2,), ("wal",))


def test_only_the_owner_can_read_it(store):
    assert store.path.stat().st_mode & 0o077 == 0


def test_a_file_that_is_no_database_is_told_in_one_sentence(tmp_path):
    (tmp_path / "hub.sqlite").write_bytes(b"this is not a database, it is a text file" * 50)
    with pytest.raises(Faulty) as error:
        open_store(tmp_path)
    assert error.value.code == "home_invalid"


def test_a_full_disk_is_told_in_one_sentence(store):
    with pytest.raises(Faulty) as error, store.begin() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1")
        for number in range(50):
            connection.execute(insert(facts).values(name=f"n{number}", value="x" * 4000))
    assert error.value.code == "disk_full"
