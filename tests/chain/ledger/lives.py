"""Transactions of every type out of a few small numbers, for random lives of a chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hypothesis import strategies as st

from chain.crypto.address import device_id, validator_address
from chain.proofs.delegation import Delegation, sign_delegation
from chain.proofs.records import Record, sign_record
from chain.wire import bridge, data_centers, deals, disputes, governance, offences, payments, staking, vesting
from chain.wire.bodies import BatchEntry, device_revoke
from chain.wire.cometbft import BlockID, PartSetHeader
from chain.wire.transactions import ANKR, Content, Transaction, pog_commit, sponsor, transfer
from chain.wire.votes import Vote
from tests.chain.ledger.world import CHAIN, World, account, key

PEOPLE = ("alice", "bob", "carol", "dave")
RICH = "rich"

Step = tuple[str, str, int, int]
"""What, who, and two numbers that fill in the rest."""


def transaction(world: World, step: Step, ahead: dict[str, int]) -> bytes:
    """The step's transaction, signed with the sender's next nonce in this block."""
    kind, name, one, two = step
    if kind == "noise":
        return one.to_bytes(8, "big") + two.to_bytes(16, "big")
    sender = "hub" if kind in FROM_HUB else name
    place = ahead.get(sender, 0)
    ahead[sender] = place + 1
    if kind == "register":
        return world.register(name, f"box-{one % 6}", ahead=place).encode()
    if kind == "sponsored":
        signed = world.sign(name, transfer(account(_person(one)), two), ahead=place, fee_payer=world.hub.public)
        return sponsor(signed, world.hub, CHAIN).encode()
    if kind == "batch":
        entry = BatchEntry(account(name), 3, 3, two % 3, two % 2, two % 500, two % 10**6)
        return _batch(world, one, entry, place).encode()
    return world.sign(sender, CONTENTS[kind](name, one, two), ahead=place, fee=5 * ANKR + two % 9).encode()


def _batch(world: World, one: int, entry: BatchEntry, place: int) -> Transaction:
    return world.batch(max(0, world.epoch - one % 3), entry, ahead=place)


def _person(number: int) -> str:
    return (*PEOPLE, RICH)[number % 5]


def _keys(name: str, number: int) -> staking.ProducerKeys:
    place = number % 3
    return staking.prove_keys(CHAIN, account(name), key(f"{name} c{place}"), key(f"{name} v{place}").secret)


def _bond(name: str, one: int, two: int) -> Content:
    registration = None if one % 2 else staking.Registration(name, _keys(name, two) if one % 3 else None)
    amount = two if name != RICH else two * 2_000
    return staking.bond(1 + amount, registration)


def treasury(number: int) -> bytes:
    """An account that a person may have made with an early transaction."""
    return payments.multisig_address(account(_person(number)), number % 3)


def two_votes(operator: str, height: int, *, same: bool = False, chain_id: str = CHAIN) -> Content:
    """Two precommits of the operator's consensus key for one height, for different blocks unless `same`."""
    signer = key(f"{operator} consensus")
    votes = []
    for number in (1, 1 if same else 2):
        block_id = BlockID(bytes([number]) * 32, PartSetHeader(1, bytes(32)))
        vote = Vote(2, height, 0, block_id, 1_700_000_000 * 10**9, validator_address(signer.public.x), 0)
        votes.append(replace(vote, signature=signer.sign(vote.sign_bytes(chain_id))))
    return offences.double_sign(signer.public.x, *votes)


def signed_record(device: str, seq: int, tx_bytes: int, boot_key: str = "boot") -> offences.SignedRecord:
    """A record of the device under its first chain, and the delegation of the key that signed it."""
    identity, record_key = key(device), key(f"{device} {boot_key}")
    identifier, boot, previous = device_id(identity.public), b"b" * 16, bytes(32) if seq == 0 else b"p" * 32
    delegation = Delegation(identifier, record_key.public.x, boot, 0, 10**15)
    record = Record(identifier, b"c" * 16, seq, previous, boot, 1_000, 2_000, {"net_tx_bytes": tx_bytes})
    return offences.SignedRecord(sign_delegation(delegation, identity, CHAIN), sign_record(record, record_key, CHAIN))


def two_records(device: str, seq: int, difference: int) -> Content:
    return offences.contradiction(signed_record(device, seq, 7), signed_record(device, seq, 7 + difference))


def agreed(number: int) -> bytes:
    """A deal that a person may have opened with an early transaction."""
    return deals.deal_id(account(_person(number)), number % 4)


def _form(number: int) -> str:
    return bridge.FORMS[number % 2]


def _bridged(form: int, number: int) -> int:
    """An amount that the form can move."""
    return bridge.UNIT_ATTO[_form(form)] * (1 + number // bridge.UNIT_ATTO[_form(form)])


LEAF = disputes.LeafProof(0, 1, (), b"leaf")
CONTENTS: dict[str, Callable[[str, int, int], Content]] = {
    "transfer": lambda name, one, two: transfer(account(_person(one)), two),
    "commit": lambda name, one, two: pog_commit(account("hub"), one % 30, bytes(32), 1),
    "bond": _bond,
    "unbond": lambda name, one, two: staking.unbond(1 + two // (1 + one % 9)),
    "add_key": lambda name, one, two: staking.add_key(_keys(name, one)),
    "rotate_key": lambda name, one, two: staking.rotate_key(two % 2, _keys(name, one)),
    "unjail": lambda name, one, two: staking.unjail(),
    "multi_send": lambda name, one, two: payments.multi_send(
        [(account(_person(one + place)), two // 9) for place in range(1 + one % 3)]
    ),
    "donation": lambda name, one, two: payments.donation(1 + two // 9, "for all" if one % 2 else None),
    "multisig_create": lambda name, one, two: payments.multisig_create(
        [account(each) for each in (*PEOPLE[:3], RICH)], 1 + one % 3, two
    ),
    "multisig_fund": lambda name, one, two: transfer(treasury(one), two),
    "multisig_spend": lambda name, one, two: payments.multisig_spend(treasury(one), [(account(_person(two)), two)]),
    "multisig_approve": lambda name, one, two: payments.multisig_approve(treasury(one), two % 2),
    "role": lambda name, one, two: governance.role(bool(one % 2), account(_person(two)), "a hub"),
    "parameters": lambda name, one, two: governance.parameter_change({"sponsor_quota": 10 + two % 2}),
    "upgrade": lambda name, one, two: governance.upgrade(2 + one % 2, 1 + two) if two % 4 else governance.upgrade(0, 0),
    "data_center": lambda name, one, two: data_centers.data_center_register(name, "eu", bytes(32)),
    "data_center_revoke": lambda name, one, two: data_centers.data_center_revoke(),
    "device_revoke": lambda name, one, two: device_revoke(device_id(key(f"box-{one % 6}").public)),
    "challenge": lambda name, one, two: disputes.proof_challenge(one % 4, account("hub"), two % 12),
    "response": lambda name, one, two: disputes.proof_response(one % 4, account("hub"), LEAF, bytes(9)),
    "fraud": lambda name, one, two: disputes.fraud_proof(
        one % 4, account("hub"), disputes.FRAUDS[two % 6], LEAF, LEAF, bytes(32) if one % 2 else one
    ),
    "deal_open": lambda name, one, two: deals.deal_open(
        deals.DealOpen(account(_person(one)), account(_person(two)), account("hub"), 1 + two // 30, one * 9, bytes(32))
    ),
    "deal_top_up": lambda name, one, two: deals.deal_top_up(agreed(one), 1 + two // 30),
    "metering": lambda name, one, two: deals.metering_batch(
        one, bytes(32), {agreed(one): two // 25, agreed(one + 1): two // 50}
    ),
    "deal_settle": lambda name, one, two: deals.deal_settle(agreed(one)),
    "deal_close": lambda name, one, two: deals.deal_settle(agreed(one), "done" if two % 2 else "failed"),
    "rate": lambda name, one, two: deals.rate(agreed(one), 1 + two % 5),
    "vesting_release": lambda name, one, two: vesting.vesting_release(one % 2),
    "bridge_lock": lambda name, one, two: bridge.bridge_lock(
        bridge.FORMS[one % 2], bytes([9]) * 20, _bridged(one, two)
    ),
    "bridge_attest": lambda name, one, two: bridge.bridge_attest(
        bridge.Statement(
            bridge.FORMS[one % 2], bytes([one % 8]) * 32, account(_person(one)), _bridged(one, 1 + two % 9)
        )
    ),
    "bridge_pause": lambda name, one, two: bridge.bridge_pause(
        bridge.STAKE if one % 2 else bridge.GUARDIAN, bool(two % 2)
    ),
    "bridge_guardians": lambda name, one, two: bridge.bridge_guardians([account(each) for each in PEOPLE], 3),
    "double_sign": lambda name, one, two: two_votes(f"operator-{1 + one % 5}", 1 + two % 9, same=not one % 3),
    "contradiction": lambda name, one, two: two_records(f"box-{one % 6}", two % 3, two % 2),
}
FROM_HUB = ("batch", "commit", "metering", "deal_close")
KINDS = ("noise", "register", "sponsored", "batch", *CONTENTS)

steps = st.tuples(st.sampled_from(KINDS), st.sampled_from((*PEOPLE, RICH)), st.integers(0, 60), st.integers(0, 10**21))
