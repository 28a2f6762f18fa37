"""The explorer over HTTP: what its pages show, where they link, what the search field finds."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
import urllib3

from chain.history.explorer.documents import PAGE_ROWS, Explorer
from chain.history.store import open_index, read_index
from tests.chain.history.explorer.conftest import ALICE_TEXT, DEVICE_ID, HUB_TEXT, Life, served


def get(url: str, *, redirect: bool = True, method: str = "GET") -> urllib3.BaseHTTPResponse:
    return urllib3.request(method, url, redirect=redirect, timeout=30)


def page(url: str) -> str:
    answer = get(url)
    assert answer.status == 200
    return answer.data.decode()


def test_from_the_newest_block_to_a_payment(explorer: str, life: Life) -> None:
    assert f'href="/block/{life.paid_height}"' in page(explorer)
    block = page(f"{explorer}/block/{life.paid_height}")
    assert f'href="/tx/{life.paid}"' in block and f'href="/address/{ALICE_TEXT}"' in block
    assert f'href="/block/{life.paid_height - 1}"' in block and f'href="/block/{life.paid_height + 1}"' in block
    assert "400\N{NARROW NO-BREAK SPACE}000 ANKR" in page(f"{explorer}/tx/{life.paid}")
    (shown,) = get(f"{explorer}/tx/{life.paid}.json").json()["happenings"]
    assert (shown["result"], shown["amount"], shown["to"]) == ("ok", "400000", ALICE_TEXT)


def test_without_a_node_a_page_shows_the_history_alone(explorer: str, life: Life) -> None:
    shown = get(f"{explorer}/deal/{life.settled}.json").json()
    assert shown["now"] is None
    assert [one["type"] for one in shown["happenings"]] == ["rate", "deal_settle", "metering_batch", "deal_open"]
    assert {*map(tuple, (one["proven_roles"] for one in shown["happenings"]))} == {("deal",)}
    assert shown["happenings"][0]["stars"] == 5 and shown["happenings"][3]["escrow"] == "10"
    assert "proven at height" not in page(f"{explorer}/address/{ALICE_TEXT}")
    assert "--rpc" in page(f"{explorer}/validators")


def test_an_account_is_shown_with_what_the_state_proves_of_it(proven: str) -> None:
    now = get(f"{proven}/address/{ALICE_TEXT}.json").json()["now"]
    assert now["operator"]["bond"] == "200000" and now["operator"]["state"] == "in good standing"
    assert now["nonce"] == 2 and now["height"] > 1
    assert "200\N{NARROW NO-BREAK SPACE}000 ANKR bonded" in page(f"{proven}/address/{ALICE_TEXT}")


def test_a_device_is_shown_with_its_owner(proven: str) -> None:
    shown = page(f"{proven}/device/{DEVICE_ID}")
    assert f'href="/address/{ALICE_TEXT}"' in shown and "device register" in shown
    unknown = page(f"{proven}/device/{'00' * 32}")
    assert "knows no such device now" in unknown and "Nothing in the index mentions" in unknown


def test_a_deal_is_shown_with_escrow_payment_and_rating(proven: str, life: Life) -> None:
    settled = get(f"{proven}/deal/{life.settled}.json").json()["now"]
    assert (settled["state"], settled["escrow"], settled["used"], settled["paid"]) == ("settled: done", "0", "6", "6")
    assert (settled["customer"], settled["provider"], settled["rated"]) == (HUB_TEXT, ALICE_TEXT, True)
    assert "5 of 5 stars" in page(f"{proven}/deal/{life.settled}")
    still = get(f"{proven}/deal/{life.open}.json").json()["now"]
    assert (still["state"], still["escrow"], still["paid"], still["rated"]) == ("open", "10", "0", False)
    assert "not given" in page(f"{proven}/deal/{life.open}")


def test_the_validators_are_shown_with_the_blocks_they_proposed(proven: str, life: Life) -> None:
    shown = get(f"{proven}/validators.json").json()
    assert sum(one["blocks"] for one in shown["validators"]) == shown["counted"] == shown["indexed"][1]
    assert {one["name"] for one in shown["validators"]} >= {"seed-0", "seed-1", "seed-2", "seed-3"}
    counted = [get(f"{proven}/block/{height}.json").json()["proposer"] for height in range(1, shown["counted"] + 1)]
    assert {one["validator"]: one["blocks"] for one in shown["validators"] if one["blocks"]} == {
        proposer: counted.count(proposer) for proposer in counted
    }
    assert "seated since epoch" in page(f"{proven}/validators")


def test_a_node_that_is_gone_takes_only_its_part_from_the_page(life: Life) -> None:
    with served(life.place, "http://127.0.0.1:1") as url:
        shown = page(f"{url}/deal/{life.settled}")
        assert "cannot be shown" in shown and "unreachable" in shown and "deal settle" in shown
        assert sum(one["blocks"] for one in get(f"{url}/validators.json").json()["validators"])


def test_the_search_field_finds_heights_addresses_and_hashes(explorer: str, life: Life) -> None:
    for wanted, target in (
        ("7", "/block/7"),
        (f" {ALICE_TEXT.upper()} ", f"/address/{ALICE_TEXT}"),
        (life.paid.upper(), f"/tx/{life.paid}"),
        (DEVICE_ID, f"/device/{DEVICE_ID}"),
        (life.open, f"/deal/{life.open}"),
    ):
        answer = get(f"{explorer}/search?{urlencode({'q': wanted})}", redirect=False)
        assert (answer.status, answer.headers["Location"]) == (303, target)


def test_a_long_history_is_shown_page_by_page_without_gap_or_repetition(life: Life) -> None:
    explorer, seen, before = Explorer(read_index(life.place)), [], None
    everything = explorer.document(f"/address/{HUB_TEXT}")["happenings"]
    newest = explorer._history.by_mention("address", bytes(20), 1)
    assert len(everything) <= PAGE_ROWS and newest == []
    for one in everything:
        rest = explorer.document(f"/address/{HUB_TEXT}", before)["happenings"]
        assert rest[0] == one
        seen.append(one)
        before = (one["height"], one["position"])
    assert seen == everything and explorer.document(f"/address/{HUB_TEXT}", before)["happenings"] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/block/0", 404),
        ("/block/x", 404),
        ("/block/99999999", 404),
        ("/block/999999999999999999", 404),
        ("/tx/" + "00" * 32, 404),
        ("/tx/zz", 400),
        ("/address/ankr1zz", 400),
        ("/nothing", 404),
        ("/address/%3Cscript%3E", 400),
        ("/" + "x" * 400, 400),
        ("/search?q=%3Cb%3E", 400),
        ("/search", 400),
        ("/deal/ab?before=x:y", 400),
        ("/deal/ab?before=5", 400),
        ("/deal/ab?before=999999999999999999:-1", 200),
        ("/?before=%00", 400),
        ("/explorer.css/../../../etc/passwd", 404),
        ("/?a=1&a=1&a=1&a=1&a=1&a=1", 400),
    ],
)
def test_what_is_not_there_is_told_and_never_becomes_markup(explorer: str, path: str, status: int) -> None:
    answer = get(explorer + path)
    assert answer.status == status and b"<script" not in answer.data and b"<b>" not in answer.data
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    as_json = get(explorer + path.replace("?", ".json?", 1)) if "?" in path else get(f"{explorer}{path}.json")
    assert as_json.status == status or path.startswith(("/search", "/?"))


def test_the_style_sheet_and_heads_are_answered(explorer: str) -> None:
    style = get(f"{explorer}/explorer.css")
    assert style.headers["Content-Type"].startswith("text/css") and b"prefers-color-scheme" in style.data
    head = get(explorer, method="HEAD")
    assert head.status == 200 and head.data == b"" and int(head.headers["Content-Length"]) > 500


def test_an_empty_index_has_pages_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    place = str(tmp_path_factory.mktemp("empty") / "h.sqlite")
    open_index(place).close()
    with served(place, "http://127.0.0.1:1") as url:
        assert "No block with a transaction" in page(url) and page(f"{url}/validators")
        assert "height_unknown" in page(f"{url}/address/{ALICE_TEXT}")
