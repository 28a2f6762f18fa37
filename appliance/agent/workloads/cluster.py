"""This machine's Kubernetes as the agent sees it: one API server, reached through a kubeconfig."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import urllib3

from chain.errors import Refused, Unavailable

KUBECONFIG: Final = Path("/run/dccn-cluster/kubeconfig")
"""Where the image puts what the agent may do; see `access`."""
FIELD_MANAGER: Final = "dccn-agent"
TIMEOUT_S: Final = (3.0, 20.0)
"""To connect, and to wait for an answer: the server is on this machine, but a small one under load."""
MAX_BYTES: Final = 1024 * 1024
"""Of one object: what Kubernetes' store does not take is answered there with an error like that of an outage."""
NOT_FOUND: Final = 404
NOT_NOW: Final = 429

Answer = TypeVar("Answer")


class Cluster:
    """An API server, with errors told in this program's words.

    The official client is imported here and not above: it takes a second and 40 MB, and most agents have no cluster.
    """

    def __init__(self, kubeconfig: Path = KUBECONFIG) -> None:
        """Raises Unavailable `cluster_unreachable` when there is no kubeconfig or the client cannot read it."""
        try:
            from kubernetes import client, config
            from kubernetes.client.exceptions import ApiException
        except ImportError as error:
            raise Unavailable("engine_missing", "the Python package kubernetes is not installed here") from error
        if not kubeconfig.is_file():
            raise Unavailable("cluster_unreachable", f"there is no {kubeconfig}")
        try:
            settings = client.Configuration()
            # The server is on this machine: a proxy in the environment is for the world outside.
            settings.proxy = None
            config.load_kube_config(str(kubeconfig), client_configuration=settings, persist_config=False)
            self._client = client.ApiClient(settings)
        except Exception as error:  # the client's parser lets through whatever YAML and base64 raise
            raise Unavailable("cluster_unreachable", f"{kubeconfig} is no kubeconfig: {error}") from error
        # A server that is away is told to the caller at once; it knows better when to ask again.
        self._client.rest_client.pool_manager.connection_pool_kw["retries"] = False
        self._error: type[Exception] = ApiException
        self.core: Any = client.CoreV1Api(self._client)
        self.apps: Any = client.AppsV1Api(self._client)
        self.rbac: Any = client.RbacAuthorizationV1Api(self._client)

    @property
    def server(self) -> str:
        """The address of the API server."""
        return str(self._client.configuration.host)

    @property
    def authority(self) -> bytes:
        """The certificates, PEM, that the server's own is checked against."""
        return Path(self._client.configuration.ssl_ca_cert).read_bytes()

    def ask(self, what: str, call: Callable[..., Answer], *arguments: object, **options: object) -> Answer:
        """The answer to one request.

        Raises Unavailable `cluster_unreachable` when none comes or the server says "not now", Refused
        `workload_refused` with the server's reason when it says no; its `status` attribute is the HTTP status.
        """
        try:
            return call(*arguments, _request_timeout=TIMEOUT_S, **options)
        except urllib3.exceptions.HTTPError as error:
            cause = getattr(error, "reason", None) or error
            raise Unavailable("cluster_unreachable", f"{what}: {type(cause).__name__}") from error
        except self._error as error:
            status = int(getattr(error, "status", None) or 0)
            if status >= 500 or status in (0, NOT_NOW):
                raise Unavailable("cluster_unreachable", f"{what}: {_reason(error)}") from error
            raise Denied(f"{what}: {_reason(error)}", status, _causes(error)) from error

    def find(self, what: str, call: Callable[..., Answer], *arguments: object, **options: object) -> Answer | None:
        """As `ask`; None for what is not there."""
        try:
            return self.ask(what, call, *arguments, **options)
        except Denied as error:
            if error.status == NOT_FOUND:
                return None
            raise

    def apply(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Server-side apply of one object at `path`; fields that this agent set before and now leaves out go away."""
        name = f"{document['kind']} {document['metadata']['name']}"
        size = len(json.dumps(document))
        if size > MAX_BYTES:
            raise Refused("workload_refused", f"applying {name}: {size} bytes; {MAX_BYTES} is the most for one object")
        answer: tuple[dict[str, Any], int, object] = self.ask(
            f"applying {name}",
            self._client.call_api,
            path,
            "PATCH",
            query_params=[("fieldManager", FIELD_MANAGER), ("force", "true"), ("fieldValidation", "Strict")],
            header_params={"Content-Type": "application/apply-patch+yaml", "Accept": "application/json"},
            body=dict(document),
            response_type="object",
            auth_settings=["BearerToken"],
        )
        return answer[0]

    def get(self, path: str) -> dict[str, Any]:
        """Any resource of the API as JSON."""
        answer: tuple[dict[str, Any], int, object] = self.ask(
            f"reading {path}",
            self._client.call_api,
            path,
            "GET",
            header_params={"Accept": "application/json"},
            response_type="object",
            auth_settings=["BearerToken"],
        )
        return answer[0]


class Denied(Refused):
    """The API server's no, with its HTTP status and the machine-readable causes that it gives, if any."""

    def __init__(self, message: str, status: int, causes: frozenset[str]) -> None:
        super().__init__("workload_refused", message)
        self.status = status
        self.causes = causes


def _reason(error: Exception) -> str:
    """The server's own sentence, else HTTP's."""
    return str(_answer(error).get("message") or getattr(error, "reason", None) or "no reason given")


def _causes(error: Exception) -> frozenset[str]:
    details = _answer(error).get("details") or {}
    return frozenset(str(cause.get("reason")) for cause in details.get("causes") or ())


def _answer(error: Exception) -> dict[str, Any]:
    """The Status object that the server answers with; nothing when it is something else."""
    try:
        said = json.loads(getattr(error, "body", None) or "{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
