"""How PCI addresses are spelled: everywhere in this package as sysfs spells them."""

from __future__ import annotations


def pci_address(text: str | bytes) -> str:
    """As sysfs spells it: NVML gives the domain eight digits and capital letters, the kernel log no function."""
    written = (text.decode("ascii", "replace") if isinstance(text, bytes) else text).strip("\0").lower()
    domain, _, rest = written.partition(":")
    return f"{domain[-4:].zfill(4)}:{rest}" + ("" if "." in rest else ".0")
