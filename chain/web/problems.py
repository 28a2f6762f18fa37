"""Errors as RFC 9457 problem documents, each with a code from the registry."""

from __future__ import annotations

import logging
from typing import Any, Final

from litestar import Request, Response
from litestar.exceptions import HTTPException

from chain.errors import REGISTRY, DccnError, Faulty, Unavailable

MEDIA_TYPE: Final = "application/problem+json"
_STATUS: Final[dict[str, int]] = {
    "bad_signature": 403,
    "token_invalid": 403,
    "claim_invalid": 403,
    "claim_pending": 409,
    "attestation_invalid": 403,
    "boot_unknown": 403,
    "rate_limited": 429,
    "tx_quota": 429,
    "not_admin": 401,
    "too_large": 413,
    "device_unknown": 404,
    "record_pending": 404,
    "not_found": 404,
    "tx_not_found": 404,
    "tx_unknown_device": 404,
    "tx_unknown_deal": 404,
    "tx_unknown_operator": 404,
    "height_unknown": 404,
    "mempool_full": 503,
    "peer_denied": 403,
    "peer_not_allowed": 403,
    "peer_banned": 403,
    "peer_over_rate": 429,
    "peer_read_only": 403,
    "device_revoked": 403,
    "certificate_nameless": 403,
    "certificate_needed": 403,
    "index_absent": 501,
    "proof_invalid": 502,
    "light_invalid": 502,
    "light_expired": 502,
    "light_not_enough_trust": 502,
    "disk_full": 507,
}
_CODES: Final[dict[int, str]] = {401: "not_admin", 404: "not_found", 405: "not_found", 413: "too_large"}
_FAULTS_TOLD: Final = 5
_log = logging.getLogger(__name__)


def problem(code: str, detail: str, status: int, retry_after_s: int | None = None) -> Response[dict[str, Any]]:
    """The document: type, title, status, detail, code, remedy."""
    entry = REGISTRY[code]
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    return Response(
        {
            "type": f"urn:dccn:error:{code}",
            "title": entry.meaning,
            "status": status,
            "detail": detail,
            "code": code,
            "remedy": entry.remedy,
        },
        status_code=status,
        media_type=MEDIA_TYPE,
        headers=headers,
    )


def status_of(error: DccnError) -> int:
    """The HTTP status of an error of ours."""
    if error.code in _STATUS:
        return _STATUS[error.code]
    if isinstance(error, Unavailable):
        return 503
    return 500 if isinstance(error, Faulty) else 400


def on_dccn_error(_request: Request[Any, Any, Any] | None, error: DccnError) -> Response[dict[str, Any]]:
    return problem(error.code, error.message, status_of(error), error.retry_after_s)


def on_http_error(_request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    """What the framework itself refuses: no such route, a body that does not parse or is too large."""
    status = error.status_code
    code = _CODES.get(status, "malformed" if status < 500 else "internal")
    return problem(code, error.detail + _faults(error.extra), status)


def on_any_error(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    """A fault of the program: logged whole, told in one sentence."""
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem("internal", "the program could not answer; its log says why", 500)


def _faults(extra: object) -> str:
    """Which values the framework's validation refuses, and why."""
    faults = [one for one in extra if isinstance(one, dict)] if isinstance(extra, list) else []
    told = "; ".join(f"{one.get('key', 'body')}: {one.get('message', '')}" for one in faults[:_FAULTS_TOLD])
    return f": {told}" if told else ""


HANDLERS: Final[dict[Any, Any]] = {DccnError: on_dccn_error, HTTPException: on_http_error, Exception: on_any_error}
