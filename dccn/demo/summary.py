"""What the demo proved, as one JSON document: docs/commands.md describes it."""

from __future__ import annotations

import json
from typing import Any
from urllib.request import urlopen

from chain.crypto import address
from chain.light.rpc import RpcClient
from chain.wire.amounts import ANKR, format_ankr
from chain.wire.state import CLOCK_KEY, SUPPLY_KEY, Clock, Reward, Supply, reward_key
from dccn.demo.network import HTTP_TIMEOUT_S, Network

SUPPLY_ATTO = 10_000_000_000 * ANKR

Document = dict[str, Any]


def collect(network: Network, seconds_to_first_reward: float | None) -> Document:
    """Ask hub, node and agent of a running network what happened; `ok` by the rules of docs/commands.md."""
    from appliance.agent import status as agent_status

    with urlopen(f"{network.page_url.rstrip('/')}/api/overview", timeout=HTTP_TIMEOUT_S) as answer:
        overview = json.load(answer)
    agent = agent_status.read(network.places.agent)
    chain = RpcClient(network.rpc_url)
    clock, supply = Clock.decode(state(chain, CLOCK_KEY)), Supply.decode(state(chain, SUPPLY_KEY))
    document: Document = {
        "ok": False,
        "devices": [device(line) for line in overview["devices"]],
        "records_accepted": overview["records_accepted"],
        "records_rejected": overview["records_refused"],
        "pog_accepted": overview["pog_passed"],
        "height": chain.status().height,
        "epochs": max(0, clock.reward_epoch),
        "rewards": rewards(chain, overview["devices"]),
        "supply_ok": supply.total_atto == SUPPLY_ATTO,
        "light_client": {
            "height": agent["verified_height"],
            "verified": agent["light_client"] == "ok" and agent["reward_height"] is not None,
            "inclusion_verified": agent["inclusion_verified"],
        },
        "seconds_to_first_reward": seconds_to_first_reward and round(seconds_to_first_reward, 2),
    }
    return {**document, "ok": holds(document)}


def holds(document: Document) -> bool:
    """A device, records accepted and none refused, a proof of compute, a reward, supply and both light checks."""
    light = document["light_client"]
    return bool(
        document["devices"]
        and document["records_accepted"] > 0
        and document["records_rejected"] == 0
        and document["pog_accepted"] > 0
        and any(amount != "0" for amount in document["rewards"].values())
        and document["supply_ok"]
        and light["verified"]
        and light["inclusion_verified"]
    )


def device(line: Document) -> Document:
    hardware = line["hardware"] or {}
    return {
        "id": line["device"],
        "evidence_level": line["evidence_level"],
        "cpu": hardware.get("cpu_model"),
        "memory_bytes": hardware.get("memory_bytes"),
        "gpus": [{name: gpu[name] for name in ("uuid", "name", "memory_bytes")} for gpu in line["gpus"]],
    }


def rewards(chain: RpcClient, devices: list[Document]) -> dict[str, str]:
    """What each owner of a device was paid so far, from the chain's state."""
    owners = sorted({line["owner"] for line in devices if line["owner"]})
    found = {owner: state(chain, reward_key(address.decode(owner))) for owner in owners}
    return {owner: format_ankr(Reward.decode(value).total_atto) if value else "0" for owner, value in found.items()}


def state(chain: RpcClient, key: bytes) -> bytes:
    return chain.abci_query("/state", key).value or b""
