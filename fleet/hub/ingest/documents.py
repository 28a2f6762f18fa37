"""The JSON messages of devices: each leaf's struct, and the action that notes it."""

from __future__ import annotations

from fleet.hub.actions.desk import Desk
from fleet.hub.actions.devices import do_note_event, do_note_reported, do_note_state, note_telemetry
from fleet.hub.ingest.messages import Document
from fleet.protocol.messages import Event, GpuTelemetry, Reported, State, SystemTelemetry, decode
from fleet.protocol.topics import EVENT, REPORTED, STATE, TELEMETRY_GPU, TELEMETRY_SYSTEM


def note_document(desk: Desk, document: Document) -> None:
    """Hand a known device's message to its action. Raises Malformed when it is not what its leaf promises.

    An empty payload clears a retained message at the broker and says nothing.
    """
    if not document.payload:
        return
    device, arguments = document.address.device, document.address.arguments
    match document.address.leaf.name:
        case STATE.name:
            do_note_state(desk, device, decode(document.payload, State))
        case REPORTED.name:
            do_note_reported(desk, device, decode(document.payload, Reported))
        case TELEMETRY_SYSTEM.name:
            note_telemetry(desk, device, decode(document.payload, SystemTelemetry), None)
        case TELEMETRY_GPU.name:
            index = arguments["index"]
            gpu = int(index) if index.isascii() and index.isdigit() and len(index) < 4 else None
            note_telemetry(desk, device, decode(document.payload, GpuTelemetry), gpu)
        case EVENT.name:
            do_note_event(desk, device, arguments["level"], arguments["code"], decode(document.payload, Event))
