"""The state machine: the first state from a genesis, checks for the mempool, and the execution of decided blocks.

Pure: the same state and block give the same writes and results on every machine. A transaction that is refused has a
result; any other exception leaves the state untouched and is for the caller to halt on.
"""

from __future__ import annotations

from hashlib import sha256

from chain.errors import Faulty, Refused
from chain.ledger import parameters
from chain.ledger.admission import admit
from chain.ledger.batches import apply_proof_batch
from chain.ledger.block import (
    BlockInput,
    BlockOutput,
    CheckContext,
    Event,
    Execution,
    Outcome,
    TxResult,
    refusal,
)
from chain.ledger.bridge import apply_bridge_attest, apply_bridge_guardians, apply_bridge_lock, apply_bridge_pause
from chain.ledger.contradictions import apply_contradiction
from chain.ledger.data_centers import apply_data_center_register, apply_data_center_revoke
from chain.ledger.deals import (
    apply_deal_open,
    apply_deal_settle,
    apply_deal_top_up,
    apply_metering_batch,
    apply_rate,
)
from chain.ledger.devices import apply_device_register, apply_device_revoke
from chain.ledger.disputes import apply_proof_challenge, apply_proof_response
from chain.ledger.double_sign import apply_double_sign, punish_misbehavior
from chain.ledger.downtime import SIGNING_KEY, count_signing, first_windows, follow_seats
from chain.ledger.elections import cross_election_boundary, is_election_boundary
from chain.ledger.epochs import clock_of, cross_boundaries, is_boundary
from chain.ledger.fees import settle_fees
from chain.ledger.frauds import apply_fraud_proof
from chain.ledger.genesis import MINING, Genesis, unassigned
from chain.ledger.governance import apply_parameter_change, apply_role
from chain.ledger.jail import apply_unjail
from chain.ledger.multisig import apply_multisig_approve, apply_multisig_create, apply_multisig_spend
from chain.ledger.operators import Operator, operator_of, put_operator, put_validator
from chain.ledger.overlay import Overlay, State
from chain.ledger.parameters import PARAMETERS_KEY
from chain.ledger.participation import count_participation, precommits_by_operator
from chain.ledger.payments import apply_donation, apply_multi_send
from chain.ledger.payouts import pay, payouts_pending
from chain.ledger.pog import apply_pog_commit
from chain.ledger.producer_keys import apply_add_key, apply_rotate_key
from chain.ledger.seats import seat_publics, validator_updates
from chain.ledger.staking import apply_bond, apply_unbond
from chain.ledger.transfer import apply_transfer
from chain.ledger.unbonding import mature, pay_matured, unbondings_due
from chain.ledger.upgrades import apply_upgrade
from chain.ledger.vesting import apply_vesting_release
from chain.wire import kinds
from chain.wire.operators import SEATS_KEY, Seat, Seats
from chain.wire.state import CLOCK_KEY, SUPPLY_KEY, Clock, Hub, Supply, hub_key
from chain.wire.transactions import Transaction, decode
from chain.wire.vesting import Vesting, vesting_key

__all__ = [
    "BlockInput",
    "BlockOutput",
    "CheckContext",
    "Event",
    "Outcome",
    "Overlay",
    "State",
    "TxResult",
    "admit_transaction",
    "check_transaction",
    "execute_block",
    "init_chain",
]

_APPLY = {
    kinds.TRANSFER: apply_transfer,
    kinds.BOND: apply_bond,
    kinds.UNBOND: apply_unbond,
    kinds.ADD_KEY: apply_add_key,
    kinds.ROTATE_KEY: apply_rotate_key,
    kinds.UNJAIL: apply_unjail,
    kinds.DEVICE_REGISTER: apply_device_register,
    kinds.PROOF_BATCH: apply_proof_batch,
    kinds.POG_COMMIT: apply_pog_commit,
    kinds.DOUBLE_SIGN: apply_double_sign,
    kinds.CONTRADICTION: apply_contradiction,
    kinds.VESTING_RELEASE: apply_vesting_release,
    kinds.METERING_BATCH: apply_metering_batch,
    kinds.DEAL_OPEN: apply_deal_open,
    kinds.DEAL_TOP_UP: apply_deal_top_up,
    kinds.DEAL_SETTLE: apply_deal_settle,
    kinds.RATE: apply_rate,
    kinds.PROOF_CHALLENGE: apply_proof_challenge,
    kinds.PROOF_RESPONSE: apply_proof_response,
    kinds.FRAUD_PROOF: apply_fraud_proof,
    kinds.MULTI_SEND: apply_multi_send,
    kinds.DONATION: apply_donation,
    kinds.MULTISIG_CREATE: apply_multisig_create,
    kinds.MULTISIG_SPEND: apply_multisig_spend,
    kinds.MULTISIG_APPROVE: apply_multisig_approve,
    kinds.ROLE: apply_role,
    kinds.PARAMETER_CHANGE: apply_parameter_change,
    kinds.DATA_CENTER_REGISTER: apply_data_center_register,
    kinds.DATA_CENTER_REVOKE: apply_data_center_revoke,
    kinds.DEVICE_REVOKE: apply_device_revoke,
    kinds.BRIDGE_LOCK: apply_bridge_lock,
    kinds.BRIDGE_ATTEST: apply_bridge_attest,
    kinds.BRIDGE_PAUSE: apply_bridge_pause,
    kinds.BRIDGE_GUARDIANS: apply_bridge_guardians,
    kinds.UPGRADE: apply_upgrade,
}


def init_chain(state: State, genesis: Genesis) -> None:
    """Write the first state: parameters, accounts, bonds, pools, operators and their seats, hubs."""
    overlay = Overlay(state)
    overlay.put(PARAMETERS_KEY, genesis.parameters.encode())
    overlay.set_entry(CLOCK_KEY, Clock(genesis.time_ns, -1, -1))
    for share in genesis.allocation:
        for grant in share.grants:
            overlay.purse(grant.address).balance_atto += grant.amount_atto
    seats = []
    for operator in genesis.operators:
        entry = Operator(
            operator.name, operator.bond_atto, genesis.time_ns, 0, True, False, 0, False, operator.keys, ()
        )
        put_operator(overlay, operator.address, entry, genesis.parameters)
        for number, keys in enumerate(operator.keys):
            put_validator(overlay, operator.address, number, keys)
        seats += [Seat(operator.address, key, 0) for key in range(len(operator.keys))]
    overlay.set_entry(SEATS_KEY, Seats(tuple(seats)))
    overlay.set_entry(SIGNING_KEY, first_windows(seat_publics(overlay)))
    for hub in genesis.hubs:
        overlay.set_entry(hub_key(hub.address), Hub(hub.name))
    for number, (name, each) in enumerate((s.name, v) for s in genesis.allocation for v in s.vesting):
        start_ns = genesis.time_ns + each.start_s * 10**9
        vesting = Vesting(name, each.address, each.amount_atto, start_ns, each.cliff_s, each.duration_s, 0)
        overlay.set_entry(vesting_key(number), vesting)
    left = unassigned(genesis)
    supply = Supply(
        accounts_atto=sum(grant.amount_atto for share in genesis.allocation for grant in share.grants),
        bonds_atto=sum(operator.bond_atto for operator in genesis.operators),
        mining_atto=left.pop(MINING),
        reward_pool_atto=0,
        payable_atto=0,
        escrow_atto=0,
        bridged_bep2_atto=0,
        bridged_erc20_atto=0,
        reserved=tuple(sorted(left.items())),
    )
    overlay.set_entry(SUPPLY_KEY, supply)
    overlay.commit()


def execute_block(state: State, block: BlockInput) -> BlockOutput:
    """Run a decided block and write its changes into `state`, all at its end or, if anything raises, none.

    In order: precommits counted, downtime and double signs punished, reward epochs closed, election, queued payments
    and unbonded stake, transactions, fees settled. A block without transactions that crosses no boundary and finds no
    payment waiting touches nothing.
    """
    overlay = Overlay(state)
    run = _begin(overlay, block.chain_id, block.height, block.time_ns)
    if not (_has_work(block) or is_boundary(run) or is_election_boundary(run) or _payments_wait(overlay)):
        return BlockOutput((), (), (), touches_state=False)
    precommits = precommits_by_operator(overlay, block)
    proposer = operator_of(overlay, block.proposer)
    count_participation(overlay, block, precommits)
    count_signing(run, block)
    punish_misbehavior(run, block)
    if is_boundary(run):
        mature(run)
    cross_boundaries(run, block.beacon)
    cross_election_boundary(run, block.beacon)
    pay(run)
    pay_matured(run)
    results = _deliver_all(run, block)
    settle_fees(run, proposer, precommits)
    follow_seats(run)
    updates = validator_updates(run)
    overlay.commit()
    return BlockOutput(results, tuple(run.events), updates, touches_state=True)


def check_transaction(state: State, transaction: Transaction, context: CheckContext) -> Outcome:
    """What the transaction would come to in the next block; writes nothing, and refuses what its content refuses."""
    run = _begin(Overlay(state), context.chain_id, context.height, context.time_ns)
    return _check(run, transaction, context)


def admit_transaction(overlay: Overlay, transaction: Transaction, context: CheckContext) -> Outcome:
    """Like `check_transaction`, but an accepted transaction's effect stays in `overlay` (over the committed state).

    So a mempool checks an account's second transaction after its first; drop the overlay when a block is committed.
    """
    run = _begin(overlay, context.chain_id, context.height, context.time_ns)
    trial = run.overlay = Overlay(overlay)
    outcome = _check(run, transaction, context)
    if outcome.ok:
        trial.commit()
    return outcome


def _check(run: Execution, transaction: Transaction, context: CheckContext) -> Outcome:
    size = len(transaction.encode())
    well_signed = context.verified or transaction.verify(context.chain_id)
    return _deliver(run, transaction, size, well_signed=well_signed)


def _begin(overlay: Overlay, chain_id: str, height: int, time_ns: int) -> Execution:
    data = overlay.get(PARAMETERS_KEY)
    if data is None:
        raise Faulty("state_corrupt", "the state has no parameters: it was never initialised")
    clock = clock_of(overlay)
    return Execution(
        overlay=overlay,
        parameters=parameters.decode(data),
        chain_id=chain_id,
        height=height,
        time_ns=time_ns,
        genesis_time_ns=clock.genesis_time_ns,
        reward_epoch=clock.reward_epoch,
        election_epoch=clock.election_epoch,
    )


def _has_work(block: BlockInput) -> bool:
    return bool(block.transactions or block.misbehavior)


def _payments_wait(overlay: Overlay) -> bool:
    return payouts_pending(overlay) or unbondings_due(overlay)


def _deliver_all(run: Execution, block: BlockInput) -> tuple[TxResult, ...]:
    """Decode and verify all transactions, then run them in order; undecodable bytes get a result and cost nothing."""
    readable = [_read(data) for data in block.transactions]
    signed = [
        isinstance(item, Transaction) and (sha256(data).digest() in block.verified or item.verify(block.chain_id))
        for data, item in zip(block.transactions, readable, strict=True)
    ]
    return tuple(
        _deliver(run, item, len(data), well_signed=good)
        if isinstance(item, Transaction)
        else refusal(item, len(data), charged=False)
        for data, item, good in zip(block.transactions, readable, signed, strict=True)
    )


def _read(data: bytes) -> Transaction | Refused:
    try:
        return decode(data)
    except Refused as error:
        return error


def _deliver(run: Execution, transaction: Transaction, size_bytes: int, *, well_signed: bool) -> Outcome:
    """Fee and nonce first, then the content: every handler refuses before it changes anything."""
    try:
        sender = admit(run, transaction, size_bytes, well_signed=well_signed)
    except Refused as error:
        return refusal(error, size_bytes, charged=False)
    try:
        events = _APPLY[transaction.type](run, sender, transaction.body)
    except Refused as error:
        return refusal(error, size_bytes, charged=True)
    return Outcome(gas_wanted=size_bytes, gas_used=size_bytes, charged=True, events=events)
