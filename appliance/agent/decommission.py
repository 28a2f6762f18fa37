"""The end of this machine's life in its fleet, when the hub commands it: off the chain, a signed word, and the wipe.

Nothing is wiped before the hub has the signed statement, and nothing at all on a machine that is no appliance.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from appliance.agent.answer import Enrolment
from appliance.agent.clock import Clock
from appliance.agent.data_volume import DataVolume, data_volume
from appliance.agent.events import Emit
from appliance.agent.hub_client import HubClient
from appliance.agent.identity import Identity
from appliance.agent.owner import Owner
from appliance.agent.registration import HARMLESS, MEDIA_TYPE, VALID_HEIGHTS
from appliance.agent.verified_chain import VerifiedChain
from appliance.helper.client import Asking
from chain.errors import DccnError, Malformed, Refused
from chain.proofs.commands import Command
from chain.wire import transactions
from chain.wire.bodies import device_revoke
from fleet.protocol.decommission import NONCE_BYTES, WIPE_PATH, Phase, WipeStatement, sign_wipe
from fleet.protocol.enrolment import REGISTRATION_PATH

REVOKE_FOR_S: Final = 300.0
"""How long leaving the chain is tried; then the machine says that it is still on it, and goes on."""
POLL_S: Final = 1.0
WIPED: Final = Path("/run/dccn/wiped.json")
MAX_FILE_BYTES: Final = 4096


class Decommission:
    """Component: waits for the hub's command, which comes again for as long as it is not done."""

    name = "decommission"

    def __init__(
        self,
        *,
        identity: Identity,
        owner: Owner,
        enrolment: Callable[[], Enrolment],
        chain: VerifiedChain,
        hub: HubClient,
        helper: Asking | None,
        clock: Clock,
        emit: Emit,
        volume: Callable[[], DataVolume] = data_volume,
        revoke_for_s: float = REVOKE_FOR_S,
    ) -> None:
        self._identity = identity
        self._owner = owner
        self._enrolment = enrolment
        self._chain = chain
        self._hub = hub
        self._helper = helper
        self._clock = clock
        self._emit = emit
        self._volume = volume
        self._revoke_for_s = revoke_for_s
        self._wanted = threading.Event()
        self._nonce: bytes | None = None

    def take(self, command: Command) -> None:
        """The hub's command; Malformed when it brings no nonce."""
        match command.body:
            case [bytes() as nonce] if len(nonce) == NONCE_BYTES:
                self._nonce = nonce
                self._wanted.set()
            case _:
                raise Malformed("malformed", f"a decommission brings a nonce of {NONCE_BYTES} bytes")

    def wake(self) -> None:
        """Let `run` notice that it should stop."""
        self._wanted.set()

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._wanted.wait()
            self._wanted.clear()
            nonce, self._nonce = self._nonce, None
            if nonce is None or stop.is_set():
                continue
            self._emit("decommission_asked", nonce=nonce.hex())
            try:
                self._end(nonce, stop)
            except DccnError as error:
                self._emit("decommission_failed", reason=error.message, code=error.code)

    def _end(self, nonce: bytes, stop: threading.Event) -> None:
        if self._helper is None:
            raise Refused("verb_refused", "wiping a machine that is no appliance: remove the agent's home yourself")
        volume, chain_id = self._volume(), self._enrolment().answer.chain_id
        statement = WipeStatement(
            device=self._identity.device,
            chain=chain_id,
            nonce=nonce,
            at_ms=self._clock.now_ms(),
            phase=Phase.before,
            method=volume.method.value,
            volume=volume.uuid,
            revoked_height=self._leave_chain(stop),
        )
        self._hub.post_cose(WIPE_PATH, sign_wipe(statement, self._identity.key))
        self._emit("wipe_stated", method=statement.method, revoked_height=statement.revoked_height)
        self._helper.ask("factory-reset", {"nonce": nonce.hex(), "chain": chain_id})

    def _leave_chain(self, stop: threading.Event) -> int | None:
        """The height at which the chain's state proves that this device is nobody's; None when that did not come."""
        asked = False
        deadline_s = self._clock.monotonic_s() + self._revoke_for_s
        while self._clock.monotonic_s() < deadline_s:
            try:
                device, height = self._chain.device(self._identity.device)
                if device is None:
                    return height
                if device.owner != self._owner.account:
                    return None
                if not asked:
                    self._hub.post_json_answer(REGISTRATION_PATH, self._revocation(height), MEDIA_TYPE)
                    asked = True
                self._chain.update()
            except DccnError as error:
                if error.code not in HARMLESS:
                    self._emit("decommission_failed", reason=error.message, code=error.code)
                    asked = False
            if stop.wait(POLL_S):
                return None
        return None

    def _revocation(self, height: int) -> bytes:
        enrolment = self._enrolment()
        account, _ = self._chain.account(self._owner.account)
        return transactions.sign(
            self._owner.key,
            enrolment.answer.chain_id,
            device_revoke(self._identity.device),
            nonce=account.nonce,
            fee=enrolment.answer.transaction_fee,
            valid_until_height=height + VALID_HEIGHTS,
            fee_payer=enrolment.sponsor,
        ).encode()


@dataclass(frozen=True, slots=True)
class Afterwards:
    """The boot after the wipe: where the identity outlived it in the TPM, it speaks once more to the hub that asked."""

    identity: Identity
    hub: HubClient
    clock: Clock
    emit: Emit
    file: Path = WIPED
    volume: Callable[[], DataVolume] = data_volume

    def confirm(self) -> None:
        """Sends the statement if there is one to make; a hub that does not want it stops nothing."""
        report = self._report()
        if report is None or self.identity.tpm_key is None:
            return
        nonce, chain_id, method = report
        statement = WipeStatement(
            device=self.identity.device,
            chain=chain_id,
            nonce=nonce,
            at_ms=self.clock.now_ms(),
            phase=Phase.after,
            method=method,
            volume=self.volume().uuid,
            revoked_height=None,
        )
        try:
            self.hub.post_cose(WIPE_PATH, sign_wipe(statement, self.identity.key))
        except DccnError as error:
            self.emit("decommission_failed", reason=error.message, code=error.code)
        else:
            self.emit("wipe_confirmed", method=method)

    def _report(self) -> tuple[bytes, str, str] | None:
        """(nonce, chain, method) of the last reset, if a hub asked for it."""
        try:
            document = json.loads(self.file.read_bytes()[:MAX_FILE_BYTES])
            nonce, chain_id = str(document["asked"]).split(" ")
            return bytes.fromhex(nonce), chain_id, str(document["method"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
