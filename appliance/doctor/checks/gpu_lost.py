"""Whether every graphics card on the PCI bus answers its driver, and whether one is gone that was there."""

from __future__ import annotations

from appliance.doctor.findings import Finding, problem, unknown, well
from appliance.doctor.machine import Machine


def check(machine: Machine) -> list[Finding]:
    on_bus = machine.pci_cards()
    answering = {address for address, _nvml, _handle in machine.nvml_cards()}
    gone = sorted(set(machine.cards) - set(on_bus) - answering)
    findings = [_gone(machine, address) for address in gone]
    if not on_bus and not answering:
        return findings or [well("there is no NVIDIA card in this machine")]
    if machine.nvml() is None:
        return [*findings, *(_silent(machine, address) for address in on_bus)]
    for address in sorted(answering.union(on_bus)):
        if address in answering:
            findings.append(well(f"the card {address} answers its driver"))
        elif machine.text(f"sys/bus/pci/devices/{address}/driver_override") == "vfio-pci":
            findings.append(unknown(f"the card {address} is given to a virtual machine", subject=address))
        else:
            findings.append(
                problem("gpu_lost", f"the card {address} is on the PCI bus and does not answer its driver", address)
            )
    return findings


def _gone(machine: Machine, address: str) -> Finding:
    if machine.cards[address] == machine.boot:
        return problem("gpu_lost", f"the card {address} fell off the PCI bus", address)
    return problem("gpu_missing", f"the card {address}, which an earlier boot had, is not there", address)


def _silent(machine: Machine, address: str) -> Finding:
    """Without NVML at all: a driver that answered in this boot was lost with its card, another was never there."""
    if machine.cards.get(address) == machine.boot:
        return problem("gpu_lost", f"the driver of the card {address} no longer answers", address)
    return problem("gpu_driver", f"the card {address} has no driver that answers", address)
