"""What the chain proves of devices, remembered for a few seconds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from chain.gateway.admission.decision import Standing
from chain.gateway.chain import Chain
from chain.gateway.snapshot import Snapshot
from chain.wallet.client import ChainClient
from chain.wire.state import Device, RevokedDevice, device_key, revoked_key

REMEMBERED_S: Final = 10.0
"""After that long a registration or a revocation has its effect here."""

DEVICES_MAX: Final = 10_000


class DeviceRegistry:
    """Asks the chain, and only as often as it must."""

    def __init__(self, chain: Chain, now_s: Callable[[], float]) -> None:
        self._chain = chain
        self._now_s = now_s
        self._known: OrderedDict[bytes, tuple[Standing, float]] = OrderedDict()

    async def standing(self, device: bytes) -> Standing:
        """Proven, at most `REMEMBERED_S` ago. Raises what `Chain.ask` raises."""
        now = self._now_s()
        known = self._known.get(device)
        if known is not None and now - known[1] < REMEMBERED_S:
            return known[0]
        found = await self._chain.ask(lambda client: standing_of(client, device))
        self._known[device] = found, now
        self._known.move_to_end(device)
        while len(self._known) > DEVICES_MAX:
            self._known.popitem(last=False)
        return found


def standing_of(client: ChainClient, device: bytes) -> Standing:
    """The entry of a revocation stays when the device is registered anew, so the registration is looked for first."""
    state = Snapshot(client)
    if state.entry(device_key(device), Device) is not None:
        return Standing.REGISTERED
    revoked = state.entry(revoked_key(device), RevokedDevice) is not None
    return Standing.REVOKED if revoked else Standing.UNREGISTERED
