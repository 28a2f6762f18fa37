"""A chain with a past, behind the real application: one good transaction of every type can follow on it.

It has operators with stake, devices, three hubs (one of which reported a lie), deals, a treasury, an open challenge,
and guardians who opened the bridge.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from chain.application.abci import (
    BlockIDFlag,
    CommitInfo,
    ExecTxResult,
    RequestCheckTx,
    RequestCommit,
    RequestFinalizeBlock,
    RequestInitChain,
    RequestProcessProposal,
    RequestQuery,
    VoteInfo,
)
from chain.application.app import Application
from chain.application.store import StateStore
from chain.crypto import merkle_sum, vrf
from chain.crypto.address import device_id, encode
from chain.ledger.genesis import Genesis, build_demo_app_state
from chain.ledger.machine import BlockInput
from chain.ledger.parameters import Parameters
from chain.proofs.batch import Batch, BatchLeaf, build_batch, share_out
from chain.wire import bridge, deals, kinds, payments, staking, vesting
from chain.wire.bodies import device_register, device_register_bytes, device_revoke, pog_commit, proof_batch, transfer
from chain.wire.data_centers import data_center_register, data_center_revoke
from chain.wire.disputes import NOT_A_RECORD, LeafProof, fraud_proof, proof_challenge, proof_response
from chain.wire.governance import parameter_change, role, upgrade
from chain.wire.kinds import Content
from chain.wire.state import POG_CHALLENGE_KEY, PogChallenge
from chain.wire.transactions import ANKR, Transaction
from tests.chain.ledger.lives import signed_record, two_records, two_votes
from tests.chain.ledger.world import CHAIN, GENESIS_NS, World, account, key, perfect

PEOPLE = ("alice", "bob", "carol", "dave", "mallory", "founder")
HUBS = ("second hub", "false hub")
WORK = 20_000


@dataclass(frozen=True, slots=True)
class Good:
    """A transaction that the ledger takes; `refusal` where it can only be well formed."""

    sender: str
    content: Content
    refusal: str = ""


class Committed:
    """The application's committed state, read through its queries."""

    def __init__(self, app: Application) -> None:
        self._app = app

    def get(self, key: bytes) -> bytes | None:
        return self._app.query(RequestQuery("/state", key, self._app.height)).value or None


class BusyChain(World):
    """Blocks go through FinalizeBlock and Commit; `check` and `execute` try a transaction and change nothing."""

    def __init__(self, home: Path) -> None:
        self.parameters = Parameters.demo()
        self.operators = [f"operator-{number}" for number in range(1, 5)]
        self.hub = key("hub")
        rows = [
            (name, key(name).public, key(f"{name} consensus").public.x, vrf.public_key(vrf_secret(name)))
            for name in self.operators
        ]
        grants = [(account(name), 300_000 * ANKR) for name in (*PEOPLE, *HUBS)]
        app_state = build_demo_app_state(account("hub"), rows, self.parameters, grants)
        app_state["hubs"] += [{"name": name, "address": encode(account(name))} for name in HUBS]
        team = next(share for share in app_state["allocation"] if share["share"] == "team")
        times = {"start_s": 0, "cliff_s": 1, "duration_s": 400}
        team["vesting"] = [{"address": encode(account("founder")), "amount_atto": str(1_000 * ANKR), **times}]
        self.genesis = Genesis.parse(CHAIN, GENESIS_NS, app_state)
        self.store = StateStore(home)
        self.app = Application(self.store, vrf_keys={self.validator(name): vrf_secret(name) for name in self.operators})
        self.app.init_chain(RequestInitChain(GENESIS_NS, CHAIN, (), json.dumps(app_state).encode()))
        self.state = Committed(self.app)  # type: ignore[assignment]
        self.height, self.time_ns = 0, GENESIS_NS
        self.results: tuple[ExecTxResult, ...] = ()
        self.batch_leaves, self.false_leaves = _past(self)

    def run(self, block: BlockInput) -> None:  # type: ignore[override]
        """Decide the block; all of its transactions must be good."""
        self.results = self.app.finalize_block(self.request(block)).tx_results[1:]
        self.app.commit(RequestCommit())
        self.height, self.time_ns = block.height, block.time_ns

    def settle(self, *transactions: Transaction) -> None:
        """The next block, in which nothing may be refused."""
        self.block(*transactions)
        assert [result.log for result in self.results if result.code] == []

    def check(self, tx: bytes) -> int:
        """CheckTx's code."""
        return self.app.check_tx(RequestCheckTx(tx)).code

    def execute(self, *txs: bytes) -> tuple[list[int], bytes]:
        """The codes in a block that nobody checked before, and the app hash after it; the block is then forgotten."""
        answer = self.app.finalize_block(self.request(self.block_input(txs)))
        self.app.discard()
        return [result.code for result in answer.tx_results[1:]], answer.app_hash

    def is_proposable(self, tx: bytes) -> bool:
        """Whether an honest validator votes for a block with this transaction."""
        r = self.request(self.block_input([tx]))
        fields = (r.txs, r.decided_last_commit, r.hash, r.height, r.time_ns, r.proposer_address)
        return self.app.process_proposal(RequestProcessProposal(*fields)).accepted

    def request(self, block: BlockInput) -> RequestFinalizeBlock:
        secret = next(vrf_secret(name) for name in self.operators if self.validator(name) == block.proposer)
        beacon = self.app._beacons.prove(secret, block.height)
        votes = tuple(VoteInfo(validator, 1, BlockIDFlag(flag)) for validator, flag in sorted(block.precommits))
        digest = sha256(b"%d" % block.height).digest()
        txs = (beacon, *block.transactions)
        return RequestFinalizeBlock(txs, CommitInfo(0, votes), digest, block.height, block.time_ns, block.proposer)

    def shown(self, leaves: Batch, number: int) -> LeafProof:
        inclusion = leaves.inclusion(number)
        return LeafProof(number, inclusion.leaf_sum, inclusion.path, leaves.leaves[number].raw)

    def good(self) -> dict[int, Good]:
        """One transaction of every type but 0, which is the proposer's."""
        return {kind: make(self) for kind, make in _GOOD.items()}


def vrf_secret(name: str) -> bytes:
    return key(f"{name} vrf").secret


def keys_of(name: str, number: int) -> staking.ProducerKeys:
    return staking.prove_keys(CHAIN, account(name), key(f"{name} c{number}"), key(f"{name} v{number}").secret)


OPEN_DEAL, CLOSED_DEAL = (deals.deal_id(account("alice"), nonce) for nonce in (2, 3))
TREASURY = payments.multisig_address(account("alice"), 4)
GUARDIANS = [account(name) for name in ("alice", "bob", "carol")]
BURN = bridge.Statement(bridge.ERC20, bytes(32), account("dave"), ANKR)
TERMS = deals.DealOpen(account("carol"), account("dave"), account("hub"), 100 * ANKR, 100, bytes(32))


def _past(world: BusyChain) -> tuple[Batch, Batch]:
    """Everything that good transactions refer to; ends in the first block of reward epoch 1."""
    s = world.sign
    world.settle()
    funds = [s("hub", transfer(account(name), 1_000 * ANKR), ahead=n) for n, name in enumerate(world.operators)]
    world.settle(*funds)
    world.settle(*(s(name, bridge.bridge_guardians(GUARDIANS, 2)) for name in world.operators[:3]))
    world.settle(world.register("alice", "box"), world.register("carol", "box-2"))
    stake = staking.bond(200_000 * ANKR, staking.Registration("alice", keys_of("alice", 0)))
    members = payments.multisig_create([account("alice"), account("bob")], 2, 10 * ANKR)
    contents = [stake, deals.deal_open(TERMS), deals.deal_open(TERMS), members, transfer(TREASURY, 100 * ANKR)]
    world.settle(*(s("alice", content, ahead=n) for n, content in enumerate(contents)))
    spend = payments.multisig_spend(TREASURY, [(account("carol"), 50 * ANKR)])
    used = {OPEN_DEAL: 10 * ANKR, CLOSED_DEAL: 20 * ANKR}
    world.settle(
        s("alice", spend),
        s("bob", data_center_register("bob's", "eu", bytes(32))),
        s("hub", deals.metering_batch(0, bytes(32), used)),
        s("hub", deals.deal_settle(CLOSED_DEAL, deals.DONE), ahead=1),
    )
    world.next_epoch()
    box = device_id(key("box").public)
    records = [signed_record("box", seq, seq).record for seq in range(5)]
    shares = share_out(WORK, len(records))
    honest = build_batch([BatchLeaf(box, b"c" * 16, seq, shares[seq], raw) for seq, raw in enumerate(records)])
    lie = BatchLeaf(box, b"c" * 16, 0, WORK, b"nothing at all")
    false = Batch((lie,), *merkle_sum.root([merkle_sum.Leaf(lie.work, lie.raw)]))
    for hub, batch in (("hub", honest), ("false hub", false)):
        world.settle(s(hub, proof_batch(batch.proof_batch(account(hub), 0, [perfect("alice", WORK)]))))
    world.settle(s("mallory", proof_challenge(0, account("hub"), 1)))
    return honest, false


def _new_device(world: BusyChain) -> Content:
    device = key("new box")
    return device_register(device.public, device.sign(device_register_bytes(CHAIN, account("alice"), device.public)))


def _newest_challenge(world: BusyChain) -> int:
    found = world.state.get(POG_CHALLENGE_KEY)
    assert found is not None
    return PogChallenge.decode(found).height


def _report(world: BusyChain) -> Content:
    batch = build_batch(list(world.batch_leaves.leaves))
    return proof_batch(batch.proof_batch(account("second hub"), 0, [perfect("alice", WORK), perfect("carol", 0)]))


_GOOD: dict[int, Callable[[BusyChain], Good]] = {
    kinds.TRANSFER: lambda w: Good("alice", transfer(account("bob"), ANKR)),
    kinds.MULTI_SEND: lambda w: Good("alice", payments.multi_send([(account("bob"), ANKR), (account("dave"), 0)])),
    kinds.BOND: lambda w: Good("dave", staking.bond(ANKR, staking.Registration("dave", keys_of("dave", 0)))),
    kinds.UNBOND: lambda w: Good("alice", staking.unbond(ANKR)),
    kinds.ADD_KEY: lambda w: Good("alice", staking.add_key(keys_of("alice", 1))),
    kinds.ROTATE_KEY: lambda w: Good("alice", staking.rotate_key(0, keys_of("alice", 2))),
    kinds.UNJAIL: lambda w: Good("alice", staking.unjail(), "tx_jailed"),
    kinds.DATA_CENTER_REGISTER: lambda w: Good("alice", data_center_register("alice's", "eu", bytes(32))),
    kinds.DATA_CENTER_REVOKE: lambda w: Good("bob", data_center_revoke()),
    kinds.DEVICE_REGISTER: lambda w: Good("alice", _new_device(w)),
    kinds.DEVICE_REVOKE: lambda w: Good("carol", device_revoke(device_id(key("box-2").public))),
    kinds.PROOF_BATCH: lambda w: Good("second hub", _report(w)),
    kinds.PROOF_CHALLENGE: lambda w: Good("mallory", proof_challenge(0, account("hub"), 3)),
    kinds.PROOF_RESPONSE: lambda w: Good(
        "hub", proof_response(0, account("hub"), w.shown(w.batch_leaves, 1), signed_record("box", 1, 1).delegation)
    ),
    kinds.FRAUD_PROOF: lambda w: Good(
        "mallory", fraud_proof(0, account("false hub"), NOT_A_RECORD, w.shown(w.false_leaves, 0))
    ),
    kinds.METERING_BATCH: lambda w: Good("hub", deals.metering_batch(1, bytes(32), {OPEN_DEAL: 11 * ANKR})),
    kinds.DEAL_OPEN: lambda w: Good("alice", deals.deal_open(TERMS)),
    kinds.DEAL_TOP_UP: lambda w: Good("bob", deals.deal_top_up(OPEN_DEAL, ANKR)),
    kinds.DEAL_SETTLE: lambda w: Good("alice", deals.deal_settle(OPEN_DEAL)),
    kinds.RATE: lambda w: Good("alice", deals.rate(CLOSED_DEAL, 4)),
    kinds.ROLE: lambda w: Good("operator-1", role(True, account("fourth hub"), "fourth")),
    kinds.PARAMETER_CHANGE: lambda w: Good("operator-2", parameter_change({"sponsor_quota": 11})),
    kinds.DONATION: lambda w: Good("bob", payments.donation(ANKR, "for all")),
    kinds.POG_COMMIT: lambda w: Good("hub", pog_commit(account("hub"), _newest_challenge(w), bytes(32), 1)),
    kinds.DOUBLE_SIGN: lambda w: Good("mallory", two_votes("operator-4", 1)),
    kinds.CONTRADICTION: lambda w: Good("mallory", two_records("box", 7, 1)),
    kinds.MULTISIG_CREATE: lambda w: Good("bob", payments.multisig_create([account("bob"), account("dave")], 2, ANKR)),
    kinds.MULTISIG_SPEND: lambda w: Good("alice", payments.multisig_spend(TREASURY, [(account("dave"), ANKR)])),
    kinds.MULTISIG_APPROVE: lambda w: Good("bob", payments.multisig_approve(TREASURY, 0)),
    kinds.VESTING_RELEASE: lambda w: Good("mallory", vesting.vesting_release(0)),
    kinds.BRIDGE_LOCK: lambda w: Good("alice", bridge.bridge_lock(bridge.BEP2, account("dave"), ANKR)),
    kinds.BRIDGE_ATTEST: lambda w: Good("bob", bridge.bridge_attest(BURN), "bridge_uncovered"),
    kinds.BRIDGE_PAUSE: lambda w: Good("carol", bridge.bridge_pause(bridge.GUARDIAN, True)),
    kinds.BRIDGE_GUARDIANS: lambda w: Good("operator-3", bridge.bridge_guardians(GUARDIANS[:2], 2)),
    kinds.UPGRADE: lambda w: Good("operator-1", upgrade(2, 1_000_000)),
}
