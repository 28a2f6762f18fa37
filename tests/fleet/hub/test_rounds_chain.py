"""The hub's whole side of the circle on a real node and a real broker: registered, proven, batched, included, paid."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from chain.crypto import merkle_sum
from chain.crypto.address import address
from chain.light.inclusion import verified_tx
from chain.wire import transactions
from chain.wire.bodies import read_proof_batch
from fleet.hub.actions.events import PogChecked, RewardsPaid
from fleet.hub.identity.membership import Identity
from fleet.hub.ports import Inclusion
from fleet.hub.services import HubServices
from tests.fleet.hub.circle import SWIFT, WAIT_S, Miner, broker_of, hub_of, is_registered, node_of, now_ms, until


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    return Identity.open(tmp_path, "home", now_ms)


@pytest.fixture
def services(tmp_path: Path, identity: Identity) -> Iterator[HubServices]:
    with (
        node_of(tmp_path / "node", identity.keys.address, SWIFT) as node,
        broker_of(tmp_path, identity) as endpoint,
        hub_of(tmp_path, endpoint, node) as services,
    ):
        yield services


def test_a_device_is_registered_proven_and_paid(tmp_path: Path, identity: Identity, services: HubServices) -> None:
    miner = Miner(tmp_path, identity, services)
    paid = Event()
    services._desk.bus.listen(lambda event: paid.set() if isinstance(event, RewardsPaid) else None)
    checked: list[PogChecked] = []
    services._desk.bus.listen(lambda event: checked.append(event) if isinstance(event, PogChecked) else None)
    miner.register()
    until(lambda: is_registered(services, miner), "the registration")
    miner.connect(services._endpoint.port)
    try:
        deadline = time.monotonic() + WAIT_S
        while not paid.wait(SWIFT.record_interval_ms / 1_000):
            assert time.monotonic() < deadline, "no reward"
            miner.work()
        assert checked and all(event.ok and event.operations_per_s for event in checked), checked
        until(lambda: services.inclusion(miner.topic, miner.chain, 0), "an inclusion")
        check_inclusion(miner, services.inclusion(miner.topic, miner.chain, 0))
        assert miner.received >= 0
        assert services.chain.view().supply == "10000000000"
        assert refusals(services) == []
    finally:
        miner.close()


def refusals(services: HubServices) -> list[tuple[str, int]]:
    with contextlib.closing(services._desk.store.connect()) as connection:
        return connection.execute("SELECT code, detail FROM refusal_log").fetchall()


def check_inclusion(miner: Miner, inclusion: Inclusion | None) -> None:
    """Leaf → root → transaction → data_hash, all by the miner's own light client."""
    assert inclusion is not None and inclusion.record == miner.raw[0]
    leaf = merkle_sum.Leaf(inclusion.leaf_sum, inclusion.record)
    place = (inclusion.index, inclusion.count, inclusion.path)
    assert merkle_sum.verify(inclusion.root, inclusion.total, leaf, *place)
    found = verified_tx(miner.light, inclusion.tx_hash)
    assert found is not None and found.height == inclusion.height
    batch = read_proof_batch(transactions.decode(found.tx).body)
    assert (batch.root, batch.sum, batch.count) == (inclusion.root, inclusion.total, inclusion.count)
    assert batch.entries[0].owner == address(miner.owner.public)
