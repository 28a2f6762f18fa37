"""The loopback side: the page, the overview, the admin's two buttons, the audit log, the live stream."""

import asyncio
import json

import pytest

from fleet.hub.actions.devices import do_note_reported, do_note_state, note_telemetry
from fleet.hub.actions.enrolment import do_create_token, do_enrol
from fleet.hub.actions.events import MessageRefused, PogChecked, RecordsAccepted, RewardsPaid
from fleet.hub.api.live import LivePage, events
from fleet.hub.page.rendering import PARTS, Renderer
from fleet.hub.store.tables import refusal_counts
from fleet.protocol.enrolment import EnrolRequest
from fleet.protocol.messages import (
    Gpu,
    GpuTelemetry,
    Hardware,
    Problem,
    RepairAttempt,
    Reported,
    State,
    SystemTelemetry,
)

OWNER = "ankr1" + "q" * 32
NAME = "<script>alert(1)</script>"


@pytest.fixture
def member(device, desk, identity):
    """A device that joined, said what it is, worked, and was paid."""
    token, _ = do_create_token(desk, identity)
    request = EnrolRequest(device.key.public, token.secret, None, b"c" * 16, device.csr, b"n" * 16)
    return do_enrol(desk, identity, request).device.hex()[:32]


def work(desk, member):
    do_note_state(desk, member, State(online=True))
    gpus = [Gpu(index=0, uuid="GPU-1", name="Some GPU", memory_bytes=8 << 30)]
    do_note_reported(desk, member, Reported(version=0, hardware=Hardware(hostname=NAME, cpu_model="A CPU"), gpus=gpus))
    note_telemetry(desk, member, SystemTelemetry(at_ms=1, cpu_pct=41.5, memory_used_bytes=1 << 30), None)
    note_telemetry(desk, member, GpuTelemetry(at_ms=1, uuid="GPU-1", power_w=300), 0)
    at = desk.now_ms()
    desk.bus.publish(RecordsAccepted(at_ms=at, device=member, count=3, upto_seq=2))
    desk.bus.publish(
        PogChecked(
            at_ms=at, device=member, gpu="cpu", challenge_height=6, ok=True, code=None, operations_per_s=83 * 10**9
        )
    )
    desk.bus.publish(RewardsPaid(at_ms=at, reward_epoch=3, height=50, rewards={OWNER: "1.25"}))
    with desk.change() as change:
        change.connection.execute(refusal_counts.insert().values(code="record_replay", topic_id=member, count=4))


def code_of(answer):
    return answer.status_code, answer.json()["code"]


def test_an_empty_hub_says_what_to_do(page):
    html = page.get("/").text
    assert "Waiting for the first machine" in html and "No machine has joined yet" in html


def test_the_page_shows_what_happened_and_escapes_what_devices_say(page, desk, member):
    work(desk, member)
    html = page.get("/").text
    for told in ("1.25", "83.0 Gop/s", "record_replay", "4 711", "A CPU", "Some GPU", "Level 1"):
        assert told.replace(" ", "\u202f") in html or told in html, told
    assert NAME not in html and "&lt;script&gt;" in html


def test_the_overview_is_the_same_as_a_document(page, desk, member):
    work(desk, member)
    document = page.get("/api/overview").json()
    line = document["devices"][0]
    assert (line["device"], line["online"], line["evidence_level"], line["records_refused"]) == (member, True, 1, 4)
    assert line["hardware"]["cpu_model"] == "A CPU" and line["system"]["cpu_pct"] == 41.5
    assert line["gpus"][0]["uuid"] == "GPU-1" and line["gpus"][0]["gauges"]["power_w"] == 300
    assert line["pog"][0]["rate"] == 83 * 10**9
    assert (document["records_accepted"], document["records_refused"], document["pog_passed"]) == (3, 4, 1)
    assert document["owners"][0]["total"] == document["rewards_total"] == "1.25"
    assert document["chain"]["height"] == 4711
    assert page.get(f"/api/devices/{member}").json() == line
    assert code_of(page.get(f"/api/devices/{'00' * 16}")) == (404, "device_unknown")


def test_what_ails_a_machine_is_shown_with_what_it_tries_and_told_with_its_log(page, desk, member):
    tried = RepairAttempt(repair="restart-workload", at_ms=1, outcome="done")
    grave = Problem(
        id="a1", kind="gpu_lost", subject="0000:01:00.0", severity="crit", since_ms=1, said=f"the card {NAME} is lost",
        suggestion="Check its cables.", attempts=[tried], next_repair="reset-clocks", logs=["NVRM: Xid 79"],
    )  # fmt: skip
    mild = Problem(
        id="b2", kind="disk_worn", subject="sda", severity="warn", since_ms=1, said="worn", suggestion="Buy."
    )
    card = Gpu(index=0, uuid="GPU-1", quarantined=True)
    do_note_reported(desk, member, Reported(version=0, hardware=Hardware(), gpus=[card], problems=[grave, mild]))
    html = page.get("/").text
    for told in ("It will try by itself: reset-clocks", "worn. Buy.", "quarantined"):
        assert told in html
    assert NAME not in html and "Xid 79" not in html
    line = page.get("/api/overview").json()["devices"][0]
    assert [each["kind"] for each in line["problems"]] == ["gpu_lost", "disk_worn"]
    told = page.get(f"/api/devices/{member}/problems").json()
    assert told[0]["logs"] == ["NVRM: Xid 79"] and told[0]["attempts"][0]["repair"] == "restart-workload"
    assert code_of(page.get(f"/api/devices/{'00' * 16}/problems")) == (404, "device_unknown")


def test_unknown_is_not_zero(page, member):
    line = page.get("/api/overview").json()["devices"][0]
    assert line["online"] is None and line["system"] is None and line["hardware"] is None
    assert line["evidence_level"] == 0


def test_the_audit_log_is_read_backwards_in_pages(page, desk, member):
    do_note_state(desk, member, State(online=True))
    newest = page.get("/api/events?limit=1").json()
    assert newest[0]["event"] == {"kind": "device-online", "at_ms": desk.now_ms(), "device": member}
    older = page.get(f"/api/events?before={newest[0]['id']}").json()
    assert [line["event"]["kind"] for line in older] == ["device-enrolled", "certificate-issued", "token-created"]


@pytest.mark.parametrize("path", ["/api/claims", "/api/tokens"])
@pytest.mark.parametrize("header", [None, "Bearer wrong", "Basic eDp5"])
def test_changing_anything_needs_the_secret(page, path, header):
    headers = {"Authorization": header} if header else {}
    answer = page.post(path, json={"code": "ABCD-EFGH"}, headers=headers)
    assert code_of(answer) == (401, "not_admin") and answer.headers["www-authenticate"] == "Bearer"


def test_a_token_comes_with_the_line_to_type(page, admin):
    document = page.post("/api/tokens", json={}, headers=admin).json()
    assert document["join"] == f"dccn agent run --hub https://127.0.0.1:8443 --token {document['token']}"


def test_nobody_guesses_codes(page, admin):
    answers = [page.post("/api/claims", json={"code": "ABCD-EFGH"}, headers=admin) for _ in range(6)]
    assert [code_of(answer) for answer in answers] == [(403, "claim_invalid")] * 5 + [(429, "rate_limited")]


@pytest.mark.parametrize("body", [b"", b"{", b'{"code": 7}', b"[]"])
def test_a_body_that_is_none_is_malformed(page, admin, body):
    answer = page.post("/api/claims", content=body, headers={**admin, "Content-Type": "application/json"})
    assert code_of(answer) == (400, "malformed")


def test_another_sites_name_for_this_machine_is_not_answered(page):
    answer = page.get("/api/overview", headers={"Host": "evil.example:8080"})
    assert answer.status_code == 421
    assert page.get("/health", headers={"Host": "127.0.0.1:9999"}).json()["ok"] is True, "through a tunnel"


def test_every_answer_is_guarded(page):
    for path in ("/", "/static/page.js", "/api/overview", "/schema/openapi.json", "/nowhere"):
        headers = page.get(path).headers
        assert "script-src 'self'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff"


def test_the_page_needs_nothing_from_elsewhere(page):
    texts = [page.get(path).text for path in ("/", "/static/page.css", "/static/page.js", "/static/theme.js")]
    for text in texts:
        assert "https://" not in text.replace("https://127.0.0.1", "") and "//cdn" not in text
        assert " style=" not in text and "onclick" not in text, "the content security policy refuses inline code"


def test_the_api_is_described(page):
    paths = page.get("/schema/openapi.json").json()["paths"]
    assert {"/api/overview", "/api/events", "/api/claims", "/api/tokens", "/health"} <= set(paths)


async def test_the_stream_sends_every_part_once_and_then_what_changed(hub, desk, member):
    live = LivePage(hub, Renderer())
    stream = live.stream()
    first = [json.loads((await anext(stream)).data) for _ in PARTS]
    assert [part["id"] for part in first] == list(PARTS)
    desk.bus.publish(MessageRefused(at_ms=desk.now_ms(), device=member, code="bad_signature", detail="", topic="t"))
    async with asyncio.timeout(5):
        part = json.loads((await anext(stream)).data)
    assert part["id"] == "events" and "bad_signature" in part["html"]
    await stream.aclose()


async def test_the_stream_ends_when_the_hub_stops(hub):
    live = LivePage(hub, Renderer())
    live.closing.set()
    assert [message async for message in live.stream()] == []


async def test_viewers_are_bounded(hub, monkeypatch):
    monkeypatch.setattr("fleet.hub.api.live.MAX_VIEWERS", 1)
    live = LivePage(hub, Renderer())
    stream = live.stream()
    await anext(stream)
    with pytest.raises(Exception, match="rate_limited"):
        await anext(live.stream())
    await stream.aclose()
    await anext(live.stream())


async def test_programs_read_the_typed_events(hub, desk):
    stream = events(hub, asyncio.Event())
    reading = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    desk.bus.publish(RewardsPaid(at_ms=1, reward_epoch=3, height=50, rewards={OWNER: "1.25"}))
    async with asyncio.timeout(5):
        message = await reading
    assert message.event == "rewards-paid"
    assert json.loads(message.data)["rewards"] == {OWNER: "1.25"}
    await stream.aclose()
