"""The owner's settings as the files of systemd-networkd, timesyncd, wpa_supplicant and the agent. Pure text."""

from __future__ import annotations

import json

from appliance.provisioning.settings import OwnerSettings

PROBLEMS = "dccn/problems.json"
NOT_PROXIED = "localhost,127.0.0.1,::1,.local"


def files(settings: OwnerSettings) -> dict[str, str]:
    """Path below /run → content. `dccn/agent.toml` is always there, since the agent's unit takes it in."""
    made = {"dccn/agent.toml": agent(settings)}
    if settings.problems:
        made[PROBLEMS] = json.dumps(settings.problems) + "\n"
    if settings.address or settings.dns:
        made["systemd/network/10-dccn.network"] = network(settings)
    if settings.ntp:
        made["systemd/timesyncd.conf.d/10-dccn.conf"] = f"[Time]\nNTP={' '.join(settings.ntp)}\n"
    if settings.wifi_ssid:
        made["systemd/network/20-dccn-wifi.network"] = "[Match]\nType=wlan\n\n[Network]\nDHCP=yes\nMulticastDNS=yes\n"
        made["wpa_supplicant/dccn.conf"] = wifi(settings)
    if settings.console_pin:
        made["dccn/console-pin"] = f"{settings.console_pin}\n"
    if said := updates(settings):
        made["dccn/updates.json"] = said
    if settings.proxy:
        made["dccn/proxy.env"] = proxy(settings.proxy)
    return made


def proxy(url: str) -> str:
    """The environment of all who speak with the world. Quoted: systemd takes some characters for its own."""
    quoted = url.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(f'{name}="{quoted}"\n' for name in ("HTTPS_PROXY", "HTTP_PROXY")) + f'NO_PROXY="{NOT_PROXIED}"\n'


def agent(settings: OwnerSettings) -> str:
    """The agent's own settings, as its `dccn.toml`."""
    said = {"hub_url": settings.hub_url, "token": settings.token, "ca_pin": settings.ca_pin}
    # A JSON string is a TOML string.
    lines = [f"{name} = {json.dumps(value)}" for name, value in said.items() if value is not None]
    return "\n".join(["[agent]", *lines]) + "\n"


def updates(settings: OwnerSettings) -> str:
    """What the updater is told, as JSON; empty where the owner said nothing."""
    said = {
        "enabled": settings.updates_enabled,
        "channel": settings.updates_channel,
        "window": settings.updates_window,
        "url": settings.updates_url,
    }
    told = {name: value for name, value in said.items() if value is not None}
    return json.dumps(told) + "\n" if told else ""


def network(settings: OwnerSettings) -> str:
    """A systemd.network file for every wired interface."""
    lines = ["[Match]", "Type=ether", "Kind=!*", "", "[Network]", "MulticastDNS=yes"]
    lines += [f"Address={settings.address}"] if settings.address else ["DHCP=yes"]
    if settings.gateway:
        lines.append(f"Gateway={settings.gateway}")
    lines += [f"DNS={each}" for each in settings.dns]
    return "\n".join(lines) + "\n"


def wifi(settings: OwnerSettings) -> str:
    """A wpa_supplicant configuration; the network's name as hex, so that no character in it means anything."""
    lines = [f"country={settings.wifi_country}"] if settings.wifi_country else []
    lines += ["network={", f"\tssid={(settings.wifi_ssid or '').encode().hex()}"]
    password = settings.wifi_password
    lines.append(f'\tpsk="{password}"' if password else "\tkey_mgmt=NONE")
    return "\n".join([*lines, "}"]) + "\n"
