"""The machine is what its model should be, as the golden profile says."""

from __future__ import annotations

import re

import pytest

from appliance.acceptance.probe import Probe

pytestmark = pytest.mark.needs_profile
MIB = 1 << 20
GIB = 1 << 30


def test_the_processor_is_the_models(probe: Probe, measured) -> None:
    wanted = probe.profile.processor
    model = probe.inventory().cpu_model() or ""
    threads = len(re.findall(r"^processor\s*:", probe.machine.text("proc/cpuinfo") or "", re.MULTILINE))
    measured("processor", model)
    measured("threads", threads)
    assert wanted.model in model
    assert threads >= wanted.threads


def test_all_memory_is_there(probe: Probe, measured) -> None:
    found = re.search(r"^MemTotal:\s+(\d+) kB", probe.machine.text("proc/meminfo") or "", re.MULTILINE)
    assert found, "the kernel does not tell how much memory there is"
    mib = int(found[1]) // 1024
    measured("memory_mib", mib)
    assert mib >= probe.profile.memory_mib


def test_all_disks_are_there_and_whole(probe: Probe, measured) -> None:
    disks = probe.inventory().disks()
    measured("disks", ", ".join(f"{disk.name} {(disk.size_bytes or 0) // GIB} GiB {disk.kind}" for disk in disks))
    for wanted in probe.profile.disks:
        fitting = [d for d in disks if d.kind == wanted.kind and (d.size_bytes or 0) >= wanted.size_gib * GIB]
        assert len(fitting) >= wanted.count, f"{wanted.count} disks of kind {wanted.kind} and {wanted.size_gib} GiB"


def test_all_cards_are_there_with_all_their_memory(probe: Probe, measured) -> None:
    cards = probe.inventory().gpus.inventory()
    on_bus = probe.machine.pci_cards()
    measured("cards", ", ".join(f"{card.pci} {card.name}" for card in cards))
    for wanted in probe.profile.cards:
        named = [card for card in cards if wanted.name in (card.name or "")]
        assert len(named) == wanted.count, f"{len(named)} of {wanted.count} cards {wanted.name} answer"
        assert all((card.memory_bytes or 0) // MIB >= wanted.memory_mib for card in named)
    expected = sum(wanted.count for wanted in probe.profile.cards)
    assert len(on_bus) == expected, f"{len(on_bus)} cards are on the PCI bus, the model has {expected}"


def test_all_network_interfaces_are_there(probe: Probe, measured) -> None:
    wires = [
        name for name in probe.machine.names("sys/class/net") if probe.machine.names(f"sys/class/net/{name}/device")
    ]
    measured("interfaces", ", ".join(wires))
    assert len(wires) >= probe.profile.network.count


@pytest.mark.parametrize(
    ("part", "folder"), [("tpm", "sys/class/tpm"), ("watchdog", "sys/class/watchdog")], ids=["tpm", "watchdog"]
)
def test_the_small_parts_are_there(probe: Probe, part: str, folder: str) -> None:
    if not getattr(probe.profile, part):
        pytest.skip(f"the model has no {part}")
    assert probe.machine.names(folder), f"there is no {part}"


def test_as_many_fans_measure_as_the_model_has(probe: Probe, measured) -> None:
    fans = probe.fans()
    measured("fans", len(fans))
    assert len(fans) >= probe.profile.fans
