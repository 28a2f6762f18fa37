"""Connections out of this machine: straight, or through the HTTP proxy that the environment names.

`HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` mean what they mean to curl. Loopback is never asked of a proxy. HTTP's
libraries are imported where they are used: most programs of an appliance's start that import this open no connection.
"""

from __future__ import annotations

import base64
import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from chain.errors import Malformed

if TYPE_CHECKING:
    import urllib3

HTTP_PORT = 80


@dataclass(frozen=True, slots=True)
class Proxy:
    """Who carries connections for this machine: an HTTP proxy that knows CONNECT."""

    host: str
    port: int
    user: str | None = None
    password: str | None = None

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """Malformed `usage` unless it is `http://[user:password@]host[:port]`; the message tells no password."""
        try:
            parts = urlsplit(url)
            port = parts.port or HTTP_PORT
        except ValueError:
            raise Malformed("usage", "the proxy's address cannot be read") from None
        if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
            raise Malformed("usage", "the proxy's address must look like http://[user:password@]host:port")
        user, password = (None if each is None else unquote(each) for each in (parts.username, parts.password))
        return cls(parts.hostname, port, user, password)

    @property
    def url(self) -> str:
        """Without user and password."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        named = base64.b64encode(f"{self.user}:{self.password or ''}".encode()).decode()
        return {"Proxy-Authorization": f"Basic {named}"} if self.user else {}

    def connect(self, host: str, port: int, timeout_s: float) -> socket.socket:
        """A connection to that host, carried by the proxy. Raises OSError."""
        import http.client

        asking = http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)
        asking.set_tunnel(host, port, self.headers)
        try:
            asking.connect()
        except http.client.HTTPException as error:
            asking.close()
            raise OSError(f"the proxy {self.url} does not answer as one: {error}") from error
        except OSError as error:
            raise OSError(f"the proxy {self.url}: {error}") from error
        return asking.sock


def proxy_for(host: str, scheme: str = "https") -> Proxy | None:
    """Whom to ask for a connection to this host; None for nobody. Malformed `usage` for an address of no proxy."""
    if _is_loopback(host):
        return None
    import urllib.request

    named = urllib.request.getproxies_environment()
    if urllib.request.proxy_bypass_environment(host, named):  # type: ignore[attr-defined]  # typeshed lacks it
        return None
    address = named.get(scheme)
    return Proxy.parse(address) if address else None


def pool(url: str, **settings: Any) -> urllib3.PoolManager:
    """Connections to the server of this address; `settings` are urllib3's."""
    import urllib3

    parts = urlsplit(url)
    proxy = proxy_for(parts.hostname or "", parts.scheme)
    if proxy is None:
        return urllib3.PoolManager(**settings)
    return urllib3.ProxyManager(proxy.url, proxy_headers=proxy.headers, **settings)


def connect(host: str, port: int, timeout_s: float) -> socket.socket:
    """A TCP connection. Raises OSError, also for what a proxy refuses."""
    proxy = proxy_for(host)
    if proxy is None:
        return socket.create_connection((host, port), timeout_s)
    return proxy.connect(host, port, timeout_s)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
