"""How far the network reaches: a link, an address, names, the hub. Only the first that lacks is reported."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from appliance.doctor.findings import Finding, problem, unknown, well
from appliance.doctor.machine import Machine
from chain.errors import Malformed

ADDRESSES: Final = ("ip", "-json", "address", "show", "scope", "global")
VIRTUAL: Final = ("lo", "cni", "flannel", "veth", "docker", "br-", "virbr", "kube-", "nodelocaldns", "tailscale", "wg")


def check(machine: Machine) -> list[Finding]:
    wires = [name for name in machine.names("sys/class/net") if not name.startswith(VIRTUAL)]
    linked = [name for name in wires if machine.text(f"sys/class/net/{name}/carrier") == "1"]
    if not linked:
        return [problem("network_link", f"none of {', '.join(wires) or 'its network interfaces'} has a link")]
    if addresses(machine, linked) == []:
        return [problem("network_address", f"{', '.join(linked)} has a link, and no address")]
    hub = machine.status.hub_url if machine.status is not None else None
    if hub is None:
        return [well(f"{linked[0]} has a link; no hub is known here")]
    return [_hub(machine, hub)]


def _hub(machine: Machine, url: str) -> Finding:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
    except ValueError:
        return unknown(f"{url!r} is not the address of a hub")
    try:
        proxy = machine.proxy(host)
    except Malformed as error:
        return problem("network_hub", error.message)
    asked, way = (host, "") if proxy is None else (proxy.host, f" through the proxy {proxy.host}")
    if not machine.resolves(asked):
        return problem("network_names", f"the name {asked} does not resolve")
    if not machine.connects((host, port)):
        return problem("network_hub", f"{host} takes no connection at port {port}{way}")
    return well(f"the hub {host} takes connections{way}")


def addresses(machine: Machine, linked: list[str]) -> list[str] | None:
    """The addresses of interfaces with a link; None when nobody could tell."""
    document: Any = machine.answer_json(ADDRESSES)
    if not isinstance(document, list):
        return None
    found = []
    for item in document:
        told = item.get("addr_info") if isinstance(item, dict) and item.get("ifname") in linked else None
        if isinstance(told, list):
            found += [str(each.get("local")) for each in told if isinstance(each, dict)]
    return found
