"""Routes about somebody or something: accounts, operators, devices, deals, and what happened to an account."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.params import Parameter

from chain.crypto import address as addresses
from chain.errors import Refused
from chain.gateway import answers, shown
from chain.gateway.context import AddressPath, AnyRequest, HashPath, gateway_of, hash_bytes, problems
from chain.gateway.snapshot import Snapshot
from chain.wallet.client import ChainClient
from chain.wire.amounts import format_ankr
from chain.wire.deals import Deal, deal_key
from chain.wire.operators import (
    OPERATORS_KEY,
    STAKE_KEY,
    Operator,
    Operators,
    Stake,
    Unbonding,
    operator_key,
    unbonding_key,
)
from chain.wire.state import (
    Account,
    Device,
    RevokedDevice,
    Reward,
    ServiceLevel,
    account_key,
    device_key,
    revoked_key,
    reward_key,
    service_key,
)

ACCOUNTS, THINGS = ["accounts"], ["devices and deals"]
PAGE_START = r"^[0-9]{1,18}:(-1|[0-9]{1,9})$"


@get("/v1/accounts/{address:str}", tags=ACCOUNTS, summary="Balance, nonce, stake, rewards", responses=problems())
async def account(request: AnyRequest, address: AddressPath) -> answers.Account:
    owner = addresses.decode(address)

    def ask(client: ChainClient) -> answers.Account:
        state = Snapshot(client)
        found = state.entry(account_key(owner), Account) or Account(0, 0)
        bonded = state.entry(operator_key(owner), Operator)
        reward = state.entry(reward_key(owner), Reward)
        level = state.entry(service_key(owner), ServiceLevel)
        numbers = () if bonded is None else bonded.unbonding
        waiting = [(number, state.present(unbonding_key(number), Unbonding)) for number in numbers]
        return answers.Account(
            **shown.basis(client, state.height),
            address=addresses.encode(owner),
            balance=format_ankr(found.balance_atto),
            balance_atto=str(found.balance_atto),
            nonce=found.nonce,
            bond_atto=str(0 if bonded is None else bonded.bond_atto),
            unbonding=[shown.unbonding(number, each) for number, each in waiting],
            rewards_atto=str(0 if reward is None else reward.total_atto),
            service_level=None if level is None else level.service_level,
        )

    return await gateway_of(request).chain.ask(ask)


@get("/v1/accounts/{address:str}/history", tags=ACCOUNTS, summary="What happened to it", responses=problems(501))
async def history(
    request: AnyRequest,
    address: AddressPath,
    before: Annotated[
        str | None, Parameter(pattern=PAGE_START, description="HEIGHT:POSITION of the last one of the page before.")
    ] = None,
) -> answers.History:
    """Fifty at once, newest first, from the index that the gateway was started with; 501 without one."""
    gateway, owner = gateway_of(request), addresses.decode(address)
    if gateway.index is None:
        raise Refused("index_absent", f"asked for the history of {address}")
    found = await gateway.index.of_address(addresses.encode(owner), before)
    return await gateway.chain.ask(
        lambda client: answers.History(
            **shown.basis(client, None), address=addresses.encode(owner), **found.of_chain(client.chain_id)
        )
    )


@get("/v1/operators", tags=ACCOUNTS, summary="Whom elections look at", responses=problems())
async def operators(request: AnyRequest) -> answers.Operators:
    def ask(client: ChainClient) -> answers.Operators:
        state = Snapshot(client)
        listed = state.entry(OPERATORS_KEY, Operators) or Operators(())
        stake = state.entry(STAKE_KEY, Stake) or Stake(0)
        return answers.Operators(
            **shown.basis(client, state.height),
            operators=[addresses.encode(each) for each in listed.addresses],
            stake_atto=str(stake.total_atto),
        )

    return await gateway_of(request).chain.ask(ask)


@get("/v1/operators/{address:str}", tags=ACCOUNTS, summary="One operator", responses=problems(404))
async def operator(request: AnyRequest, address: AddressPath) -> answers.OneOperator:
    owner = addresses.decode(address)

    def ask(client: ChainClient) -> answers.OneOperator:
        state = Snapshot(client)
        found = state.entry(operator_key(owner), Operator)
        if found is None:
            raise Refused("tx_unknown_operator", f"at height {state.height} {address} has never bonded")
        return answers.OneOperator(**shown.basis(client, state.height), operator=shown.operator(owner, found))

    return await gateway_of(request).chain.ask(ask)


@get("/v1/devices/{device:str}", tags=THINGS, summary="Whose a device is", responses=problems(404))
async def device(request: AnyRequest, device: HashPath) -> answers.Device:
    name = hash_bytes(device)

    def ask(client: ChainClient) -> answers.Device:
        state = Snapshot(client)
        registered = state.entry(device_key(name), Device)
        revoked = state.entry(revoked_key(name), RevokedDevice)
        found = registered or (None if revoked is None else revoked.device)
        if found is None:
            raise Refused("tx_unknown_device", f"at height {state.height} device {name.hex()} is not registered")
        return answers.Device(
            **shown.basis(client, state.height),
            device=name.hex(),
            state="revoked" if registered is None else "registered",
            owner=addresses.encode(found.owner),
            registered_height=found.registered_height,
            registered_epoch=found.registered_epoch,
            revoked_epoch=None if revoked is None else revoked.revoked_epoch,
        )

    return await gateway_of(request).chain.ask(ask)


@get("/v1/deals/{deal:str}", tags=THINGS, summary="Escrow, use and payments of a deal", responses=problems(404))
async def deal(request: AnyRequest, deal: HashPath) -> answers.Deal:
    name = hash_bytes(deal)

    def ask(client: ChainClient) -> answers.Deal:
        state = Snapshot(client)
        found = state.entry(deal_key(name), Deal)
        if found is None:
            raise Refused("tx_unknown_deal", f"at height {state.height} there is no deal {name.hex()}")
        return answers.Deal(**shown.basis(client, state.height), deal=name.hex(), **shown.deal(found))

    return await gateway_of(request).chain.ask(ask)


ACCOUNT_ROUTES = [account, history, operators, operator, device, deal]
