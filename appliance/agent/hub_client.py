"""The hub's device API over HTTPS: small requests, problem documents turned into errors with their code."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPSConnection

from appliance.agent.tls import check_dates
from chain import outward
from chain.errors import REGISTRY, Malformed, Refused, Unavailable
from fleet.protocol.enrolment import COSE_MEDIA_TYPE, NONCE_PATH

MAX_ANSWER_BYTES = 1 << 20
UNAVAILABLE_STATUS = 500


@dataclass(frozen=True, slots=True)
class HubAddress:
    """`https://host:port` taken apart."""

    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> HubAddress:
        """Malformed `usage` unless the address is `https://host[:port]`."""
        try:
            parts = urlsplit(url)
            port = parts.port or 443
        except ValueError as error:
            raise Malformed("usage", f"the hub's address {url!r} cannot be read: {error}") from error
        if parts.scheme != "https" or not parts.hostname or parts.path not in ("", "/"):
            raise Malformed("usage", f"the hub's address must look like https://host:port, not {url!r}")
        return cls(parts.hostname, port)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"


class HubClient:
    """One connection to one hub. `now_ms` gives the hub's time for checking its certificate, or None when unknown."""

    def __init__(
        self, address: HubAddress, context: ssl.SSLContext, *, timeout_s: float, now_ms: Callable[[], int | None]
    ) -> None:
        self.address = address
        pools = outward.pool(address.url, ssl_context=context, timeout=timeout_s, maxsize=1, retries=False)
        self._pool = pools.connection_from_url(address.url)
        self._pool.ConnectionCls = _dated_connection(now_ms)

    def nonce(self) -> bytes:
        """A single-use number from the hub, against replay of what is signed over it."""
        document = self.get_json(NONCE_PATH)
        try:
            return bytes.fromhex(document["nonce"])
        except (KeyError, TypeError, ValueError) as error:
            raise Malformed("malformed", "the hub's nonce answer has no nonce in hex") from error

    def get_json(self, path: str) -> dict[str, Any]:
        return _document(self._request("GET", path, None, {}))

    def post_cose(self, path: str, envelope: bytes) -> bytes:
        """POST a COSE_Sign1 and return the answer's bytes."""
        return self._request("POST", path, envelope, {"Content-Type": COSE_MEDIA_TYPE})

    def post_json_answer(self, path: str, body: bytes, content_type: str) -> dict[str, Any]:
        """POST bytes and return the JSON answer."""
        return _document(self._request("POST", path, body, {"Content-Type": content_type}))

    def close(self) -> None:
        self._pool.close()

    def _request(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
        try:
            answer = self._pool.request(method, path, body=body, headers=dict(headers), preload_content=False)
            data = answer.read(MAX_ANSWER_BYTES + 1)
            answer.release_conn()
        except urllib3.exceptions.SSLError as error:
            raise Refused("ca_mismatch", f"the hub at {self.address.url} does not prove who it is: {error}") from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable(
                "unreachable", f"the hub at {self.address.url} does not answer {path}: {error}"
            ) from error
        if len(data) > MAX_ANSWER_BYTES:
            raise Malformed("too_large", f"the hub's answer to {path} is over {MAX_ANSWER_BYTES} bytes")
        if answer.status >= 400:
            raise _problem(answer.status, data, path)
        return data


def _dated_connection(now_ms: Callable[[], int | None]) -> type[HTTPSConnection]:
    class DatedConnection(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            now = now_ms()
            if now is not None and isinstance(self.sock, ssl.SSLSocket):
                check_dates(self.sock, now)

    return DatedConnection


def _document(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise Malformed("malformed", f"the hub's answer is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise Malformed("malformed", "the hub's answer is not a JSON object")
    return document


def _problem(status: int, data: bytes, path: str) -> Refused | Unavailable:
    """RFC 9457: the registry's code, or `unreachable` for a hub that is there but not well."""
    try:
        document = json.loads(data)
    except ValueError:
        document = {}
    code = document.get("code") if isinstance(document, dict) else None
    detail = str(document.get("detail") or document.get("title") or "") if isinstance(document, dict) else ""
    if isinstance(code, str) and code in REGISTRY:
        return Refused(code, detail or f"the hub refused {path}")
    if status >= UNAVAILABLE_STATUS:
        return Unavailable("unreachable", f"the hub answered {path} with status {status}")
    return Refused("check_failed", f"the hub answered {path} with status {status}: {detail}"[:300])
