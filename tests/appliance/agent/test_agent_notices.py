"""Which of the agent's events a person at the hub hears of."""

from __future__ import annotations

from appliance.agent.events import EVENTS
from appliance.agent.notices import NOTICES, Notices
from fleet.protocol.messages import Event
from fleet.protocol.topics import EVENT


class Upward:
    """Takes what would go up to the hub."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, Event]] = []

    def __call__(self, level: str, code: str, event: Event) -> None:
        self.sent.append((level, code, event))


def test_a_full_spool_is_told_here_and_at_the_hub(events, clock) -> None:
    upward = Upward()
    Notices(events, upward, clock)("spool_full", reason="64 MiB are used")
    assert [name for name, _ in events.seen] == ["spool_full"]
    assert upward.sent == [("crit", "spool_full", Event(at_ms=clock.now_ms(), text=upward.sent[0][2].text))]
    assert "64 MiB are used" in upward.sent[0][2].text


def test_everyday_events_stay_here(events, clock) -> None:
    upward = Upward()
    Notices(events, upward, clock)("record_accepted", seq=1)
    assert upward.sent == [] and [name for name, _ in events.seen] == ["record_accepted"]


def test_a_fault_that_repeats_goes_up_once_a_minute(events, clock) -> None:
    upward = Upward()
    notices = Notices(events, upward, clock)
    for _ in range(3):
        notices("component_failed", component="proving", again_s=1, reason="no beacon")
        clock.pass_ms(30_000)
    assert len(upward.sent) == 2 and len(events.seen) == 3


def test_every_notice_is_an_event_and_fits_its_topic() -> None:
    for name, level in NOTICES.items():
        assert name in EVENTS
        assert EVENT.topic("home", "0" * 32, level=level, code=name).endswith(f"event/{level}/{name}")
