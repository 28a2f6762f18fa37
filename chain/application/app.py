"""The ledger behind ABCI 2.0: one application for every engine.

FinalizeBlock computes and holds back, Commit writes everything in one transaction; between the two a crash loses
nothing but work. The same blocks give the same app hashes wherever and whenever they run. Any exception in
FinalizeBlock leaves this class and must halt the node: a transaction's own failure is a result, never an exception.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from concurrent.futures import Executor

from chain import slsbft
from chain.application import block_meta, history, proposers, results
from chain.application.abci import (
    ChunkResult,
    CommitInfo,
    ExecTxResult,
    OfferResult,
    ProposalStatus,
    RequestApplySnapshotChunk,
    RequestCheckTx,
    RequestCommit,
    RequestFinalizeBlock,
    RequestInfo,
    RequestInitChain,
    RequestListSnapshots,
    RequestLoadSnapshotChunk,
    RequestOfferSnapshot,
    RequestPrepareProposal,
    RequestProcessProposal,
    RequestQuery,
    ResponseApplySnapshotChunk,
    ResponseCheckTx,
    ResponseCommit,
    ResponseFinalizeBlock,
    ResponseInfo,
    ResponseInitChain,
    ResponseListSnapshots,
    ResponseLoadSnapshotChunk,
    ResponseOfferSnapshot,
    ResponsePrepareProposal,
    ResponseProcessProposal,
    ResponseQuery,
    ValidatorUpdate,
)
from chain.application.beacons import Beacons
from chain.application.layer import Layer
from chain.application.proposal import framed_bytes, split_beacon
from chain.application.queries import answer_query
from chain.application.restore import Restore
from chain.application.signatures import VerifiedSignatures
from chain.application.snapshots import Snapshots
from chain.application.store import StateStore, height_key
from chain.application.versioned import VersionedState
from chain.errors import DccnError, Faulty, Malformed, Refused
from chain.ledger import machine, parameters, upgrades
from chain.ledger.genesis import Genesis, genesis_hash
from chain.wire import cbor, transactions
from chain.wire.rfc3339 import format_time

NAME = "dccn"
VERSION = "1"
APP_VERSION = 1

log = logging.getLogger(__name__)


class Application:
    """ABCI 2.0 over one store. Not to be shared between threads; calls come one after the other.

    `vrf_keys` holds the VRF secret (32 bytes) of every validator address that this node may propose for. With an
    `executor`, a block's signatures that are not known yet are verified on its threads. An engine that asks may forget
    blocks older than the last `retained_blocks`; 0 keeps all. `snapshots` are taken and served, `restore` takes one in.
    """

    def __init__(
        self,
        store: StateStore,
        *,
        vrf_keys: Mapping[bytes, bytes] | None = None,
        kept_heights: int = history.KEPT_HEIGHTS,
        executor: Executor | None = None,
        retained_blocks: int = 0,
        snapshots: Snapshots | None = None,
        restore: Restore | None = None,
    ) -> None:
        self._store = store
        self._snapshots = snapshots
        self._restore = restore
        self._kept_heights = kept_heights
        self._folded = False
        self._retained_blocks = retained_blocks
        self._vrf_keys = dict(vrf_keys or {})
        self._executor = executor
        self._state = VersionedState(store, kept_heights=kept_heights)
        self._open()

    @property
    def chain_id(self) -> str:
        """Empty before InitChain."""
        return self._chain_id

    @property
    def height(self) -> int:
        """The last committed height."""
        return self._state.height

    def beacon(self, height: int) -> bytes:
        """The 32 bytes of a height; that of genesis for heights up to 0. Raises Refused for a height not here."""
        return self._beacons.at(height)

    def info(self, request: RequestInfo) -> ResponseInfo:
        return ResponseInfo(NAME, VERSION, APP_VERSION, self._state.height, self._state.app_hash)

    def init_chain(self, request: RequestInitChain) -> ResponseInitChain:
        """Writes the genesis state as height 0; asked again before the first block, it begins again.

        Raises Malformed for a genesis that is not one, or whose validators differ from the request's.
        """
        if self._state.height:
            raise Faulty("state_corrupt", f"InitChain after height {self._state.height}")
        try:
            app_state = json.loads(request.app_state_bytes)
        except ValueError as error:
            raise Malformed("malformed", f"app_state is not JSON: {error}") from None
        genesis = Genesis.parse(request.chain_id, request.time_ns, app_state)
        validators = tuple(ValidatorUpdate(public, power) for public, power in genesis.validators())
        if request.validators and sorted(map(_pair, request.validators)) != sorted(map(_pair, validators)):
            raise Malformed("malformed", "the genesis document's validators are not those of its app_state")
        layer = Layer(lambda key: None)
        machine.init_chain(layer, genesis)
        content = {key: value for key, value in layer.changes().items() if value is not None}
        document = {"chain_id": request.chain_id, "genesis_time": format_time(request.time_ns), "app_state": app_state}
        chain = cbor.encode([request.chain_id, genesis_hash(document)])
        beside = {"rotation": block_meta.first_rotation(dict(genesis.validators()))}
        app_hash = self._state.begin(chain, request.time_ns, content, beside)
        self._open()
        return ResponseInitChain(app_hash, validators)

    def check_tx(self, request: RequestCheckTx) -> ResponseCheckTx:
        """Whether the transaction would be good after those that were checked before it since the last block."""
        try:
            transaction = self._read_transaction(request.tx)
        except Refused as error:
            return results.refused_check(error)
        context = machine.CheckContext(self._chain_id, self._state.height + 1, self._state.time_ns, verified=True)
        return results.check_result(machine.admit_transaction(self._checked, transaction, context))

    def prepare_proposal(self, request: RequestPrepareProposal) -> ResponsePrepareProposal:
        """The beacon of this height, then what fits; leaves out what ProcessProposal would refuse."""
        self._know_rules_of(request.height)
        secret = self._vrf_keys.get(request.proposer_address)
        if secret is None:
            raise Faulty("home_invalid", f"no VRF key here for proposer {request.proposer_address.hex().upper()}")
        chosen = [self._beacons.prove(secret, request.height)]
        room = request.max_tx_bytes - framed_bytes(chosen[0])
        for tx in request.txs:
            if framed_bytes(tx) > room:
                break  # A later one of the same sender would come out of order.
            if self._is_acceptable(tx):
                chosen.append(tx)
                room -= framed_bytes(tx)
        return ResponsePrepareProposal(tuple(chosen))

    def process_proposal(self, request: RequestProcessProposal) -> ResponseProcessProposal:
        """Accepts a block whose first transaction alone is the proposer's beacon and whose others are well signed.

        A pure function of block and state, so that all honest validators answer alike.
        """
        self._know_rules_of(request.height)
        try:
            beacon_tx, others = split_beacon(request.txs)
            self._beacons.check(Layer(self._state.get), request.proposer_address, request.height, beacon_tx)
        except DccnError as error:
            log.warning("proposal at height %d refused: %s", request.height, error)
            return ResponseProcessProposal(ProposalStatus.REJECT)
        self._signatures.verify_all(others)
        if not all(self._is_acceptable(tx) for tx in others):
            log.warning("proposal at height %d refused: a transaction is malformed or badly signed", request.height)
            return ResponseProcessProposal(ProposalStatus.REJECT)
        return ResponseProcessProposal(ProposalStatus.ACCEPT)

    def know_next_rules(self) -> None:
        """Raises Faulty `upgrade_needed` when the next block follows rules of a later program."""
        self._know_rules_of(self._state.height + 1)

    def finalize_block(self, request: RequestFinalizeBlock) -> ResponseFinalizeBlock:
        """Runs a decided block; nothing is durable before `commit`. Whatever this raises must halt the node."""
        self._know_rules_of(request.height)
        beacon_tx, others = split_beacon(request.txs)
        beacon = self._beacons.check(Layer(self._state.get), request.proposer_address, request.height, beacon_tx)
        self._signatures.verify_all(others)
        idle = block_meta.pending_precommits(self._store)
        layer = Layer(self._state.get)
        output = machine.execute_block(layer, self._block_input(request, beacon, others, idle))
        counts = {} if output.touches_state else block_meta.add_precommits(idle, request.decided_last_commit)
        beside = {
            "beacon": {height_key(request.height): beacon, **block_meta.expired_beacons(request.height)},
            "participation": block_meta.writes_of(counts, idle),
        }
        updates, beside["rotation"] = self._lead(dict(output.validator_updates), layer, beacon, request.height)
        self._folded = output.touches_state and bool(beside["rotation"])
        if self._folded:
            self._mark(layer, request, beacon, beside["rotation"])
        app_hash = self._state.stage(request.height, request.time_ns, layer.changes(), beside)
        return ResponseFinalizeBlock(
            app_hash,
            (ExecTxResult(), *map(results.exec_result, output.results)),
            tuple(map(results.event, output.events)),
            tuple(ValidatorUpdate(public, power) for public, power in updates.items()),
        )

    def commit(self, request: RequestCommit) -> ResponseCommit:
        """Makes the finalized block durable, in one transaction."""
        height = self._state.commit()
        self._checked = machine.Overlay(Layer(self._state.get))
        if self._snapshots is not None and self._folded and self._snapshots.is_due(height):
            self._snapshots.take(self._store)
        return ResponseCommit(max(0, height - self._retained_blocks) if self._retained_blocks else 0)

    def discard(self) -> None:
        """Forgets a finalized block that was not committed: its engine died, and will hand it in again."""
        self._state.discard()

    def list_snapshots(self, request: RequestListSnapshots) -> ResponseListSnapshots:
        """Those that another node could begin with now."""
        return ResponseListSnapshots(self._snapshots.list(self.height) if self._snapshots else ())

    def load_snapshot_chunk(self, request: RequestLoadSnapshotChunk) -> ResponseLoadSnapshotChunk:
        """One chunk of a snapshot from here; empty where there is none."""
        found = self._snapshots.chunk(request.height, request.format, request.chunk) if self._snapshots else b""
        return ResponseLoadSnapshotChunk(found)

    def offer_snapshot(self, request: RequestOfferSnapshot) -> ResponseOfferSnapshot:
        """Whether to begin with a snapshot: an engine asks only while it has no block, whatever is here."""
        return ResponseOfferSnapshot(self._restore.offer(request) if self._restore else OfferResult.REJECT)

    def apply_snapshot_chunk(self, request: RequestApplySnapshotChunk) -> ResponseApplySnapshotChunk:
        """One chunk of the accepted snapshot; with the last one, this application is at its height."""
        if self._restore is None:
            return ResponseApplySnapshotChunk(ChunkResult.ABORT)
        answer = self._restore.apply(request)
        if answer.result is ChunkResult.ACCEPT and self._restore.is_done:
            self._state = VersionedState(self._store, kept_heights=self._kept_heights)
            self._open()
        return answer

    def query(self, request: RequestQuery) -> ResponseQuery:
        """Paths `/state` (data: the raw key), `/bucket` (its number), `/beacon` (a height), `/parameters`."""
        return answer_query(request, self._state, self._beacons)

    def _open(self) -> None:
        """Takes up what the store says the chain is."""
        chain = self._store.chain
        chain_id, genesis = cbor.decode(chain) if chain else ("", b"")
        self._chain_id: str = chain_id
        self._beacons = Beacons(self._chain_id, slsbft.genesis_beacon(genesis), self._store)
        self._signatures = VerifiedSignatures(self._chain_id, executor=self._executor)
        self._checked = machine.Overlay(Layer(self._state.get))
        if self._snapshots is not None and self._store.base:
            self._snapshots.began_with(self._store.base)

    def _know_rules_of(self, height: int) -> None:
        """Halts before the first block whose rules are those of a later program."""
        rules = upgrades.rules_at(self._state.get, height)
        if rules not in upgrades.KNOWN_RULES:
            known = ", ".join(map(str, sorted(upgrades.KNOWN_RULES)))
            raise Faulty("upgrade_needed", f"block {height} follows version {rules} of the rules, this program {known}")

    def _block_input(
        self, request: RequestFinalizeBlock, beacon: bytes, others: tuple[bytes, ...], idle: Mapping[bytes, int]
    ) -> machine.BlockInput:
        return machine.BlockInput(
            chain_id=self._chain_id,
            height=request.height,
            time_ns=request.time_ns,
            proposer=request.proposer_address,
            precommits=_precommits(request.decided_last_commit),
            beacon=beacon,
            transactions=others,
            verified=self._signatures,
            meta=tuple(idle.items()),
            misbehavior=tuple((each.validator_address, each.height) for each in request.misbehavior),
        )

    def _lead(
        self, updates: dict[bytes, int], layer: Layer, beacon: bytes, height: int
    ) -> tuple[dict[bytes, int], dict[bytes, bytes | None]]:
        """The ledger's validator updates, with those that lead CometBFT's rotation where this chain has it led."""
        rotation = block_meta.rotation(self._store)
        if rotation is None:
            return updates, {}
        power = parameters.decode(layer.get(parameters.PARAMETERS_KEY) or b"").validator_power
        updates, led = proposers.lead(rotation, updates, beacon, height, power)
        return updates, block_meta.rotation_writes(led)

    def _mark(
        self, layer: Layer, request: RequestFinalizeBlock, beacon: bytes, rotation: Mapping[bytes, bytes | None]
    ) -> None:
        """Puts into the tree what stands beside it, so that whoever begins with a snapshot can check that, too."""
        beacons = [*block_meta.recent_beacons(self._store, request.height), beacon]
        encoded = rotation[block_meta.ROTATION_KEY] or b""
        layer.put(block_meta.MARK_KEY, block_meta.mark(request.time_ns, encoded, beacons))

    def _read_transaction(self, tx: bytes) -> transactions.Transaction:
        if transactions.is_beacon_tx(tx):
            raise Refused("tx_system", "type 0 belongs to the block's proposer alone")
        transaction = transactions.decode(tx)
        if not self._signatures.verify(transaction):
            raise Refused("bad_signature", "the sender's or the fee payer's signature does not verify")
        return transaction

    def _is_acceptable(self, tx: bytes) -> bool:
        try:
            self._read_transaction(tx)
        except Refused:
            return False
        return True


def _precommits(commit: CommitInfo) -> tuple[tuple[bytes, int], ...]:
    return tuple((vote.validator_address, int(vote.block_id_flag)) for vote in commit.votes)


def _pair(update: ValidatorUpdate) -> tuple[bytes, int]:
    return update.public, update.power
