"""Becoming a member at the start of the agent: at once, or, on an appliance, however long it takes.

An appliance has nobody who starts it again: it asks for as long as the hub is away, shows a new code when one expired,
and shows a code when its token is used up.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from appliance.agent import enrolment as enrolling
from appliance.agent.answer import Enrolment, load_enrolment
from appliance.agent.clock import HubClock
from appliance.agent.enrolment import RETRY_CAP_S, RETRY_FIRST_S, Renewal
from appliance.agent.events import Emit
from appliance.agent.identity import Identity
from appliance.agent.settings import Settings
from appliance.agent.status import StatusBoard, problem_of
from chain.errors import DccnError, Malformed


@dataclass(frozen=True, slots=True)
class Joining:
    """One start of the agent; `member` returns the enrolment that it works under."""

    settings: Settings
    identity: Identity
    clock: HubClock
    emit: Emit
    stop: threading.Event

    def member(self) -> Enrolment | None:
        """The stored enrolment, refreshed when the hub answers, which also tells the time; or a new one.

        None when `stop` was set first, on an appliance. Raises Malformed `usage` without enrolment and hub, and what
        enrolling raises; an appliance waits instead.
        """
        stored = load_enrolment(self.settings.enrolment_file)
        if stored is None:
            return self._enrol_patiently() if self.settings.unattended else self._enrol(self.settings.token)
        try:
            return Renewal(self.settings, self.identity, self.clock, self.emit, lambda _fresh: None).renew()
        except DccnError as error:
            if error.code == "device_unknown" and self.settings.hub_url is not None and self.settings.token is not None:
                return self._enrol(self.settings.token)
            self.emit("renewal_failed", reason=error.message, code=error.code, again_s=RETRY_FIRST_S)
            return stored

    def _enrol(self, token: str | None) -> Enrolment:
        hub = self.settings.hub_url
        if hub is None:
            raise Malformed(
                "usage", f"{self.settings.home} is not enrolled, and no hub is given: --hub https://HOST:PORT"
            )
        return enrolling.enrol(self.settings, hub, token, clock=self.clock, emit=self.emit, stop=self.stop)

    def _enrol_patiently(self) -> Enrolment | None:
        token, delay_s = self.settings.token, RETRY_FIRST_S
        board = StatusBoard(self.settings.status_file, self.clock, face=self.settings.face_folder)
        board.note(device=self.identity.topic_id, hub_url=self.settings.hub_url)
        board.write()
        while not self.stop.is_set():
            try:
                return self._enrol(token)
            except DccnError as error:
                over = error.code in ("token_invalid", "claim_invalid")
                if over:  # the next attempt shows a code, and nothing is wrong any more
                    token, delay_s = None, RETRY_FIRST_S
                board.note(problem=None if over else problem_of(error))
                board.write()
                self.emit("not_enrolled", reason=error.message, code=error.code, again_s=delay_s)
                self.stop.wait(delay_s)
                delay_s = min(delay_s * 2, RETRY_CAP_S)
        return None
