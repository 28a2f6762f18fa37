"""The page before a real browser: it follows by itself, lets machines join, and says when the hub is away."""

import asyncio

import pytest

from appliance.agent.enrolment import enrol
from appliance.agent.settings import Settings as AgentSettings
from chain.errors import REGISTRY
from fleet.hub.ports import ChainView
from fleet.protocol.topics import WORK

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]


async def shows(page, selector, text):
    """Wait until the element has exactly this text; thin spaces count as spaces."""
    await page.wait_for_function(
        "([selector, text]) => [...document.querySelectorAll(selector)]"
        ".some(node => node.textContent.replaceAll('\\u202f', ' ').replace(/\\s+/g, ' ').trim() === text)",
        arg=[selector, text],
    )


async def test_an_empty_hub_waits_for_the_first_machine_and_shows_it_when_it_comes(hub, screen, machine):
    page = await screen.open()
    await shows(page, "h1", "Waiting for the first machine")
    machine(hostname="rack-1", gpus=1)
    await shows(page, ".machine h3", "rack-1")
    await shows(page, "h1", "1 machine at work")
    await shows(page, ".gpu .under p", "412 W · 71 °C · fan 64 %")


async def test_counts_move_by_themselves_when_records_are_accepted(hub, screen, machine):
    rack = machine()
    page = await screen.open()
    await page.evaluate("window.since = 'the first load'")
    rack.work(5)
    await shows(page, '[data-k="records"]', "5")
    rack.work(7)
    await shows(page, '[data-k="records"]', "12")
    await shows(page, f'[data-k="records-{rack.topic}"]', "12")
    await shows(page, ".events p", f"12 work records verified and stored, up to number 11 {rack.topic[:8]}")
    assert await page.evaluate("window.since") == "the first load"


async def test_what_is_refused_appears_with_its_code_its_meaning_and_its_remedy(hub, screen, machine):
    rack, other = machine(), machine(seed=2)
    page = await screen.open()
    await shows(page, "#refusals strong", "Nothing was turned down")
    (record,) = rack.work()
    for _ in range(3):
        rack.say(WORK, record)
    other.say(WORK, record)
    for code, count in (("record_replay", "3"), ("record_foreign", "1")):
        await shows(page, f'[data-k="refused-{code}"]', count)
        line = await page.locator(".refusals li", has_text=code).inner_text()
        assert REGISTRY[code].meaning in line and REGISTRY[code].remedy in line
    await shows(page, f'[data-k="refused-{rack.topic}"]', "3")
    await shows(page, ".summary .bad", "4 refused")
    repeated = f"Refused (record_replay): {REGISTRY['record_replay'].meaning} × 3 {rack.topic[:8]}"
    await shows(page, ".events .bad p", repeated)


async def test_rewards_and_challenges_appear_as_they_come(hub, screen, machine):
    rack = machine()
    page = await screen.open()
    rack.prove(6)
    await shows(page, '[data-k="compute"]', "83.0 Gop/s")
    await shows(page, ".level", "Level 1compute proven")
    hub.pay(3, **{rack.owner: "1234.5678"})
    await shows(page, "h1", "1 machine at work, 1 234.56 ANKR earned")
    await shows(page, f'[data-k="owner-{rack.owner}"]', "1 234.5678")
    rack.prove(12, code="pog_wrong")
    await shows(page, ".proof .bad", "last answer: pog_wrong")


async def test_an_unreachable_chain_is_named_in_one_sentence_though_it_sends_no_event(hub, screen):
    page = await screen.open()
    await shows(page, '[data-k="height"]', "4 711")
    hub.services.shown = ChainView(height=4711, problem="no node answers at http://127.0.0.1:26657")
    await shows(page, ".notice", "The chain: no node answers at http://127.0.0.1:26657")


async def type_claim(page, code, secret):
    await page.get_by_label("Claim code").fill(code)
    await page.get_by_label("Admin secret").fill(secret)
    await page.get_by_role("button", name="Let it join").click()


async def test_a_person_claims_a_machine_and_only_with_the_right_code_and_the_secret(hub, screen, tmp_path):
    """The machine is a real agent that asks this hub over its HTTPS API."""
    page = await screen.open()
    shown = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()

    def emit(event, **told):
        if event == "claim_code":
            loop.call_soon_threadsafe(shown.set_result, told["code"])

    settings = AgentSettings(home=tmp_path / "agent", trust_first_use=True)
    joining = asyncio.create_task(asyncio.to_thread(enrol, settings, hub.device_url, None, emit=emit))
    async with asyncio.timeout(20):
        code = await shown
    await page.locator(".events p", has_text="A machine shows a claim code").wait_for()

    wrong = ("0" if code[0] != "0" else "1") + code[1:]
    await type_claim(page, wrong, hub.secret)
    await shows(page, "#claim-answer", told_of("claim_invalid"))
    assert await page.evaluate("document.activeElement.id") == "code"
    await type_claim(page, code, "not the secret")
    await shows(page, "#claim-answer", told_of("not_admin"))
    assert await page.evaluate("document.activeElement.id") == "secret"
    await type_claim(page, "nonsense!", hub.secret)
    await shows(page, "#claim-answer", told_of("claim_invalid"))
    assert not joining.done()

    await type_claim(page, code.lower().replace("-", ""), hub.secret)
    async with asyncio.timeout(20):
        await joining
    await page.wait_for_selector("#claim-answer.good")
    assert "joins within seconds" in await page.inner_text("#claim-answer")
    assert await page.input_value("#code") == "", "ready for the next one"
    await page.wait_for_selector(".machine")
    screen.forgive("Failed to load resource")


def told_of(code):
    return f"{REGISTRY[code].meaning} {REGISTRY[code].remedy}"


async def test_the_token_button_gives_the_line_that_lets_a_machine_join(hub, screen, tmp_path):
    page = await screen.open()
    await page.get_by_role("button", name="Make a token instead").click()
    assert "admin secret is needed" in await page.inner_text("#claim-answer")
    await page.get_by_label("Admin secret").fill(hub.secret)
    await page.get_by_role("button", name="Make a token instead").click()
    await page.wait_for_selector("#command:not([hidden])")
    words = (await page.inner_text("#command code")).split()
    assert words[:3] == ["dccn", "agent", "run"] and words[3::2] == ["--hub", "--token"]
    await asyncio.to_thread(
        enrol, AgentSettings(home=tmp_path / "agent"), words[4], words[6], emit=lambda *_, **__: None
    )
    await page.wait_for_selector(".machine")
    await page.get_by_role("button", name="Copy").click()


async def test_the_page_says_when_the_hub_is_away_and_follows_again_when_it_is_back(hub, screen, machine):
    rack = machine()
    rack.work(2)
    page = await screen.open()
    await hub.stop()
    await page.wait_for_selector('#link[data-state="lost"]')
    assert "hub away since" in await page.inner_text("#link")
    await page.get_by_label("Admin secret").fill("whatever")
    await page.get_by_role("button", name="Make a token instead").click()
    await shows(page, "#claim-answer", "The hub does not answer. Is it running?")
    await hub.start()
    await page.wait_for_selector('#link[data-state="live"]')
    await shows(page, "#link", "live")
    rack.work(3)
    await shows(page, '[data-k="records"]', "5")
    screen.forgive("Failed to load resource")


async def test_a_hostile_host_name_is_shown_and_not_run(hub, screen, machine):
    machine(hostname="<img src=x onerror=alert(1)>")
    page = await screen.open()
    await shows(page, ".machine h3", "<img src=x onerror=alert(1)>")
    assert await page.locator(".machine img").count() == 0


async def test_two_hundred_machines_are_one_list_with_trouble_first(hub, screen, machine):
    machines = [machine(seed=10 + index, hostname=f"node-{index:03}", gpus=index % 3) for index in range(200)]
    for index, rack in enumerate(machines):
        rack.prove(6, rate=index * 10**9)
        hub.pay(3, **{rack.owner: "0.5"})
    page = await screen.open()
    await shows(page, "h1", "200 machines at work, 100 ANKR earned")
    bad = machines[7]
    (record,) = bad.work()
    bad.say(WORK, record)
    await shows(page, ".roster tbody tr:first-child .name", "node-007")
    assert await page.locator(".roster tbody tr").count() == 100
    assert await page.locator(".machine").count() == 0
    assert "100 more" in await page.inner_text(".roster .more")
    assert "188 more owners" in await page.inner_text("#rewards .more")
    assert await page.evaluate("document.querySelectorAll('*').length") < 4_000
    assert await page.evaluate("document.documentElement.scrollHeight") < 4_000
    roster = page.locator(".roster")
    await roster.evaluate("node => { node.focus(); node.scrollTop = 300; }")
    bad.work()
    await shows(page, '[data-k="records"]', "2")
    assert await roster.evaluate("node => [node.scrollTop, document.activeElement === node]") == [300, True]
