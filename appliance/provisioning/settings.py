"""`dccn.toml`: untrusted text, maybe written by an old editor on any computer. What can be used is used.

An unknown key or a value of the wrong kind loses that key only, and is told; a file that is no TOML, too large or not
text loses all of it, and the machine runs on its defaults: DHCP, and a claim code.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from chain.errors import Malformed
from chain.outward import Proxy

MAX_BYTES: Final = 64 * 1024
MAX_LIST: Final = 8
_HOSTNAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_URL = re.compile(r"https?://[!-~]{1,500}", re.ASCII)
_PRINTABLE = re.compile(r"[ -~]{1,200}", re.ASCII)
_PIN = re.compile(r"[0-9]{4,12}", re.ASCII)
_WINDOW = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d-(?:[01]\d|2[0-3]):[0-5]\d", re.ASCII)


@dataclass(frozen=True, slots=True)
class OwnerSettings:
    """What was understood; None: not said. `problems` are sentences for the owner."""

    hub_url: str | None = None
    token: str | None = None
    ca_pin: str | None = None
    hostname: str | None = None
    address: str | None = None
    gateway: str | None = None
    dns: tuple[str, ...] = ()
    ntp: tuple[str, ...] = ()
    proxy: str | None = None
    wifi_ssid: str | None = None
    wifi_password: str | None = None
    wifi_country: str | None = None
    console_pin: str | None = None
    updates_enabled: bool | None = None
    updates_channel: str | None = None
    updates_window: str | None = None
    updates_url: str | None = None
    problems: tuple[str, ...] = field(default=())


def parse(data: bytes) -> OwnerSettings:
    """Never raises: whatever cannot be used is among `problems`."""
    if len(data) > MAX_BYTES:
        return OwnerSettings(problems=(f"dccn.toml has more than {MAX_BYTES} bytes: it is ignored",))
    try:
        document = tomllib.loads(data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        return OwnerSettings(problems=(f"dccn.toml is not TOML and is ignored: {str(error)[:200]}",))
    found: dict[str, Any] = {}
    problems: list[str] = []
    _take(document, (), found, problems)
    return OwnerSettings(**found, problems=tuple(problems[:MAX_LIST]))


def _take(table: dict[str, Any], path: tuple[str, ...], found: dict[str, Any], problems: list[str]) -> None:
    for key, value in table.items():
        place = (*path, key)
        name = ".".join(place)[:80]
        if isinstance(value, dict) and any(known[: len(place)] == place for known in _KNOWN):
            _take(value, place, found, problems)
        elif place not in _KNOWN:
            problems.append(f"dccn.toml: there is no setting {name!r}; it is ignored")
        else:
            setting, check = _KNOWN[place]
            understood = check(value)
            if understood is None:
                # What is wrong is shown to everybody in the room; a mistyped secret is still nearly the secret.
                what = "what it is set to" if place in _SECRET else repr(str(value)[:80])
                problems.append(f"dccn.toml: {name} cannot be {what}; it is ignored")
            else:
                found[setting] = understood


def _matching(pattern: re.Pattern[str]) -> Callable[[object], str | None]:
    return lambda value: value if isinstance(value, str) and pattern.fullmatch(value) else None


def _address(value: object) -> str | None:
    """`192.168.1.5/24`: an address with its network's length."""
    try:
        return str(ipaddress.ip_interface(value)) if isinstance(value, str) and "/" in value else None
    except ValueError:
        return None


def _host_address(value: object) -> str | None:
    try:
        return str(ipaddress.ip_address(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _all(check: Callable[[object], str | None]) -> Callable[[object], tuple[str, ...] | None]:
    def checked(value: object) -> tuple[str, ...] | None:
        if not isinstance(value, list) or len(value) > MAX_LIST:
            return None
        understood = [check(each) for each in value]
        return None if None in understood else tuple(each for each in understood if each is not None)

    return checked


def _switch(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _passphrase(value: object) -> str | None:
    return value if isinstance(value, str) and 8 <= len(value) <= 63 and _PRINTABLE.fullmatch(value) else None


def _proxy(value: object) -> str | None:
    if not isinstance(value, str) or not re.fullmatch(r"[!-~]{1,500}", value):
        return None
    with contextlib.suppress(Malformed):
        Proxy.parse(value)
        return value
    return None


_SECRET = {("hub", "token"), ("network", "proxy"), ("network", "wifi", "password"), ("console", "pin")}
_KNOWN: dict[tuple[str, ...], tuple[str, Callable[[object], Any]]] = {
    ("hub", "url"): ("hub_url", _matching(_URL)),
    ("hub", "token"): ("token", _matching(_PRINTABLE)),
    ("hub", "ca_pin"): ("ca_pin", _matching(re.compile(r"[0-9a-f]{32}", re.ASCII))),
    ("network", "hostname"): ("hostname", _matching(_HOSTNAME)),
    ("network", "address"): ("address", _address),
    ("network", "gateway"): ("gateway", _host_address),
    ("network", "dns"): ("dns", _all(_host_address)),
    ("network", "ntp"): ("ntp", _all(_matching(re.compile(r"[a-zA-Z0-9.:-]{1,253}", re.ASCII)))),
    ("network", "proxy"): ("proxy", _proxy),
    ("network", "wifi", "ssid"): ("wifi_ssid", _matching(re.compile(r"[ -~]{1,32}", re.ASCII))),
    ("network", "wifi", "password"): ("wifi_password", _passphrase),
    ("network", "wifi", "country"): ("wifi_country", _matching(re.compile(r"[A-Z]{2}", re.ASCII))),
    ("console", "pin"): ("console_pin", _matching(_PIN)),
    ("updates", "enabled"): ("updates_enabled", _switch),
    ("updates", "channel"): ("updates_channel", _matching(re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII))),
    ("updates", "window"): ("updates_window", _matching(_WINDOW)),
    ("updates", "url"): ("updates_url", _matching(re.compile(r"https://[!-~]{1,500}", re.ASCII))),
}
