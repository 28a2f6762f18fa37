"""The pages in Debian's Chromium: on a phone and a desk, light and dark, without scripts and without other hosts."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, sync_playwright

from tests.chain.history.explorer.conftest import ALICE_TEXT, DEVICE_ID, Life
from tools.browser import CHROMIUM, FLAGS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def paths(life: Life) -> list[str]:
    subjects = [f"/address/{ALICE_TEXT}", f"/device/{DEVICE_ID}", f"/deal/{life.settled}", f"/deal/{'ab' * 32}"]
    return ["/", "/validators", f"/block/{life.paid_height}", f"/tx/{life.paid}", *subjects, "/tx/zz"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1200])
def test_no_page_is_wider_than_its_screen_or_says_anything_to_the_console(
    life: Life, proven: str, browser: Browser, width: int, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    said: list[ConsoleMessage] = []
    asked: set[str] = set()
    page.on("console", lambda message: said.append(message))
    page.on("request", lambda request: asked.add(request.url))
    for path in paths(life):
        answer = page.goto(proven + path)
        assert answer is not None
        wide, screen = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert wide <= screen, path
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (max(map(int, re.findall(r"\d+", ground))) < 64) == (scheme == "dark"), "the style sheet is applied"
        assert page.evaluate("document.scripts.length") == 0
    unexpected = [one.text for one in said if "status of 400" not in one.text]
    assert unexpected == [], "a refusal is all that the console may tell"
    assert {url for url in asked if not url.startswith(proven) and not url.endswith("/favicon.ico")} == set()
    page.close()


def test_a_reader_without_scripts_finds_a_payment_and_follows_it(life: Life, proven: str, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(proven)
    page.get_by_role("searchbox").fill(life.paid)
    page.get_by_role("button", name="Find").click()
    assert page.url == f"{proven}/tx/{life.paid}"
    page.get_by_role("link", name=ALICE_TEXT).first.click()
    assert page.get_by_role("heading", level=1).inner_text() == "Account"
    assert "<b>alice</b>" in page.inner_text("main")
    page.get_by_role("link", name="Validators").click()
    assert page.url == f"{proven}/validators"
    context.close()
