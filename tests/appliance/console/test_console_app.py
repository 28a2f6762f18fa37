"""The Textual console, driven key by key: what it shows, what it asks the helper for, and that nothing leads out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from appliance.console.actions import ACTIONS
from appliance.console.app import NAMES, Console
from appliance.console.dialogs import Confirm, NewPin, Pin
from appliance.helper.client import Helper
from chain.errors import Refused
from tests.appliance.console.test_console_panels import seen
from tests.appliance.running_helper import RunningHelper

Start = Callable[..., RunningHelper]
CLAIM = {"enrolled": False, "hub_url": "https://hub.example:8443"}
CODE = {"code": "N7DK-5929", "hub_url": "https://hub.example:8443"}
HOSTILE = "\x1b[2J\x1b]0;owned\x07[bold red]x[/][@click=app.quit]y[/]\x9b31m\u202e"


class Nobody:
    """Where no helper is needed: it refuses everything."""

    def ask(
        self, verb: str, arguments: Mapping[str, object] | None = None, *, pin: str | None = None
    ) -> dict[str, Any]:
        raise Refused("verb_refused", f"asking for {verb}")


def text(app: Console, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).content)


async def until(pilot: Pilot[None], true: Callable[[], bool], what: str) -> None:
    for _ in range(400):
        if true():
            return
        await pilot.pause(0.05)
    raise AssertionError(f"never: {what}")


async def choose(pilot: Pilot[None], name: str) -> None:
    number = next(n for n, action in enumerate(ACTIONS) if action.name == name)
    await pilot.press(str(len(NAMES)), *["home"], *["down"] * number, "enter")


async def test_every_panel_is_one_key_away_and_the_arrows_go_round() -> None:
    app = Console(lambda: seen(CLAIM, CODE), Nobody())
    async with app.run_test(size=(80, 24)) as pilot:
        assert "waits for its owner" in text(app, "#headline")
        for number, name in enumerate(NAMES):
            await pilot.press(str(number + 1))
            assert f"[{number + 1} {name}]" in text(app, "#tabs")
        await pilot.press("right")
        assert "[1 Health]" in text(app, "#tabs")
        await pilot.press("left", "left")
        assert f"[5 {NAMES[4]}]" in text(app, "#tabs")


async def test_what_the_agent_writes_is_seen_soon() -> None:
    looks = [seen(), seen(CLAIM, CODE), seen({"enrolled": True, "connected": True, "balance": "12.5"})]
    app = Console(lambda: looks.pop(0) if len(looks) > 1 else looks[0], Nobody())
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "works and earns" in text(app, "#headline"), "the newest look")
        assert "12.5 ANKR" in text(app, "#text-1")


async def test_the_code_comes_into_sight_by_itself_and_goes_when_somebody_claimed() -> None:
    now = [seen()]
    app = Console(lambda: now[0], Nobody())
    async with app.run_test(size=(80, 24)) as pilot:
        assert "[1 Health]" in text(app, "#tabs")
        now[0] = seen(CLAIM, CODE)
        await until(pilot, lambda: "[3 Claim]" in text(app, "#tabs"), "the code in sight")
        await pilot.press("2")
        app.refresh_look()
        assert "[2 Earnings]" in text(app, "#tabs"), "whoever looks at something else is left alone"
        await pilot.press("3")
        now[0] = seen({"enrolled": True, "connected": True})
        await until(pilot, lambda: "[1 Health]" in text(app, "#tabs"), "health again")


@pytest.mark.parametrize(
    "key", ["ctrl+q", "ctrl+c", "ctrl+z", "ctrl+d", "ctrl+p", "ctrl+backslash", "escape", "q", "f1"]
)
async def test_no_key_leads_out(key: str) -> None:
    app = Console(lambda: seen(CLAIM, CODE), Nobody())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(key, key, "2")
        assert app.is_running and len(app.screen_stack) == 1 and "[2 Earnings]" in text(app, "#tabs")


async def test_nothing_from_outside_is_markup_or_reaches_the_terminal(start_helper: Start) -> None:
    helper = start_helper("console")
    helper.says("journalctl", f"{HOSTILE}\n" * 30)
    status = dict.fromkeys(("problem", "device", "owner", "fleet", "hub_url", "balance", "chain_id"), HOSTILE)
    app = Console(lambda: seen({"enrolled": True, **status}, {"code": HOSTILE}), helper.client)
    async with app.run_test(size=(80, 24)) as pilot:
        for number in range(1, len(NAMES) + 1):
            await pilot.press(str(number))
            if NAMES[number - 1] == "Logs":
                await until(pilot, lambda: "owned" in text(app, "#text-4"), "logs")
            picture = app.export_screenshot()
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", picture)
        assert "[bold red]x[/][@click=app.quit]y[/]" in text(app, "#text-4")


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (20, 5), (40, 12), (80, 24), (300, 100)])
async def test_any_terminal_size_is_survived(size: tuple[int, int]) -> None:
    app = Console(lambda: seen(CLAIM, CODE), Nobody())
    async with app.run_test(size=size) as pilot:
        for number in range(1, len(NAMES) + 1):
            await pilot.press(str(number))
        await choose(pilot, "Factory reset")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question")
        await pilot.press("escape")
        assert app.is_running


async def test_a_reset_wants_its_word_and_the_pin_and_then_the_helper_does_it(start_helper: Start) -> None:
    from appliance.image import fat

    helper = start_helper("console")
    partition = helper.folder / "config.img"
    fat.make(partition, 34 << 20, "DCCNCFG", 1, {}, 1_767_225_600)
    helper.client.ask("set-pin", {"pin": "2468"})
    app = Console(seen, helper.client)
    async with app.run_test(size=(80, 24)) as pilot:
        await choose(pilot, "Factory reset")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question whether it is meant")
        await pilot.press(*"wipe", "enter")
        assert isinstance(app.screen, Confirm) and "not WIPE" in text(app, "#wrong")
        await pilot.press(*"WIPE", "enter")
        await until(pilot, lambda: isinstance(app.screen, Pin), "the question for the PIN")
        await pilot.press(*"1357", "enter")
        await until(pilot, lambda: "not the owner's" in text(app, "#said"), "the refusal")
        assert helper.calls == []
        await choose(pilot, "Factory reset")
        await until(pilot, lambda: isinstance(app.screen, Confirm), "the question again")
        await pilot.press(*"WIPE", "enter")
        await until(pilot, lambda: isinstance(app.screen, Pin), "the question for the PIN")
        await pilot.press(*"2468", "enter")
        await until(pilot, lambda: "wipes its data" in text(app, "#said"), "the answer")
    assert helper.calls == ["systemctl --no-block reboot"] and fat.get(partition, "factory-reset")


async def test_the_first_action_sets_the_pin(start_helper: Start) -> None:
    helper = start_helper("console")
    app = Console(seen, helper.client)
    async with app.run_test(size=(80, 24)) as pilot:
        await choose(pilot, "Start again")
        await until(pilot, lambda: isinstance(app.screen, NewPin), "the question for a new PIN")
        await pilot.press(*"12", "enter")
        assert "4 to 12 digits" in text(app, "#wrong")
        await pilot.press(*"2468", "enter", *"2469", "enter")
        assert "not the same" in text(app, "#wrong")
        await pilot.press(*"2468", "enter", *"x2468y", "enter")
        await until(pilot, lambda: "starts again" in text(app, "#said"), "the answer")
    assert helper.calls == ["systemctl --no-block reboot"]
    assert helper.client.ask("pin-state") == {"is_set": True}


async def test_too_many_wrong_tries_are_told_with_the_pause(start_helper: Start) -> None:
    helper = start_helper("console")
    helper.client.ask("set-pin", {"pin": "2468"})
    for _ in range(5):
        with pytest.raises(Refused):
            helper.client.ask("reboot", {"reason": "x"}, pin="0000")
    app = Console(seen, helper.client)
    async with app.run_test(size=(80, 24)) as pilot:
        await choose(pilot, "Start again")
        await until(pilot, lambda: isinstance(app.screen, Pin), "the question for the PIN")
        await pilot.press(*"2468", "enter")
        await until(pilot, lambda: "Wait " in text(app, "#said"), "the pause")
    assert helper.calls == []


async def test_escape_leaves_every_question_and_nothing_is_done(start_helper: Start) -> None:
    helper = start_helper("console")
    app = Console(seen, helper.client)
    async with app.run_test(size=(80, 24)) as pilot:
        for name in ("Start again", "Switch off", "Factory reset"):
            await choose(pilot, name)
            await until(pilot, lambda: len(app.screen_stack) == 2, "a question")
            await pilot.press("escape")
            await until(pilot, lambda: len(app.screen_stack) == 1, "the panel")
    assert helper.calls == [] and helper.client.ask("pin-state") == {"is_set": False}


async def test_without_a_helper_the_console_says_so_and_goes_on(tmp_path: Any) -> None:
    app = Console(seen, Helper(tmp_path / "none.sock"))
    async with app.run_test(size=(80, 24)) as pilot:
        await choose(pilot, "Look for an update")
        await until(pilot, lambda: "Not done" in text(app, "#said"), "the reason")
        await pilot.press("5")
        await until(pilot, lambda: "Not done" in text(app, "#text-4"), "the reason in the logs")
