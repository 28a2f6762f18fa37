"""The registry of everything that can ail a machine: how bad it is, what the owner can do, and which repairs are tried.

`docs/doctor.md` is generated from it. A ladder is climbed in its order and never past its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["info", "warn", "crit"]
SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warn", "crit")

CARD: Final = ("restart-workload", "reset-clocks", "reset-gpu", "quarantine-gpu", "reboot")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem.

    - `check`: the file under `checks/` that finds it.
    - `meaning` and `advice`: one sentence each, the second for the owner.
    - `ladder`: names of repairs, the mildest first; empty where only a person can help.
    - `spares_work`: whatever its ladder says, no repair that interrupts work is ever tried for it.
    """

    check: str
    severity: Severity
    meaning: str
    advice: str
    ladder: tuple[str, ...] = ()
    spares_work: bool = False


KINDS: Final[dict[str, Kind]] = {
    "gpu_lost": Kind(
        "gpu_lost",
        "crit",
        "A graphics card that was there no longer answers its driver.",
        "Check its power cables, riser and seat; a card that is lost again and again is defective.",
        CARD,
    ),
    "gpu_missing": Kind(
        "gpu_lost",
        "warn",
        "A graphics card of an earlier boot was not found at this one.",
        "Seat it again, if you did not take it out; after seven days it is forgotten.",
    ),
    "gpu_driver": Kind(
        "gpu_lost",
        "warn",
        "There is a graphics card, and no driver that answers for it.",
        "Flash an image with a driver for it (profile x86-nvidia), or install NVIDIA's driver.",
    ),
    "gpu_error": Kind(
        "gpu_errors",
        "crit",
        "The driver reports an error after which the card cannot be trusted (Xid).",
        "Look up the Xid number; memory errors that come back mean that the card is defective.",
        CARD,
    ),
    "gpu_hot": Kind(
        "overheating",
        "warn",
        "A graphics card slows itself down because of its heat.",
        "Clean its fans and let air through; lower its power limit.",
        ("reset-clocks", "restart-workload", "quarantine-gpu"),
    ),
    "machine_hot": Kind(
        "overheating",
        "warn",
        "A sensor of the machine is at its critical temperature.",
        "Clean the fans and let air through; check the processor's cooler.",
    ),
    "disk_full": Kind(
        "disk_full",
        "crit",
        "A file system has almost no room left.",
        "Use a larger disk, or remove what you have put on it.",
        ("vacuum-journal", "remove-images"),
    ),
    "disk_worn": Kind(
        "disk_worn",
        "warn",
        "A disk has used up most of the writing it was made for.",
        "Replace it soon; all that is lost with it is made anew.",
    ),
    "disk_failing": Kind(
        "disk_worn",
        "crit",
        "A disk reports that it fails.",
        "Replace it now.",
    ),
    "clock_off": Kind(
        "clock",
        "warn",
        "The machine's clock differs from the hub's.",
        "Let it reach a time server (NTP, UDP port 123); replace the battery of the main board.",
        ("set-clock",),
        spares_work=True,
    ),
    "clock_unsynchronised": Kind(
        "clock",
        "info",
        "No time server keeps the machine's clock.",
        "Let it reach a time server (NTP, UDP port 123), or name one in dccn.toml.",
        ("set-clock",),
        spares_work=True,
    ),
    "network_link": Kind(
        "network",
        "warn",
        "No network interface has a link.",
        "Plug the cable in at both ends; look at the switch.",
        spares_work=True,
    ),
    "network_address": Kind(
        "network",
        "warn",
        "There is a link, and no address.",
        "Look whether the router gives addresses (DHCP), or set a fixed one in dccn.toml.",
        spares_work=True,
    ),
    "network_names": Kind(
        "network",
        "warn",
        "The hub's name does not resolve.",
        "Look whether the router's DNS works, or name another server in dccn.toml.",
        ("restart-resolver",),
        spares_work=True,
    ),
    "network_hub": Kind(
        "network",
        "info",
        "The hub does not take connections.",
        "Nothing to do: records wait on the disk. If it lasts, ask the hub's operator, and look at your firewall.",
        spares_work=True,
    ),
    "k3s_down": Kind(
        "k3s",
        "crit",
        "k3s should run and does not, or does not answer for its health.",
        "Read its log: journalctl -u k3s.",
        ("restart-k3s", "reboot"),
    ),
    "containerd_silent": Kind(
        "containerd",
        "crit",
        "The container runtime takes no connections.",
        "Read its log: journalctl -u k3s.",
        ("restart-k3s", "reboot"),
    ),
    "memory_short": Kind(
        "memory",
        "warn",
        "Programs wait for memory most of the time.",
        "Give the machine more memory, or fewer and smaller workloads.",
        ("restart-workload",),
    ),
    "agent_silent": Kind(
        "spool",
        "crit",
        "The agent has given no sign of life.",
        "Read its log: journalctl -u dccn-agent.",
        ("restart-agent",),
    ),
    "spool_full": Kind(
        "spool",
        "crit",
        "The agent's spool is full: it makes no new records.",
        "See why the hub takes none: dccn agent status.",
    ),
    "spool_rolled_back": Kind(
        "spool",
        "crit",
        "The hub knows records that this disk does not: an older copy of the disk runs here.",
        "Enrol again to start a new record chain, and never run two copies of one disk.",
    ),
}
