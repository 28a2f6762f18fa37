"""The index of the chain's history, which is another process: `dccn node index serve`."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import urllib3

from chain.errors import Refused, Unavailable

ANSWER_MAX_BYTES = 16 * 1024 * 1024
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class IndexPage:
    """What the index told: its chain, its lowest and highest height, and one page of happenings."""

    chain_id: str
    indexed: tuple[int, int]
    happenings: list[dict[str, Any]]

    def of_chain(self, chain_id: str) -> dict[str, Any]:
        """Raises Refused `index_foreign` when it is another chain's."""
        if self.chain_id != chain_id:
            raise Refused("index_foreign", f"the index is of chain {self.chain_id[:80]!r}, the node of {chain_id!r}")
        return {"indexed": list(self.indexed), "happenings": self.happenings}


class Index:
    """An explorer's address. Unavailable `unreachable` when it does not answer as one."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._pool = urllib3.PoolManager(maxsize=4, retries=False, timeout=urllib3.Timeout(total=TIMEOUT_S))

    async def of_address(self, address: str, before: str | None) -> IndexPage:
        """What happened to an account (`ankr1…`), newest first; `before` is HEIGHT:POSITION of the page before."""
        query = f"?{urlencode({'before': before})}" if before else ""
        return await asyncio.to_thread(self._page, f"{self._url}/address/{quote(address)}.json{query}")

    def close(self) -> None:
        self._pool.clear()

    def _page(self, url: str) -> IndexPage:
        try:
            response = self._pool.request("GET", url, preload_content=False, redirect=False)
            try:
                body = response.read(ANSWER_MAX_BYTES + 1)
            finally:
                response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unavailable("unreachable", f"the index {self._url} does not answer: {error}") from None
        try:
            document = json.loads(body)
            low, high = document["indexed"]
            happenings = [dict(each) for each in document["happenings"]]
            return IndexPage(str(document["chain_id"]), (int(low), int(high)), happenings)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Unavailable("unreachable", f"{url} answers with HTTP {response.status}, not as an index") from None
