"""Which machines the page lists first, and how it says what repeats itself."""

import pytest

from fleet.hub.actions.events import DeviceOnline, MessageRefused
from fleet.hub.api.overview import DeviceLine, GpuLine, Pog
from fleet.hub.page.roster import CARDS_AT_MOST, LINES_AT_MOST, models, other_proofs, proof_of, proven_rate, roster
from fleet.hub.page.sentences import lines
from fleet.hub.page.words import measure
from fleet.protocol.messages import Problem


def line(name, **told):
    nothing = dict.fromkeys(DeviceLine.__struct_fields__)
    counts = {"contradictions": 0, "records_accepted": 0, "records_refused": 0, "gpus": [], "problems": [], "pog": []}
    return DeviceLine(**{**nothing, **counts, "device": name, "online": True, **told})


def proof(gpu, rate):
    return Pog(gpu=gpu, passed=1, failed=0, rate=rate, last_code=None, history=[rate])


def gpu(index, name):
    return GpuLine(index=index, uuid=f"GPU-{index}", name=name, memory_bytes=None, gauges=None)


def ailment(severity):
    return Problem(id="1", kind="gpu_lost", subject="", severity=severity, since_ms=0, said="", suggestion="")


def names(devices):
    return [device.device for device in devices]


def test_few_machines_keep_their_places_and_have_cards():
    devices = [line(str(index), online=index % 2 == 0) for index in range(CARDS_AT_MOST)]
    assert roster(devices).cards == devices and not roster(devices).lines


def test_of_many_those_come_first_that_somebody_should_look_at():
    ordinary = [line(f"ordinary-{index}", pog=[proof("cpu", 5)]) for index in range(CARDS_AT_MOST)]
    strong, new = line("strong", pog=[proof("cpu", 5), proof("GPU-1", 90)]), line("not seen yet", online=None)
    refused, left = line("refused", records_refused=1), line("left", online=False)
    twice, ill = line("key used twice", contradictions=1), line("ill", problems=[ailment("crit")])
    shown = roster([*ordinary, new, strong, refused, left, ill, twice])
    assert names(shown.lines)[:5] == ["key used twice", "left", "ill", "refused", "strong"]
    assert names(shown.lines)[-1] == "not seen yet" and shown.hidden == 0 and not shown.cards


def test_a_list_ends_and_says_how_many_it_leaves_out():
    shown = roster([line(f"{index:04}") for index in range(LINES_AT_MOST + 3)])
    assert (len(shown.lines), shown.hidden) == (LINES_AT_MOST, 3)


def test_a_machine_has_proven_what_its_processors_have():
    device = line("a", gpus=[gpu(0, "X")], pog=[proof("cpu", 5), proof("GPU-0", 90), proof("GPU-9", None)])
    assert proven_rate(device) == 95 and proven_rate(line("b")) is None
    assert proof_of(device, "GPU-0").rate == 90 and proof_of(device, "GPU-1") is None
    assert [pog.gpu for pog in other_proofs(device)] == ["cpu", "GPU-9"]


def test_gpus_of_one_model_are_said_once():
    assert models([gpu(0, "X"), gpu(1, None), gpu(2, "X")]) == ["2 × X", "GPU"]


def test_what_repeats_itself_is_said_once_with_its_newest_time():
    def refused(at_ms, code="bad_signature", device="a"):
        return MessageRefused(at_ms=at_ms, device=device, code=code, detail="", topic="t")

    events = [refused(9), refused(8), refused(7, device="b"), DeviceOnline(at_ms=6, device="a"), refused(5)]
    told = [(entry.at_ms, entry.device, entry.times) for entry in lines(events)]
    assert told == [(9, "a", 2), (7, "b", 1), (6, "a", 1), (5, "a", 1)]


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (41.5, "42 %"), (0, "0 %")])
def test_a_sensor_that_says_nothing_is_unknown_and_not_zero(value, text):
    assert measure(value, " %") == text
