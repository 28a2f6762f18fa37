"""The page of a whole network on this machine: what the miner does is what a person sees."""

import asyncio
import json
import ssl

import paho.mqtt.client as mqtt
import pytest
import pytest_asyncio
from paho.mqtt.enums import CallbackAPIVersion

from appliance.agent import status as agent_status
from chain.errors import REGISTRY
from dccn.demo.network import FLEET, Network, Places
from fleet.protocol.topics import WORK

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


@pytest_asyncio.fixture(loop_scope="module")
async def hub(tmp_path):
    """In place of the hub in this process: the demo's, with chain, broker and agent around it.

    It starts in this very thread, since the kernel ends its children with the thread that started them.
    """
    network = Network(Places(tmp_path), "127.0.0.1")
    try:
        network.start()
        network.url = network.page_url.rstrip("/")
        yield network
    finally:
        network.stop()


async def test_a_miner_earns_before_the_eyes_of_its_owner_and_what_is_garbled_is_refused(hub, screen):
    page = await screen.open()
    page.set_default_timeout(60_000)
    await page.wait_for_selector(".machine.on")
    await more_records(page)
    await page.wait_for_selector(".level-1")
    await page.wait_for_selector("h1 em")
    assert "ANKR" in await page.inner_text("h1") and "Nothing was turned down" in await page.inner_text("#refusals")
    owner = agent_status.read(hub.places.agent)["owner"]
    await page.wait_for_selector(f'th[title="{owner}"]')

    await asyncio.to_thread(publish_garbage, hub)
    line = page.locator(".refusals li", has_text="malformed")
    await line.wait_for()
    assert REGISTRY["malformed"].meaning in await line.inner_text()
    await page.wait_for_selector(".machine.on")
    await more_records(page)


async def more_records(page):
    """Wait until the count has moved from where it is."""
    seen = await page.inner_text('[data-k="records"]')
    moved = "seen => Number(document.querySelector('[data-k=records]').textContent) > Number(seen)"
    await page.wait_for_function(moved, arg=seen)


def publish_garbage(network):
    """As the miner, with its own certificate: that takes its session over, and it has to come back."""
    device = agent_status.read(network.places.agent)["device"]
    context = ssl.create_default_context(cafile=str(network.places.hub / "identity" / "ca.pem"))
    context.load_cert_chain(network.places.agent / "tls" / "client.pem")
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=device, protocol=mqtt.MQTTv5)
    client.tls_set_context(context)
    port = json.loads((network.places.hub / "ports.json").read_text())["broker"]
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.publish(WORK.topic(FLEET, device), b"\xff\x00garbage", 1).wait_for_publish(20)
    client.disconnect()
    client.loop_stop()
