"""The boot loader itself sorts names as the model of it says; one start of the loader answers for many names."""

from __future__ import annotations

import random
from pathlib import Path

from appliance.agent.updates import boot_entries
from appliance.boots.loader import VENDOR
from tests.appliance.image.boot import systems
from tests.appliance.image.boot.machine import Machine

BOOT_S = 200
VERSIONS = ["1", "2", "10", "1.0", "1.0.1", "1.0~rc1", "1.0-1", "1.0^a", "1.0a", "1.10", "0.9", "1a", "2~1", "01.5"]
COUNTERS = ["", "+3", "+2-1", "+1-2", "+0-3", "+0", "+0-12", "+12", "+3-1"]
ASK = f"""
mkdir -p /sys /dev
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
modprobe efivarfs
mount -t efivarfs efivarfs /sys/firmware/efi/efivars
cd /sys/firmware/efi/efivars
for name in $(tail -c +5 LoaderEntries-{VENDOR} | tr -s '\\000' '\\n' | tr -d '\\n' | sed 's/\\.efi/.efi /g'); do
    echo "ENTRY $name" > /dev/ttyS0
done
echo "ASKED $(tail -c +5 LoaderBootCountPath-{VENDOR} | tr -d '\\000')" > /dev/ttyS0
sync
echo o > /proc/sysrq-trigger
sleep 60
"""


def test_the_loader_sorts_names_and_counts_as_the_model_says(image: Path, tmp_path: Path) -> None:
    draw = random.Random(20)
    names = {f"dccn_{version}{draw.choice(COUNTERS)}.efi" for version in VERSIONS for _ in range(2)}
    newest = boot_entries.fresh("99")
    with Machine(tmp_path / "machine", image) as machine:
        kernel = systems.kernel(machine.disk)
        for name in systems.entries(machine.disk):
            systems.remove_entry(machine.disk, name)
        for name in sorted(names, key=lambda _: draw.random()):
            entry = boot_entries.parse(name)
            assert entry is not None
            systems.add_entry(machine.disk, name, systems.without_kernel(kernel, entry.version))
        systems.add_entry(machine.disk, newest.name, systems.asking(kernel, newest.version, ASK))
        names.add(newest.name)
        machine.switch_on()
        asked = machine.until(lambda lines: next((each for each in lines if "ASKED" in each), None), BOOT_S, "answer")
        order = machine.until(lambda lines: [each.split()[1] for each in lines if "ENTRY dccn_" in each], 5, "order")
        assert order == boot_entries.in_order(names)
        assert asked.endswith(newest.attempted().name)
        assert set(systems.entries(machine.disk)) == names - {newest.name} | {newest.attempted().name}
