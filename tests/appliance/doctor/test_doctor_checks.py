"""Each check against recorded machines: silent where all is well, and the right problem where something is not."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ward import BOOT, GIB, NOW_MS, Ward, nvme_health, unit_properties, well_ward

import appliance.doctor.checks as checks
import appliance.doctor.repairs as repairs
from appliance.doctor.examine import CHECKS, examine
from appliance.doctor.findings import Verdict
from appliance.doctor.machine import Answer, Machine, Room, ask, connects
from appliance.doctor.pci import pci_address
from appliance.doctor.problems import KINDS
from appliance.doctor.repairing import REPAIRS
from chain.outward import Proxy

CARD = "0000:02:00.0"


def problems(machine: Machine) -> set[tuple[str | None, str]]:
    return {(one.kind, one.subject) for _name, one in examine(machine) if one.verdict is Verdict.problem}


@pytest.fixture
def ward(tmp_path: Path) -> Ward:
    return well_ward(tmp_path)


def test_nothing_ails_a_machine_that_is_well(ward: Ward) -> None:
    found = list(examine(ward.machine(cards={"0000:01:00.0": BOOT, CARD: BOOT})))
    assert {name for name, _one in found} == set(CHECKS)
    assert [one.said for _name, one in found if one.verdict is not Verdict.well] == []


def test_a_machine_of_which_nothing_can_be_read_is_unknown_and_not_ill(tmp_path: Path) -> None:
    def refuses(_path: Path) -> Room:
        raise OSError(5, "Input/output error")

    found = list(examine(Ward(tmp_path).machine(room=refuses)))
    assert {one.kind for _name, one in found if one.verdict is Verdict.problem} <= {"network_link"}
    assert {name for name, one in found if one.verdict is Verdict.unknown} >= {"disk_full", "memory", "clock", "spool"}


def lose_a_card(ward: Ward) -> None:
    assert ward.nvml is not None
    ward.nvml.cards[1].is_lost = True


def put(path: str, text: str) -> Callable[[Ward], None]:
    return lambda ward: ward.put(path, text)


def answer(words: str, out: object, code: int = 0) -> Callable[[Ward], None]:
    return lambda ward: ward.answer(words, out, code)


def change(**fields: object) -> Callable[[Ward], None]:
    def apply(ward: Ward) -> None:
        assert ward.status is not None
        ward.status = msgspec.structs.replace(ward.status, **fields)

    return apply


def give(**fields: object) -> Callable[[Ward], None]:
    def apply(ward: Ward) -> None:
        for name, value in fields.items():
            setattr(ward, name, value)

    return apply


def heat(ward: Ward, **fields: int) -> None:
    assert ward.nvml is not None
    ward.nvml.cards[1] = replace(ward.nvml.cards[1], **fields)


XID = "1799999995.120000 box kernel: NVRM: Xid (PCI:0000:02:00): {xid}, pid='<unknown>', name=<unknown>, text\n"
ATA = {
    "smart_status": {"passed": True},
    "ata_smart_attributes": {"table": [{"id": 197, "value": 100, "raw": {"value": 8}}]},
}
WORN_ATA = {
    "smart_status": {"passed": True},
    "ata_smart_attributes": {"table": [{"id": 177, "value": 4, "raw": {"value": 3000}}]},
}

ILLS: dict[str, tuple[Callable[[Ward], None], tuple[str, str]]] = {
    "a card that no longer answers": (lose_a_card, ("gpu_lost", CARD)),
    "a driver that is gone": (give(nvml=None), ("gpu_lost", CARD)),
    "a card off the bus by its Xid": (answer("journalctl --dmesg --boot", XID.format(xid=79)), ("gpu_error", CARD)),
    "an uncorrected memory error": (answer("journalctl --dmesg --boot", XID.format(xid=48)), ("gpu_error", CARD)),
    "a card that throttles for heat": (lambda ward: heat(ward, throttle_reasons=0x40), ("gpu_hot", CARD)),
    "a card at its limit": (lambda ward: heat(ward, degrees=93), ("gpu_hot", CARD)),
    "a hot processor": (put("sys/class/hwmon/hwmon0/temp1_input", "95000"), ("machine_hot", "k10temp/temp1")),
    "a full disk": (give(room=Room(100 * GIB, GIB - 1, 1000, 900)), ("disk_full", "/data")),
    "a disk without inodes": (give(room=Room(100 * GIB, 50 * GIB, 1000, 49)), ("disk_full", "/data")),
    "a worn disk": (answer("smartctl", nvme_health(percentage_used=90)), ("disk_worn", "nvme0n1")),
    "media errors": (answer("smartctl", nvme_health(media_errors=2), 64), ("disk_failing", "nvme0n1")),
    "a critical warning": (answer("smartctl", nvme_health(critical_warning=4)), ("disk_failing", "nvme0n1")),
    "too few spare blocks": (answer("smartctl", nvme_health(available_spare=9)), ("disk_failing", "nvme0n1")),
    "unreadable sectors": (answer("smartctl", ATA), ("disk_failing", "nvme0n1")),
    "a worn SATA disk": (answer("smartctl", WORN_ATA), ("disk_worn", "nvme0n1")),
    "memory pressure": (put("proc/pressure/memory", "full avg10=1 avg60=61.20 avg300=3"), ("memory_short", "")),
    "a clock that is off": (change(clock_offset_ms=-90_000, written_ms=NOW_MS - 95_000), ("clock_off", "")),
    "a clock that nobody keeps": (answer("timedatectl show", "no\n"), ("clock_unsynchronised", "")),
    "no link": (put("sys/class/net/eth0/carrier", "0"), ("network_link", "")),
    "no address": (answer("ip -json address", [{"ifname": "eth0", "addr_info": []}]), ("network_address", "")),
    "no names": (give(names=set()), ("network_names", "")),
    "no proxy": (give(proxy=Proxy("proxy.example", 3128)), ("network_names", "")),
    "a proxy that refuses": (
        give(proxy=Proxy("proxy.example", 3128), names={"proxy.example"}, open_ports={("127.0.0.1", 10248)}),
        ("network_hub", ""),
    ),
    "no hub": (give(open_ports={("127.0.0.1", 10248)}), ("network_hub", "")),
    "k3s that failed": (answer("systemctl show k3s.service", unit_properties("failed", "failed", 5)),
                        ("k3s_down", "k3s.service")),
    "k3s that starts again and again": (
        answer("systemctl show k3s.service", unit_properties("activating", "auto-restart", 9)),
        ("k3s_down", "k3s.service")),
    "a kubelet that does not answer": (give(open_ports={("hub.example", 8443)}), ("k3s_down", "k3s.service")),
    "an agent without a sign of life": (change(written_ms=NOW_MS - 600_000), ("agent_silent", "")),
    "a full spool": (change(spool_state="full"), ("spool_full", "")),
    "a rolled back spool": (change(spool_state="rolled_back"), ("spool_rolled_back", "")),
}  # fmt: skip


@pytest.mark.parametrize("name", ILLS)
def test_each_ill_is_found_for_what_it_is(ward: Ward, name: str) -> None:
    harm, expected = ILLS[name]
    harm(ward)
    found = problems(ward.machine(cards={CARD: BOOT}))
    assert expected in found
    assert found - {expected} <= {("gpu_driver", "0000:01:00.0")}, "one ill is not to be taken for another"


def test_a_card_that_left_the_bus_in_this_boot_is_lost_and_one_of_an_earlier_boot_is_missing(ward: Ward) -> None:
    gone = {"0000:07:00.0": BOOT, "0000:08:00.0": "an earlier boot"}
    assert problems(ward.machine(cards=gone)) == {("gpu_lost", "0000:07:00.0"), ("gpu_missing", "0000:08:00.0")}


def test_a_machine_with_cards_and_never_a_driver_wants_a_driver_and_no_repair(ward: Ward) -> None:
    ward.nvml = None
    assert problems(ward.machine()) == {("gpu_driver", "0000:01:00.0"), ("gpu_driver", CARD)}
    assert KINDS["gpu_driver"].ladder == ()


def test_errors_of_programs_are_no_fault_of_a_card(ward: Ward) -> None:
    ward.answer("journalctl --dmesg --boot", "".join(XID.format(xid=xid) for xid in (13, 31, 43, 45, 63, 94)))
    assert problems(ward.machine()) == set()


def test_an_error_from_before_the_last_repair_of_its_card_counts_no_more(ward: Ward) -> None:
    ward.answer("journalctl --dmesg --boot", XID.format(xid=79))
    at_ms = 1_799_999_995_120
    assert problems(ward.machine(repaired_ms={CARD: at_ms - 1})) == {("gpu_error", CARD)}
    assert problems(ward.machine(repaired_ms={CARD: at_ms})) == set()
    assert problems(ward.machine(repaired_ms={"0000:01:00.0": at_ms})) == {("gpu_error", CARD)}


def test_a_sensor_that_is_not_connected_is_no_fire(ward: Ward) -> None:
    ward.put("sys/class/hwmon/hwmon1/name", "nct6775")
    ward.put("sys/class/hwmon/hwmon1/temp9_input", "255500")
    ward.put("sys/class/hwmon/hwmon1/temp8_input", "-128000")
    ward.put("sys/class/hwmon/hwmon1/temp7_input", "not a number")
    assert problems(ward.machine()) == set()


@pytest.mark.parametrize("text", ["", "null", "7", '{"smart_status": 7}', "{" * 100_000, "\x00\xff", '{"a": [[[]]]}'])
def test_nonsense_from_a_program_is_unknown_and_never_a_problem(ward: Ward, text: str) -> None:
    for words in list(ward.answers):
        ward.answer(words, text)
    assert problems(ward.machine()) == set()


def test_a_check_that_breaks_does_not_hide_the_others(ward: Ward) -> None:
    def breaks(argv: Sequence[str]) -> Answer:
        if argv[0] == "smartctl":
            raise RuntimeError("the recorder is broken")
        return ward.ask(argv)

    ward.put("sys/class/net/eth0/carrier", "0")
    found = list(examine(ward.machine(ask=breaks)))
    assert ("network_link", "") in {(one.kind, one.subject) for _name, one in found}
    assert any(name == "disk_worn" and "RuntimeError" in one.said for name, one in found)


FILES = [
    "proc/pressure/memory", "proc/meminfo", "sys/class/net/eth0/carrier", "sys/class/hwmon/hwmon0/temp1_input",
    "sys/class/hwmon/hwmon0/temp1_crit", "sys/class/hwmon/hwmon0/name", "sys/bus/pci/devices/0000:02:00.0/class",
    "sys/bus/pci/devices/0000:02:00.0/vendor", "run/dccn-disks/nvme0n1.json",
]  # fmt: skip
PROGRAMS = ["journalctl", "smartctl", "ip -json", "timedatectl", "systemctl show"]
names = st.sampled_from(
    ["smart_status", "passed", "nvme_smart_health_information_log", "percentage_used", "media_errors", "ifname", "eth0",
     "addr_info", "local", "ata_smart_attributes", "table", "id", "value", "raw"]
)  # fmt: skip
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | names,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5),
    max_leaves=15,
)
shaped = st.lists(st.fixed_dictionaries({"ifname": st.just("eth0"), "addr_info": documents}), max_size=2) | (
    st.fixed_dictionaries(
        {"smart_status": documents, "nvme_smart_health_information_log": documents, "ata_smart_attributes": documents}
    )
)
"""Documents of the right form on the outside: these get past the first look."""
texts = shaped.map(json.dumps) | st.text(max_size=80) | documents.map(json.dumps) | st.integers().map(str)


@given(st.dictionaries(st.sampled_from(FILES), texts, max_size=4), st.dictionaries(st.sampled_from(PROGRAMS), texts))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
def test_no_text_in_any_file_or_answer_breaks_a_check(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, str], answers: dict[str, str]
) -> None:
    ward = well_ward(tmp_path_factory.mktemp("machine"))
    for path, text in files.items():
        ward.put(path, text.replace("\ud800", "?"))
    for words, text in answers.items():
        ward.answer(words, text)
    assert [one.said for _name, one in examine(ward.machine(cards={CARD: BOOT})) if "broke" in one.said] == []


def test_every_kind_is_found_by_the_check_that_it_names_and_no_check_finds_an_unregistered_one() -> None:
    folder = Path(checks.__file__).parent
    reported: dict[str, set[str]] = {}
    for path in folder.glob("[a-z]*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "problem":
                kind = node.args[0]
                assert isinstance(kind, ast.Constant) and isinstance(kind.value, str)
                reported.setdefault(path.stem, set()).add(kind.value)
    registered = {(kind.check, name) for name, kind in KINDS.items()}
    assert {(check, name) for check, names in reported.items() for name in names} == registered
    assert {path.stem for path in folder.glob("[a-z]*.py")} == set(CHECKS)


def test_every_step_of_every_ladder_is_a_repair_and_no_repair_is_without_a_ladder() -> None:
    used = {name for kind in KINDS.values() for name in kind.ladder}
    assert used == set(REPAIRS)
    files = {path.stem for path in Path(repairs.__file__).parent.glob("[a-z]*.py")}
    assert files == {name.replace("-", "_") for name in REPAIRS}


def test_pci_addresses_of_the_driver_the_kernel_and_sysfs_are_the_same() -> None:
    spelled = [b"00000000:0A:00.0", "0000:0a:00.0", "0000:0A:00", "00000000:0a:00.0\0"]
    assert {pci_address(each) for each in spelled} == {"0000:0a:00.0"}


def test_real_programs_are_asked_with_bounds() -> None:
    assert ask(["echo", "a b"]) == Answer(0, "a b\n")
    assert ask(["false"]).code == 1
    assert ask(["no-such-program-here"]) == Answer(None)


def test_a_real_port_is_told_from_a_closed_one(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        assert connects(server.getsockname())
        port = server.getsockname()
    assert not connects(port)
    assert not connects(tmp_path / "no.sock")
