"""What is fuzzed: each target takes any bytes, and raises only when a promise is broken.

The promise of a reader: it returns a value, or raises Refused; what it returned is written back as the same bytes where
the format is canonical. The promise of the ledger: any content, well signed, gives a result, and no unit is lost.
"""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from appliance import uki, verity
from appliance.provisioning import settings as provisioning
from appliance.releases.description import Description
from chain.application.snapshot_format import Manifest
from chain.crypto import vrf
from chain.crypto.address import address, validator_address
from chain.crypto.keys import PrivateKey
from chain.crypto.sparse import SparseTree
from chain.crypto.sparse_proof import SparseProof
from chain.engines.cometbft.requests import decode_request
from chain.errors import Refused
from chain.ledger import machine
from chain.ledger.genesis import Genesis, build_demo_app_state
from chain.ledger.parameters import Parameters
from chain.ledger.supply import total_supply
from chain.light import verify
from chain.node.invitation import Invitation
from chain.proofs.pog import format as pog
from chain.proofs.records import open_record
from chain.wallet import keystore
from chain.wire import bridge, cbor, cose, deals, governance, kinds, payments, staking, transactions
from chain.wire.amounts import ANKR
from chain.wire.blocks import Block
from chain.wire.header import Header
from chain.wire.transactions import sign, transfer
from fleet.hub.attestation import event_log
from fleet.hub.attestation.public_area import PublicArea
from fleet.hub.attestation.statements import Statement
from fleet.protocol import topics
from fleet.protocol.attestation import Begin, Proof
from tools.bench.transfers import MemoryState

Work = Callable[[bytes], None]
CHAIN = "fuzz"


@dataclass(frozen=True, slots=True)
class Target:
    """`work` is called with any bytes; `seeds` are what it begins with."""

    work: Work
    seeds: tuple[bytes, ...]


def reads(read: Callable[[bytes], object], *seeds: bytes) -> Target:
    """A reader that may refuse, and must do nothing else."""

    def work(data: bytes) -> None:
        try:
            read(data)
        except Refused:
            return

    return Target(work, seeds)


def canonical(read: Callable[[bytes], object], write: Callable[[object], bytes], *seeds: bytes) -> Target:
    """A reader of a canonical format: one value, one encoding."""

    def work(data: bytes) -> None:
        try:
            value = read(data)
        except Refused:
            return
        assert write(value) == data, "read as a value whose encoding is another one"

    return Target(work, seeds)


def events(data: bytes) -> object:
    """A firmware's log, and what the hub asks of it."""
    found = event_log.parse(data)
    return event_log.secure_boot(found), [event_log.replay(found, pcr) for pcr in range(24)]


def attestation(data: bytes) -> object:
    """Both requests."""
    body = cose.open_envelope(data).body
    return Begin.from_body(body) if isinstance(body, list) and len(body) == 6 else Proof.from_body(body)


EMPTY_LOG = (
    bytes.fromhex("00000000 03000000 0000000000000000000000000000000000000000 21000000".replace(" ", ""))
    + b"Spec ID Event03\0"
    + bytes.fromhex("00000000 00020002 01000000 0b002000 00".replace(" ", ""))
)
KEY = PrivateKey.from_secret("ed25519", hashlib.sha256(b"somebody").digest())
OPERATOR = PrivateKey.from_secret("ed25519", hashlib.sha256(b"operator").digest())


@functools.cache
def first_state() -> MemoryState:
    operators = [("seed", OPERATOR.public, OPERATOR.public.x, vrf.public_key(bytes(32)))]
    grants = [(address(KEY.public), 1_000_000 * ANKR)]
    app_state = build_demo_app_state(address(KEY.public), operators, Parameters.demo(), grants)
    state = MemoryState()
    machine.init_chain(state, Genesis.parse(CHAIN, 0, app_state))
    return state


def any_content(data: bytes) -> None:
    """A type and a body, well signed by an account with money and the role of a hub, in a block of its own."""
    try:
        body = cbor.decode(data[1:])
        if not data or type(body) is not list:
            return
        signed = sign(KEY, CHAIN, (data[0], body), nonce=0, fee=6_000 * ANKR).encode()
    except Refused:  # also a body that is as deep as may be, and within a transaction one level deeper
        return
    state = MemoryState(first_state())
    before = total_supply(state)
    proposer = validator_address(OPERATOR.public.x)
    block = machine.BlockInput(CHAIN, 1, 10**9, proposer, ((proposer, 2),), bytes(32), (signed,))
    (result,) = machine.execute_block(state, block).results
    assert total_supply(state) == before, f"the supply changed by {total_supply(state) - before}"
    assert result.ok or result.error, result


def contents() -> Iterator[bytes]:
    """A body of many types, as builders make it, behind the type's number."""
    mine, other = address(KEY.public), bytes(range(20))
    built = (
        transfer(other, ANKR),
        payments.multi_send([(other, 1), (mine, 2)]),
        payments.donation(1, "note"),
        payments.multisig_create([mine, other], 2, ANKR),
        payments.multisig_spend(other, [(mine, 1)]),
        payments.multisig_approve(other, 0),
        staking.bond(ANKR, staking.Registration("name", None)),
        staking.unbond(1),
        staking.unjail(),
        deals.deal_open(deals.DealOpen(other, mine, mine, ANKR, 300, bytes(32))),
        deals.deal_top_up(bytes(32), 1),
        deals.metering_batch(0, bytes(32), {bytes(32): 7}),
        deals.deal_settle(bytes(32), deals.DONE),
        deals.rate(bytes(32), 5),
        governance.role(True, other, "hub"),
        governance.parameter_change({"seats": 7}),
        governance.upgrade(2, 100),
        bridge.bridge_lock(bridge.BEP2, other, ANKR),
        bridge.bridge_guardians([mine, other], 2),
        bridge.bridge_pause(bridge.STAKE, True),
    )
    for kind, body in built:
        yield bytes((kind,)) + cbor.encode(body)
    for kind in kinds.TYPES:
        yield bytes((kind,)) + cbor.encode([])


def text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: read(data.decode("utf-8", "surrogateescape"))


def lines(data: bytes) -> list[dict[str, str]]:
    return list(verify.verify_lines([data]))


def invitation() -> bytes:
    rpc, peers = ("http://a:1", "http://b:2"), ("00" * 20 + "@a:3",)
    return Invitation(CHAIN, bytes(32), 1, bytes(32), rpc, peers).encode().encode()


PAYMENT = sign(KEY, CHAIN, transfer(bytes(20), ANKR), nonce=0, fee=5 * ANKR).encode()
TREE_PROOF = SparseTree([(b"a", b"1"), (b"b", b"2")]).prove(b"a").encode()
HASH_TREE = verity.build(io.BytesIO(bytes(2 * verity.BLOCK_BYTES)), 2, b"")

TARGETS: dict[str, Target] = {
    "cbor": canonical(cbor.decode, cbor.encode, b"\x80", PAYMENT),
    "transactions": canonical(transactions.decode, lambda value: value.encode(), PAYMENT),  # type: ignore[attr-defined]
    "ledger": Target(any_content, tuple(contents())),
    "cose": reads(cose.open_envelope, cose.sign(KEY, b"kid", ["payload"], "tag", CHAIN)),
    "records": reads(open_record, cose.sign(KEY, b"kid", ["payload"], "dccn/record", CHAIN)),
    "pog-proof": reads(pog.Proof.decode, cbor.encode([])),
    "pog-commitment": reads(pog.Commitment.decode, cbor.encode([])),
    "state-proof": canonical(SparseProof.decode, lambda value: value.encode(), TREE_PROOF),  # type: ignore[attr-defined]
    "header": reads(Header.decode, b"\x0a\x02\x08\x0b\x12\x04fuzz"),
    "block": reads(Block.decode, b"\x0a\x08\x0a\x02\x08\x0b\x12\x02fu"),
    "abci": reads(decode_request, b"\x42\x05\x0a\x03abc", b"\x0a\x04\x0a\x02hi"),
    "snapshot": reads(Manifest.decode, cbor.encode([1, b"chain", 1, bytes(32), 1, 1, []])),
    "light": reads(lines, b'{"trusted":{},"untrusted":{},"now":"2026-01-01T00:00:00Z"}'),
    "invitation": reads(text(Invitation.decode), invitation()),
    "wallet": reads(keystore.decode_document, b'{"version":1}'),
    "topics": reads(text(topics.parse), b"dccn/v1/d/" + b"0" * 32 + b"/record"),
    "tpm-public": reads(PublicArea.parse, bytes.fromhex("0023000b00050472000000100018000b000300100000")),
    "tpm-statement": reads(Statement.parse, bytes.fromhex("ff5443478018"), bytes.fromhex("ff5443478017")),
    "tpm-event-log": reads(events, EMPTY_LOG),
    "attestation": reads(attestation, cose.sign(KEY, b"kid", ["atp1"], "tag", CHAIN)),
    "hash-tree": reads(lambda data: verity.leaves(data, HASH_TREE[1]), HASH_TREE[0]),
    "release": reads(Description.decode, b'{"release":1,"version":"1.0","profile":"x86-nogpu"}'),
    "kernel-image": reads(uki.root_hash, b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0"),
    "owner-settings": reads(provisioning.parse, b'[hub]\nurl = "https://a"\n', b"\xef\xbb\xbf[network]\r\n"),
}
