"""A stranger with a bond asks for a leaf, on a real node: the hub shows it, earns the bond, and its batch is paid."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from chain.crypto.address import address
from chain.crypto.keys import PrivateKey
from chain.errors import REGISTRY
from chain.light.inclusion import verified_state
from chain.light.rpc import RpcClient
from chain.wire import transactions
from chain.wire.disputes import proof_challenge
from chain.wire.state import SUPPLY_KEY, Account, EpochSummary, Supply, account_key, epoch_key, required_fee
from chain.wire.transactions import ANKR
from fleet.hub.actions.events import HubEvent, LeafShown
from fleet.hub.identity.membership import Identity
from fleet.hub.services import HubServices
from tests.fleet.hub.circle import SWIFT, Miner, broker_of, hub_of, is_registered, node_of, now_ms, until

WITNESS = PrivateKey.from_secret("ed25519", b"w" * 32)
GRANTS = ((address(WITNESS.public), 10_000 * ANKR),)
PAID_SOON = replace(SWIFT, challenge_window_epochs=2, challenge_response_s=3)
MAX_ASKED = 64
TIME_TO_FALL = replace(SWIFT, challenge_window_epochs=10, challenge_response_s=18)


class Stranger:
    """Somebody with a bond who may ask for any leaf of any batch."""

    def __init__(self, node: str, miner: Miner, hub: bytes) -> None:
        self._rpc, self._miner, self._hub, self._nonce = RpcClient(node), miner, hub, 0

    def ask(self, reward_epoch: int, index: int) -> str:
        """The code with which the ledger refuses, or ""."""
        content = proof_challenge(reward_epoch, self._hub, index)
        fee = required_fee(400, SWIFT.by_name)
        signed = transactions.sign(WITNESS, self._miner.chain_id, content, nonce=self._nonce, fee=fee)
        code = self._rpc.broadcast_tx_sync(signed.encode()).code
        self._nonce += code == 0
        return next((name for name, known in REGISTRY.items() if known.number == code), "")


def work_until(miner: Miner, condition: Callable[[], object], what: str) -> None:
    def checked() -> object:
        met = condition()
        if not met:
            miner.work()
        return met

    until(checked, what)


def rows(services_home: Path, sql: str, *values: object) -> list[tuple[object, ...]]:
    """What the hub's database says, whoever runs the hub."""
    with contextlib.closing(sqlite3.connect(services_home / "hub.sqlite", timeout=10)) as connection:
        return connection.execute(sql, values).fetchall()


def start_work(home: Path, identity: Identity, services: HubServices) -> tuple[Miner, tuple[int, int]]:
    """A device at work, and (epoch, leaves) of a batch in a block whose work was proven."""
    miner = Miner(home, identity, services)
    miner.register()
    until(lambda: is_registered(services, miner), "the registration")
    miner.connect(services._endpoint.port)
    newest = "SELECT reward_epoch, count FROM batches WHERE height IS NOT NULL AND sum != '0' ORDER BY 1 DESC LIMIT 1"
    work_until(miner, lambda: rows(home, newest), "a batch with work")
    ((epoch, count),) = rows(home, newest)
    assert isinstance(epoch, int) and isinstance(count, int)
    return miner, (epoch, count)


def balance(miner: Miner, owner: bytes, height: int = 0) -> int:
    value, _ = verified_state(miner.light, account_key(owner), height)
    return 0 if value is None else Account.decode(value).balance_atto


def check_bonds(miner: Miner, hub: bytes, height: int, count: int) -> None:
    """The block of an answer paid bonds of 100 ANKR to the hub, and nothing waits for an answer any more."""
    until(lambda: miner.light.update().height > height, "the header after the answer")
    assert balance(miner, hub, height) - balance(miner, hub, height - 1) > 50 * ANKR
    assert balance(miner, address(WITNESS.public)) < (10_000 - 100 * count) * ANKR
    supply, _ = verified_state(miner.light, SUPPLY_KEY)
    assert supply is not None and Supply.decode(supply).escrow_atto == 0


def test_a_stranger_asks_for_all_leaves_the_hub_shows_them_and_the_batch_is_paid(tmp_path: Path) -> None:
    identity = Identity.open(tmp_path, "home", now_ms)
    hub, events = identity.keys.address, list[HubEvent]()
    with (
        node_of(tmp_path / "node", hub, PAID_SOON, GRANTS) as node,
        broker_of(tmp_path, identity) as endpoint,
        hub_of(tmp_path, endpoint, node) as services,
    ):
        services._desk.bus.listen(events.append)
        miner, (epoch, count) = start_work(tmp_path, identity, services)
        try:
            stranger = Stranger(node, miner, hub)
            assert stranger.ask(epoch, count) == "malformed"
            assert stranger.ask(epoch + 50, 0) == "tx_unknown_batch"
            wanted = set(range(min(count, MAX_ASKED)))
            assert {stranger.ask(epoch, index) for index in wanted} == {""}
            work_until(
                miner, lambda: len([e for e in events if isinstance(e, LeafShown)]) == len(wanted), "the answers"
            )
            shown = [event for event in events if isinstance(event, LeafShown)]
            assert {(event.reward_epoch, event.index) for event in shown} == {(epoch, index) for index in wanted}
            assert [event.shown for event in shown] == list(range(1, len(wanted) + 1))
            check_bonds(miner, hub, shown[-1].height, len(wanted))
            key = epoch_key(epoch + 1 + PAID_SOON.challenge_window_epochs)
            work_until(miner, lambda: verified_state(miner.light, key)[0], "the settlement of the batch")
            summary = EpochSummary.decode(verified_state(miner.light, key)[0] or b"")
            assert summary.settled_epoch == epoch and [batch.hub for batch in summary.batches] == [hub]
            assert summary.providers_atto > 0
        finally:
            miner.close()


def test_a_hub_that_was_away_and_is_killed_while_it_answers_still_answers_once(tmp_path: Path) -> None:
    identity = Identity.open(tmp_path, "home", now_ms)
    hub, program = (
        identity.keys.address,
        "import sys; from pathlib import Path; from tests.fleet.hub.circle import run_hub;",
    )
    program += "run_hub(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])"
    with node_of(tmp_path / "node", hub, TIME_TO_FALL, GRANTS) as node, broker_of(tmp_path, identity) as endpoint:
        with hub_of(tmp_path, endpoint, node) as services:
            miner, (epoch, _) = start_work(tmp_path, identity, services)
            miner.close()
        asked = "SELECT state FROM leaf_challenges"
        assert Stranger(node, miner, hub).ask(epoch, 0) == ""
        with subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(endpoint.port), node]) as process:
            try:
                until(lambda: rows(tmp_path, asked), "the challenge in the store of a hub that was away")
            finally:
                process.kill()
        with hub_of(tmp_path, endpoint, node):
            until(lambda: rows(tmp_path, asked) == [("shown",)], "the answer")
            ((height,),) = rows(tmp_path, "SELECT height FROM outbox WHERE kind = 'proof_response'")
            assert isinstance(height, int)
            check_bonds(miner, hub, height, 1)
