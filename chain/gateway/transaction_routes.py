"""Routes for transactions: taking signed bytes to the node, and telling what is proven of a hash."""

from __future__ import annotations

import base64
import binascii

from litestar import get, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_202_ACCEPTED

from chain.errors import Malformed, Refused
from chain.gateway import answers, shown
from chain.gateway.admission.front import visit_of
from chain.gateway.context import AnyRequest, HashPath, gateway_of, hash_bytes, problems
from chain.wallet.client import ChainClient
from chain.wire.transactions import decode

TRANSACTIONS = ["transactions"]

_NOT_ITS_FAULT = frozenset({"mempool_full", "proof_invalid", "light_invalid", "light_expired"})
"""Why the node may refuse a transaction that nobody is to blame for who sends it."""


@post(
    "/v1/transactions",
    status_code=HTTP_202_ACCEPTED,
    tags=TRANSACTIONS,
    summary="Send a signed transaction",
    responses=problems(404, 413),
)
async def send(request: AnyRequest, data: JSONBody[answers.SignedTransaction]) -> answers.Sent:
    """Sending the same bytes again does no harm: a chain takes a nonce once. The node's refusal comes with its code."""
    signed, visit = decode(transaction_bytes(data)), visit_of(request.scope)
    visit.check_send(signed)

    def ask(client: ChainClient) -> answers.Sent:
        tx_hash = client.send(signed)
        return answers.Sent(**shown.basis(client, None), hash=tx_hash.hex(), state="sent")

    try:
        return await gateway_of(request).chain.ask(ask)
    except Refused as error:
        if error.code not in _NOT_ITS_FAULT:
            visit.refused_transaction()
        raise


@get("/v1/transactions/{hash:str}", tags=TRANSACTIONS, summary="What became of it", responses=problems(404))
async def transaction(request: AnyRequest, hash: HashPath) -> answers.Transaction:  # noqa: A002
    """404 is the node's word: it knows no block with this transaction."""
    tx_hash = hash_bytes(hash)

    def ask(client: ChainClient) -> answers.Transaction:
        found = client.status(tx_hash)
        if found.state == "unknown":
            raise Refused("tx_not_found", f"the node knows no block with transaction {tx_hash.hex()}")
        return answers.Transaction(**shown.basis(client, found.height), **shown.transaction(found))

    return await gateway_of(request).chain.ask(ask)


def transaction_bytes(given: answers.SignedTransaction) -> bytes:
    """Raises `malformed` for text that is not in the encoding that it names."""
    text = given.transaction
    try:
        return bytes.fromhex(text) if given.encoding == "hex" else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise Malformed("malformed", f"the transaction {text[:40]!r}… is not {given.encoding}") from None


TRANSACTION_ROUTES = [send, transaction]
