"""The indexer as users run it: killed at any moment, twice at once, and without its database for a while."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections.abc import Callable
from signal import SIGQUIT

import pytest
from psycopg import sql

from tests.chain.history.conftest import Past
from tests.chain.history.test_history_indexer import index_to, rows
from tests.postgresql import Cluster, cluster


def started(past: Past, place: str, *options: str) -> subprocess.Popen[bytes]:
    command = ["node", "index", "run", "--rpc", past.node.url, "--db", place, "--json", *options]
    return subprocess.Popen(
        [sys.executable, "-m", "dccn", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0
    )


def next_event(process: subprocess.Popen[bytes]) -> dict[str, int]:
    assert process.stdout is not None
    told: dict[str, int] = json.loads(process.stdout.readline())
    return told


def test_sigkill_at_random_moments_leaves_an_index_that_goes_on(past: Past, new_place: Callable[[], str]) -> None:
    whole, killed = new_place(), new_place()
    index_to(whole, past.node.url, past.height)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    index_to(killed, past.node.url, 3, batch_blocks=3)
    for _ in range(4):
        with started(past, killed) as process:
            # While it starts, reads, writes or waits: an instant that nothing relies on.
            threading.Event().wait(moments.uniform(0.2, 1.5))
            process.kill()
    index_to(killed, past.node.url, past.height)
    assert rows(whole, past.height) == rows(killed, past.height)


def test_two_processes_on_one_index_do_not_double_it(past: Past, new_place: Callable[[], str]) -> None:
    whole, shared = new_place(), new_place()
    index_to(whole, past.node.url, past.height)
    both = [started(past, shared, "--once") for _ in range(2)]
    assert [(process.wait(60), process.communicate()[1]) for process in both] == [(0, b"")] * 2
    index_to(shared, past.node.url, past.height)
    assert rows(whole, past.height) == rows(shared, past.height)


def test_an_index_whose_database_went_away_says_so_and_goes_on_with_it(past: Past) -> None:
    with cluster() as own:
        place = own.create("index")
        with started(past, place) as process:
            before = next_event(process)["height"]
            own.stop(SIGQUIT)
            assert process.stderr is not None
            said = process.stderr.readline().decode()
            assert "dccn: " in said and "again in" in said and "Traceback" not in said
            own.start()
            while next_event(process)["height"] <= before:
                pass
            process.terminate()
            assert process.wait(30) == 0
        height = past.node.rpc.status().height - 1
        index_to(place, past.node.url, height)
        assert [row[0] for row in rows(place, height)["blocks"]] == list(range(1, height + 1))


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("postgresql://nobody:SECRET@/nowhere?host=/nonexistent", "index_unreachable"),
        ("postgresql://nobody:SECRET@127.0.0.1:1/nowhere", "index_unreachable"),
        ("mysql://nobody:SECRET@localhost/x", "usage"),
        ("postgresql://[::1:SECRET/x", "usage"),
        ("postgresql://nobody:SECRET@host:port/x", "usage"),
        ("postgresql+asyncpg://nobody:SECRET@/x", "usage"),
    ],
)
def test_a_database_that_is_none_is_told_in_a_sentence_without_its_password(past: Past, url: str, code: str) -> None:
    process = started(past, url)
    _, error = process.communicate(timeout=60)
    assert process.returncode in (2, 3) and code.encode() in error
    assert b"SECRET" not in error and b"Traceback" not in error


def test_a_reader_of_the_database_needs_the_right_to_read_only(past: Past, postgresql: Cluster) -> None:
    place = postgresql.create("read_only")
    reader = postgresql.url("read_only", "reader")
    postgresql.execute(sql.SQL("CREATE ROLE reader LOGIN"))
    history = [sys.executable, "-m", "dccn", "query", "history", "--height", "2", "--json", "--db", reader]
    assert b"holds no index" in subprocess.run(history, capture_output=True, check=False).stderr
    index_to(place, past.node.url, 3)
    refused = subprocess.run(history, capture_output=True, check=False)
    assert b"index_invalid" in refused.stderr and b"permission denied" in refused.stderr
    postgresql.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader"), "read_only")
    found = json.loads(subprocess.run(history, capture_output=True, check=True).stdout)
    assert found["indexed"][0] == 1 and found["happenings"]
    assert b"permission denied" in started(past, reader).communicate(timeout=60)[1]
