"""Routes about the chain as a whole: where it stands, its blocks, who makes them, its supply and its rules."""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated

from litestar import get
from litestar.params import Parameter

from chain.errors import Refused
from chain.gateway import answers, shown
from chain.gateway.context import MAX_HEIGHT, AnyRequest, HeightPath, gateway_of, problems
from chain.gateway.snapshot import Snapshot
from chain.light.inclusion import verified_transactions
from chain.wallet.client import ChainClient
from chain.wire.bridge import BRIDGE_KEY, Bridge
from chain.wire.cometbft import format_time
from chain.wire.operators import SEATS_KEY, Seats
from chain.wire.state import SUPPLY_KEY, Supply

CHAIN = ["chain"]


@get("/v1/status", tags=CHAIN, summary="Where the chain stands", responses=problems())
async def status(request: AnyRequest) -> answers.Status:
    def ask(client: ChainClient) -> answers.Status:
        said = client.rpc.status()
        clock = client.clock().value
        header = client.light.update()
        return answers.Status(
            **shown.basis(client, header.height),
            header_hash=header.hash().hex(),
            header_time=format_time(header.time_ns),
            app_hash=header.app_hash.hex(),
            reward_epoch=clock.reward_epoch,
            election_epoch=clock.election_epoch,
            node=answers.NodeWord(said.height, said.catching_up),
        )

    return await gateway_of(request).chain.ask(ask)


@get("/v1/blocks/latest", tags=CHAIN, summary="The newest block", responses=problems())
async def latest_block(request: AnyRequest) -> answers.Block:
    return await gateway_of(request).chain.ask(lambda client: _block(client, client.light.update().height))


@get("/v1/blocks/{height:int}", tags=CHAIN, summary="A block", responses=problems(404))
async def block(request: AnyRequest, height: HeightPath) -> answers.Block:
    """Headers far below what the light client trusts cannot be proven (`light_not_enough_trust`): ask an index."""
    return await gateway_of(request).chain.ask(lambda client: _block(client, known(client, height)))


@get("/v1/validators", tags=CHAIN, summary="Who signs the blocks", responses=problems(404))
async def validators(
    request: AnyRequest,
    height: Annotated[int | None, Parameter(ge=1, le=MAX_HEIGHT, description="Without it the newest.")] = None,
) -> answers.Validators:
    def ask(client: ChainClient) -> answers.Validators:
        found = client.validators(None if height is None else known(client, height))
        return answers.Validators(
            **shown.basis(client, found.height),
            validators=shown.validators(found.value),
            total_power=found.value.total_power,
        )

    return await gateway_of(request).chain.ask(ask)


@get("/v1/seats", tags=CHAIN, summary="Which keys the last election seated", responses=problems())
async def seats(request: AnyRequest) -> answers.Seats:
    def ask(client: ChainClient) -> answers.Seats:
        state = Snapshot(client)
        found = shown.seats(state.entry(SEATS_KEY, Seats))
        return answers.Seats(**shown.basis(client, state.height), seats=found)

    return await gateway_of(request).chain.ask(ask)


@get("/v1/supply", tags=CHAIN, summary="Where all ANKR are", responses=problems())
async def supply(request: AnyRequest) -> answers.Supply:
    def ask(client: ChainClient) -> answers.Supply:
        state = Snapshot(client)
        found = shown.supply(state.present(SUPPLY_KEY, Supply))
        return answers.Supply(**shown.basis(client, state.height), **found)

    return await gateway_of(request).chain.ask(ask)


@get("/v1/parameters", tags=CHAIN, summary="The chain's parameters", responses=problems())
async def parameters(request: AnyRequest) -> answers.Parameters:
    def ask(client: ChainClient) -> answers.Parameters:
        state = Snapshot(client)
        found = {name: str(value) for name, value in sorted(state.parameters().items())}
        return answers.Parameters(**shown.basis(client, state.height), parameters=found)

    return await gateway_of(request).chain.ask(ask)


@get("/v1/bridge", tags=CHAIN, summary="The bridge to ANKR's other forms", responses=problems())
async def bridge(request: AnyRequest) -> answers.Bridge:
    def ask(client: ChainClient) -> answers.Bridge:
        state = Snapshot(client)
        found = shown.bridge(state.entry(BRIDGE_KEY, Bridge), state.present(SUPPLY_KEY, Supply))
        return answers.Bridge(**shown.basis(client, state.height), **found)

    return await gateway_of(request).chain.ask(ask)


def known(client: ChainClient, height: int) -> int:
    """The height, if the chain has reached it; Refused `height_unknown`."""
    newest = client.light.update().height
    if height > newest:
        raise Refused("height_unknown", f"asked for height {height}, the newest verified one is {newest}")
    return height


def _block(client: ChainClient, height: int) -> answers.Block:
    transactions = [sha256(each).hexdigest() for each in verified_transactions(client.light, height)]
    header = client.light.header(height)
    return answers.Block(**shown.basis(client, height), **shown.block(header, transactions))


CHAIN_ROUTES = [status, latest_block, block, validators, seats, supply, parameters, bridge]
