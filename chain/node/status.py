"""What a running node says about itself, over its RPC."""

from __future__ import annotations

from typing import Any

from chain.light.rpc import RpcClient


def status(rpc_url: str, timeout_s: float = 5.0) -> dict[str, Any]:
    """Chain, newest block and validators of the node at `rpc_url`; raises Unavailable `unreachable`."""
    client = RpcClient(rpc_url, timeout_s)
    try:
        answer = client.call("status")
        waiting = client.call("num_unconfirmed_txs")
        validators = client.validators()
    finally:
        client.close()
    node, sync = answer["node_info"], answer["sync_info"]
    return {
        "rpc": rpc_url,
        "moniker": node["moniker"],
        "chain_id": node["network"],
        "engine": node["other"].get("engine", "cometbft"),
        "height": int(sync["latest_block_height"]),
        "time": sync["latest_block_time"],
        "app_hash": sync["latest_app_hash"].lower(),
        "block_hash": sync["latest_block_hash"].lower(),
        "earliest_height": int(sync["earliest_block_height"]),
        "validators": [{"address": each.address.hex(), "power": each.power} for each in validators],
        "waiting_transactions": int(waiting["total"]),
    }
