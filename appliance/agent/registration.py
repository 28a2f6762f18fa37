"""Puts this device on the chain: the owner signs, the device agrees, the hub pays, the light client confirms."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from appliance.agent.answer import Enrolment
from appliance.agent.events import Emit
from appliance.agent.files import read_json, write_json
from appliance.agent.hub_client import HubClient
from appliance.agent.identity import Identity
from appliance.agent.owner import Owner
from appliance.agent.status import StatusBoard
from appliance.agent.verified_chain import VerifiedChain
from chain.errors import DccnError, Refused, Unavailable
from chain.wire import transactions
from chain.wire.bodies import device_register, device_register_bytes
from chain.wire.transactions import Transaction
from fleet.protocol.enrolment import REGISTRATION_PATH

MEDIA_TYPE = "application/cbor"
VALID_HEIGHTS = 1_000
SETTLED_HEIGHTS = 1
"""A hub follows the chain too; a record that comes before it saw the registration would be refused."""
CONFIRM_POLL_S = 0.5
CONFIRM_TIMEOUT_S = 30.0
RETRY_FIRST_S = 1.0
RETRY_CAP_S = 300.0
HARMLESS = ("tx_known_device", "tx_duplicate", "tx_bad_nonce")
"""Refusals that mean that an earlier attempt got through: the chain's state decides."""


class Registration:
    """Component that ends when the chain's state proves this device to be its owner's."""

    name = "registration"

    def __init__(
        self,
        *,
        identity: Identity,
        owner: Owner,
        enrolment: Callable[[], Enrolment],
        chain: VerifiedChain,
        hub: HubClient,
        board: StatusBoard,
        emit: Emit,
        file: Path,
    ) -> None:
        self._identity = identity
        self._owner = owner
        self._enrolment = enrolment
        self._chain = chain
        self._hub = hub
        self._board = board
        self._emit = emit
        self._file = file
        self._is_proven = self._stored() is not None

    @property
    def is_proven(self) -> bool:
        """The chain was once proven to know this device as its owner's; records before that would be refused."""
        return self._is_proven

    def run(self, stop: threading.Event) -> None:
        delay_s = RETRY_FIRST_S
        while not stop.is_set():
            try:
                if self.is_registered() or (self._send() and self._confirmed(stop)):
                    return
            except Unavailable:
                pass
            except Refused as refusal:
                self._board.note(problem=f"registration refused: {refusal.message} ({refusal.code})")
            stop.wait(delay_s)
            delay_s = min(delay_s * 2, RETRY_CAP_S)

    def is_registered(self) -> bool:
        """Whether the chain's state, proven, names our owner, and the hub has had SETTLED_HEIGHTS to see it too.

        Refused `tx_known_device` when it names another owner.
        """
        device, height = self._chain.device(self._identity.device)
        if device is None or height < device.registered_height + SETTLED_HEIGHTS:
            self._board.note(registered=device is not None)
            return False
        if device.owner != self._owner.account:
            raise Refused("tx_known_device", "the chain knows this device as another owner's; use that owner's key")
        self._board.note(registered=True, registered_height=device.registered_height, problem=None)
        self._store(device.registered_height)
        self._emit("registered", height=device.registered_height, verified_height=height, owner=self._owner.address)
        return True

    def transaction(self) -> Transaction:
        """The registration, signed by owner and device; the sponsor's fee signature is still empty."""
        enrolment = self._enrolment()
        chain_id = enrolment.answer.chain_id
        account, height = self._chain.account(self._owner.account)
        agreed = self._identity.key.sign(device_register_bytes(chain_id, self._owner.account, self._identity.public))
        return transactions.sign(
            self._owner.key,
            chain_id,
            device_register(self._identity.public, agreed),
            nonce=account.nonce,
            fee=enrolment.answer.transaction_fee,
            valid_until_height=height + VALID_HEIGHTS,
            fee_payer=enrolment.sponsor,
        )

    def _send(self) -> bool:
        try:
            self._hub.post_json_answer(REGISTRATION_PATH, self.transaction().encode(), MEDIA_TYPE)
        except DccnError as error:
            if error.code not in HARMLESS:
                raise
        return True

    def _store(self, height: int) -> None:
        write_json(self._file, {**self._mark(), "height": height})
        self._is_proven = True

    def _stored(self) -> int | None:
        document = read_json(self._file) if self._file.exists() else None
        if not isinstance(document, dict) or any(document.get(key) != value for key, value in self._mark().items()):
            return None
        height = document.get("height")
        return height if isinstance(height, int) else None

    def _mark(self) -> dict[str, str]:
        """What a remembered registration belongs to: a chain that begins anew does not know us."""
        genesis = self._enrolment().answer.genesis_hash.hex()
        return {"genesis_hash": genesis, "owner": self._owner.address, "device": self._identity.device.hex()}

    def _confirmed(self, stop: threading.Event) -> bool:
        waited_s = 0.0
        while waited_s < CONFIRM_TIMEOUT_S and not stop.wait(CONFIRM_POLL_S):
            waited_s += CONFIRM_POLL_S
            if self.is_registered():
                return True
        return False
