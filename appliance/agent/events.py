"""What the agent tells its surroundings: one JSON line per event for programs, one sentence per event for people."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Protocol, TextIO

EVENTS: Mapping[str, str] = {
    "agent_started": "agent {version} runs as device {device}",
    "agent_stopped": "agent stopped: {reason}",
    "identity_opened": "the identity key is held by {held_by} {reason}",
    "attested": "the hub believes that this machine booted {image}; its TPM is of {manufacturer}",
    "attestation_failed": "what was booted is not proven, again in {again_s} s: {reason}",
    "claim_code": "type this code on the hub's page within {minutes} minutes: {code}",
    "not_enrolled": "not a member of a fleet yet, again in {again_s} s: {reason}",
    "enrolled": "enrolled as device {device} in fleet {fleet}",
    "certificate_renewed": "client certificate renewed for {hours} h",
    "renewal_failed": "the client certificate was not renewed, again in {again_s} s: {reason}",
    "clock_off": "this machine's clock is {offset_s} s off; records carry the hub's time",
    "connected": "connected to the broker {broker}",
    "disconnected": "connection to the broker lost: {reason}",
    "registered": "the chain knows this device since height {height}",
    "record_accepted": "the hub accepted the records up to number {seq}",
    "spool_full": "the spool is full ({reason}): no new records until the hub accepts some",
    "spool_resumed": "the spool has room again",
    "loads_unread": "records are written without the workloads' use: {reason}",
    "loads_read": "records have the workloads' use again",
    "chain_rolled_back": "the hub knows record {hub_seq}, this disk only {own_seq}: enrol again to start a new chain",
    "command_refused": "a command was refused: {reason}",
    "pog_committed": "answered challenge {challenge_height} with {rows} rows in {elapsed_ms} ms, {gops} Gop/s",
    "pog_opened": "opened challenge {challenge_height}",
    "pog_passed": "the chain counts {passed} passed challenges in reward epoch {reward_epoch}",
    "pog_failed": "challenge {challenge_height} failed: {reason}",
    "inclusion_verified": "record {seq} is in block {height}, checked from leaf to header",
    "inclusion_failed": "what the hub says of record {seq} does not lead to the chain: {reason}",
    "reward_verified": "{amount} ANKR credited, proven at height {height}",
    "problem_grave": "{kind}: {said}. {suggestion}",
    "problem_found": "{kind}: {said}. {suggestion}",
    "problem_over": "{kind}: it is over",
    "repair_tried": "{kind}: tried {repair}, {outcome}",
    "update_given_up": "version {version} did not prove itself in {tries} boots, {running} is back: {reason}",
    "system_degraded": "version {version} does not work as it should: {reason}",
    "system_kept": "version {version} in slot {slot} has proved itself and stays",
    "update_installed": "another system is installed: {reason}",
    "update_failed": "this machine could not update itself: {reason}",
    "decommission_asked": "the hub asked for the end of this device: it leaves the chain and wipes its data",
    "decommission_failed": "the end that the hub asked for did not come: {reason}",
    "wipe_stated": "the hub has this device's signed word that it wipes its data now ({method})",
    "wipe_confirmed": "the hub has this device's signed word that its data was wiped ({method})",
    "component_failed": "{component} failed and starts again in {again_s} s: {reason}",
}
"""Every event that the agent emits, with the sentence a person reads; a test holds both sides together."""


def sentence(event: str, fields: Mapping[str, object]) -> str:
    """The event as a person reads it; a field that was left out reads as a question mark."""
    return EVENTS[event].format_map(_Lenient(fields))


class Emit(Protocol):
    """How components report an event: the name from `EVENTS` and its fields."""

    def __call__(self, event: str, /, **fields: object) -> None: ...


class EventStream:
    """Writes events to a text stream, whole lines only, from any thread."""

    def __init__(self, *, as_json: bool, now_ms: Callable[[], int], stream: TextIO | None = None) -> None:
        self._as_json = as_json
        self._now_ms = now_ms
        self._stream = stream if stream is not None else sys.stdout
        self._lock = threading.Lock()

    def __call__(self, event: str, /, **fields: object) -> None:
        if self._as_json:
            line = json.dumps({"event": event, "time_ms": self._now_ms(), **fields}, ensure_ascii=False)
        else:
            line = sentence(event, fields)
        with self._lock:
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (BrokenPipeError, ValueError):
                pass  # nobody listens any more; the work goes on, the status file tells the same


class _Lenient(dict[str, object]):
    def __missing__(self, key: str) -> str:
        return "?"
