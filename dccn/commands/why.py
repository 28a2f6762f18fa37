"""`dccn why`: every number explains itself, with its proof."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chain.errors import Malformed, Refused
from dccn.output import Json, emit

if TYPE_CHECKING:
    from chain.light.client import LightClient
    from chain.wire.state import CountReward, ProviderReward, Reward

app = typer.Typer(no_args_is_help=True, help="Explain a number: its formula, what went into it, and the proof.")


@app.callback()
def why() -> None:
    """Explain a number: its formula, what went into it, and the proof."""


@app.command()
def reward(
    owner: Annotated[str, typer.Argument(metavar="ADDRESS", help="The owner's address, ankr1…")],
    rpc: Annotated[str, typer.Option(help="RPC address of any node; it is not trusted.")] = "http://127.0.0.1:26657",
    trust: Annotated[
        str | None,
        typer.Option(
            metavar="HEIGHT:HASH",
            help="A header that you trust. [default: the first one the node shows, and the answer says so]",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show how the last reward of an address came about; every number is proven against a verified header."""
    from chain.crypto import address
    from chain.light.inclusion import verified_state
    from chain.wire.state import PARAMETERS_KEY, Reward, decode_parameters, reward_key

    account = address.decode(owner)
    client, trusted = light_client(rpc, trust)
    value, height = verified_state(client, reward_key(account))
    if value is None:
        raise Refused("check_failed", f"explaining the reward of {owner}: at height {height} it never had one")
    parameters, _ = verified_state(client, PARAMETERS_KEY, height)
    found, weights = Reward.decode(value), decode_parameters(parameters or b"")
    result = {"ok": True, "owner": owner, "verified_height": height, "trusted": trusted, **document(found)}
    emit(result, "\n".join(lines(owner, found, weights, height, trusted)), as_json=as_json)


def light_client(rpc: str, trust: str | None) -> tuple[LightClient, str]:
    """A light client from the header named, or from the node's first one; the text says what is trusted."""
    from chain.light.client import LightClient
    from chain.light.rpc import RpcClient

    node = RpcClient(rpc)
    if trust is None:
        first = node.signed_header(1)
        chain_id, height, header_hash = first.header.chain_id, 1, first.header.hash()
        return LightClient(node, chain_id, height, header_hash), f"height 1, {header_hash.hex()}, on the node's word"
    height_text, _, hash_text = trust.partition(":")
    if not height_text.isdigit() or len(hash_text) != 64:
        raise Malformed("usage", f"--trust takes HEIGHT:HASH with 64 hex digits, not {trust!r}")
    chain_id = node.status().chain_id
    return LightClient(
        node, chain_id, int(height_text), bytes.fromhex(hash_text)
    ), f"height {height_text}, {hash_text}, yours"


def document(found: Reward) -> dict[str, Any]:
    """The reward as JSON; amounts as decimal ANKR beside the exact integers."""
    import msgspec

    from chain.wire.amounts import format_ankr

    fields = msgspec.structs.asdict(found)
    roles = {
        role: fields[role] and msgspec.structs.asdict(fields[role]) for role in ("provider", "producer", "verifier")
    }
    plain = json.loads(json.dumps({**fields, **roles}))
    return {**plain, "amount": format_ankr(found.amount_atto), "total": format_ankr(found.total_atto)}


def lines(owner: str, found: Reward, weights: dict[str, int], height: int, trusted: str) -> list[str]:
    from chain.wire.amounts import format_ankr

    paid = format_ankr(found.amount_atto)
    told = [
        f"{owner} was credited {paid} ANKR",
        f"at height {found.height}, when reward epoch {found.closed_epoch} ended.",
    ]
    if found.provider:
        told += provider_lines(found.provider, weights)
    for role, what in (("producer", "precommits"), ("verifier", "accepted proof batches")):
        share: CountReward | None = getattr(found, role)
        if share:
            told.append(f"\nAs {role}, for {what} in reward epoch {share.reward_epoch}:")
            numbers = f"{share.pool_atto} * {share.count} // {share.count_sum}"
            told.append(f"  reward = pool * count // all counts = {numbers} = {share.amount_atto}")
    if found.consumer:
        one = found.consumer
        told += [
            f"\nAs consumer, for fees of {one.fees_paid_atto} paid in reward epoch {one.reward_epoch}:",
            f"  reward = min(pool * Q*K // sum(Q*K), {weights['gamma_permille']} * K // 1000 - earned as provider)",
            f"         = min({one.pool_atto} * {one.quality * one.fees_paid_atto} // {one.quality_fees_sum},"
            f" … - {one.earned_before_atto}) = {one.amount_atto}",
        ]
    told += [
        f"\nAll rewards so far: {format_ankr(found.total_atto)} ANKR.",
        f"Proven at height {height} against its app hash. Trusted: {trusted}.",
    ]
    return told


def provider_lines(one: ProviderReward, weights: dict[str, int]) -> list[str]:
    """The formula of economics.md with this reward's numbers; S = 1 000 000."""
    passed = f"{one.pog_passed} of {one.pog_passed + one.pog_failed} compute challenges passed"
    names = ("stake_weight", "consumption_weight", "work_weight", "gamma_permille")
    stake, fees, work, gamma = (weights[name] for name in names)
    beats = f"{one.heartbeats_valid} of {one.heartbeats_expected} records"
    return [
        f"\nAs provider, for reward epoch {one.reward_epoch} ({beats}, {passed}), S = 1000000:",
        f"  Q  quality                 {one.quality}",
        f"  H  stake held              {one.stake_atto} of {one.stake_sum_atto}",
        f"  K  platform fees paid      {one.fees_paid_atto} of {one.fees_paid_sum_atto}",
        f"  R  verified work           {one.work_uankr_h} of {one.work_sum_uankr_h} micro-ANKR per hour",
        f"  score  = Q * ({stake}*S*H//sumH + {work}*S*R//sumR)",
        f"         = {one.score}",
        f"  pot    = min(pool * {fees} // 1000, {gamma} * sumK // 1000) = {one.fees_pot_atto}",
        f"  fees   = min(pot * Q*K // sum(Q*K), {gamma} * K // 1000) = {one.by_fees_atto}",
        "  reward = (pool - pot) * score // sum of scores + fees",
        f"         = ({one.pool_atto} - {one.fees_pot_atto}) * {one.score} // {one.score_sum} + {one.by_fees_atto}"
        f" = {one.amount_atto}",
    ]
