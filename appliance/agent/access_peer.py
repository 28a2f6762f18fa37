"""Believes nobody: follows the chain, finds this device's own record in it, and proves what its owner was paid."""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.agent.events import Emit
from appliance.agent.files import read_json, write_json
from appliance.agent.hub_client import HubClient
from appliance.agent.owner import Owner
from appliance.agent.spool import Spool
from appliance.agent.status import StatusBoard
from appliance.agent.verified_chain import VerifiedChain
from chain.errors import DccnError, Malformed, Refused, Unavailable
from chain.proofs.batch import Inclusion
from chain.proofs.records import open_record
from chain.wire import transactions
from chain.wire.amounts import format_ankr
from chain.wire.bodies import read_proof_batch
from chain.wire.kinds import PROOF_BATCH
from chain.wire.state import Reward
from fleet.protocol.enrolment import INCLUSION_PATH

PENDING_TRIES = 120
"""A record that is in no block after so many looks is given up for a newer one."""


@dataclass(frozen=True, slots=True)
class Included:
    """Our record `seq` is in the block of `height`; every step from leaf to header was checked here."""

    seq: int
    height: int
    reward_epoch: int


class AccessPeer:
    """Component. Inputs: the chain's nodes, the hub's inclusion paths, the spool's accepted records. Outputs: status,
    and the events `reward_verified`, `pog_passed`, `inclusion_verified`, `inclusion_failed`.

    A record whose inclusion does not hold is told and set aside for a newer one; the status says so until one holds.
    """

    name = "access_peer"

    def __init__(
        self,
        *,
        topic_id: str,
        owner: Owner,
        hub_account: bytes,
        chain: VerifiedChain,
        hub: HubClient,
        spool: Spool,
        board: StatusBoard,
        emit: Emit,
        seen_file: Path,
        chain_id: str,
        interval_s: float,
        rate_ops_per_s: Callable[[], int | None],
    ) -> None:
        self._topic_id = topic_id
        self._owner = owner
        self._hub_account = hub_account
        self._chain = chain
        self._hub = hub
        self._spool = spool
        self._board = board
        self._emit = emit
        self._seen = _Seen(seen_file, chain_id)
        self._interval_s = interval_s
        self._rate_ops_per_s = rate_ops_per_s
        self._looking_for: int | None = None
        self._done_upto = -1
        self._doubt: str | None = None
        self._tries = 0
        self.included: Included | None = None

    def run(self, stop: threading.Event) -> None:
        while True:
            self.look()
            if stop.wait(self._interval_s):
                return

    def look(self) -> None:
        """One round: newest header, reward, own record. A node or hub that does not answer is asked again next time."""
        try:
            height = self._chain.update()
            self._board.note(verified_height=height, light_client=self._doubt or "ok")
            self._check_reward()
            self._check_inclusion()
        except Unavailable as error:
            self._board.note(light_client=f"waiting: {error.message}")
        except DccnError as error:
            self._board.note(light_client=f"refused: {error.message} ({error.code})")

    # Rewards ---------------------------------------------------------------------------------------------------------

    def _check_reward(self) -> None:
        account, height = self._chain.account(self._owner.account)
        self._board.note(balance=format_ankr(account.balance_atto))
        reward, reward_height = self._chain.reward(self._owner.account)
        if reward is None or reward.total_atto <= self._seen.total_atto:
            return
        amount = reward.total_atto - self._seen.total_atto
        self._note_challenges(reward)
        self._seen.store(reward.total_atto)
        self._board.note(rewards_total=format_ankr(reward.total_atto), reward_height=reward.height)
        self._emit(
            "reward_verified",
            amount=format_ankr(amount),
            height=reward_height,
            paid_height=reward.height,
            reward_epoch=reward.provider.reward_epoch if reward.provider else None,
            balance=format_ankr(account.balance_atto),
            balance_height=height,
            address=self._owner.address,
        )

    def _note_challenges(self, reward: Reward) -> None:
        """The chain says how many challenges the owner's devices passed; this device's own rate goes along."""
        if reward.provider is not None and reward.provider.pog_passed:
            rate = self._rate_ops_per_s()
            self._emit(
                "pog_passed",
                passed=reward.provider.pog_passed,
                reward_epoch=reward.provider.reward_epoch,
                gops=round(rate / 1e9, 1) if rate is not None else None,
                work_uankr_h=reward.provider.work_uankr_h,
            )

    # Inclusion -------------------------------------------------------------------------------------------------------

    def _check_inclusion(self) -> None:
        head = self._spool.head()
        seq = self._next_to_look_for(head.chain) if head is not None else None
        if head is None or seq is None:
            return
        path = f"{INCLUSION_PATH}/{self._topic_id}/{head.chain.hex()}/{seq}"
        try:
            document = self._hub.get_json(path)
        except Refused as refusal:
            self._tries += 1
            if refusal.code != "record_pending":
                raise
            return
        try:
            included = self._verify(document, head.chain, seq)
        except Refused as refusal:
            self._doubt = f"refused: {refusal.message} ({refusal.code})"
            self._done_upto, self._looking_for = seq, None
            self._emit("inclusion_failed", seq=seq, code=refusal.code, reason=refusal.message)
            raise
        self.included, self._done_upto, self._looking_for, self._doubt = included, seq, None, None
        self._board.note(light_client="ok")
        self._board.note(inclusion_verified=True, inclusion_seq=seq, inclusion_height=included.height)
        self._emit("inclusion_verified", seq=seq, height=included.height, reward_epoch=included.reward_epoch)

    def _next_to_look_for(self, chain: bytes) -> int | None:
        accepted = self._spool.accepted_upto(chain)
        if self._looking_for is None or self._tries >= PENDING_TRIES:
            self._looking_for = accepted if accepted is not None and accepted > self._done_upto else None
            self._tries = 0
        return self._looking_for

    def _verify(self, document: dict[str, Any], chain: bytes, seq: int) -> Included:
        """Leaf -> batch root -> transaction -> data_hash of a verified header. Refused `proof_invalid`."""
        inclusion = Inclusion.from_document(document)
        raw, tx_hash, height, reward_epoch = _located(document)
        if open_record(raw).hash != self._spool.accepted_hash(chain, seq):
            raise Refused("proof_invalid", f"the hub shows another record than the one signed under {seq}")
        if not inclusion.holds(raw):
            raise Refused("proof_invalid", f"record {seq} does not lead to the batch root {inclusion.root.hex()}")
        transaction = transactions.decode(self._chain.transaction(tx_hash, height))
        if transaction.type != PROOF_BATCH:
            raise Refused("proof_invalid", f"transaction {tx_hash.hex()} is no proof batch")
        batch = read_proof_batch(transaction.body)
        if (batch.root, batch.count, batch.sum) != (inclusion.root, inclusion.count, inclusion.sum):
            raise Refused("proof_invalid", f"the batch in block {height} has another root, count or sum")
        if batch.hub != self._hub_account:
            raise Refused("proof_invalid", f"the batch in block {height} is another hub's")
        # A record that came too late for its own epoch stands in a later batch with the sum 0, and claims no entry.
        if inclusion.leaf_sum and all(entry.owner != self._owner.account for entry in batch.entries):
            raise Refused("proof_invalid", f"the batch in block {height} counts this record's work for another owner")
        return Included(seq, height, reward_epoch)


class _Seen:
    """How much reward this device has told of already, per chain, so that a restart does not tell it again."""

    def __init__(self, path: Path, chain_id: str) -> None:
        self._path = path
        self._chain_id = chain_id
        document = read_json(path) if path.exists() else {}
        known = isinstance(document, dict) and document.get("chain_id") == chain_id
        self.total_atto = int(document.get("rewards_total_atto", 0)) if known and isinstance(document, dict) else 0

    def store(self, total_atto: int) -> None:
        self.total_atto = total_atto
        write_json(self._path, {"chain_id": self._chain_id, "rewards_total_atto": str(total_atto)}, sync=False)


def _located(document: dict[str, Any]) -> tuple[bytes, bytes, int, int]:
    try:
        raw = base64.b64decode(document["record"], validate=True)
        return raw, bytes.fromhex(document["tx_hash"]), int(document["height"]), int(document["reward_epoch"])
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise Malformed("malformed", f"the hub's inclusion answer cannot be read: {error}") from error
