"""`dccn demo`: the whole path once, on this machine."""

from __future__ import annotations

import queue
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dccn.homes import data_home
from dccn.output import Json, emit, note

if TYPE_CHECKING:
    from dccn.demo.network import Network
    from dccn.demo.story import Story


class Interrupted(Exception):
    """Somebody pressed Ctrl-C or sent SIGTERM: time to stop in order."""


def demo(
    seconds: Annotated[
        float | None, typer.Option(min=1, help="Run this long in a temporary directory, then stop and report.")
    ] = None,
    listen: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Let other machines join on this address of this machine.")
    ] = "127.0.0.1",
    home: Annotated[
        Path | None, typer.Option(help="Where everything is kept. [default: ~/.local/share/dccn/demo]")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a whole network on this machine, with this very machine as its miner, until Ctrl-C."""
    import psutil

    from dccn.demo.network import Network, Places
    from dccn.demo.story import Story
    from dccn.demo.summary import collect

    # From process start, so that the interpreter's own loading counts.
    story = Story(psutil.Process().create_time())
    with demo_home(home, temporary=seconds is not None) as place, interruptible():
        network = Network(Places(place), listen)
        say = note if as_json else print
        try:
            network.start()
            for line in introduction(network, listen):
                say(line)
            watch(network, story, say, None if seconds is None else time.monotonic() + seconds)
        except Interrupted:
            say("stopping")
        finally:
            result: dict[str, Any] | None = None
            if seconds is not None and network.page_url:
                result = collect(network, story.first_reward_s)
            network.stop()
    if result is not None:
        report(result, as_json=as_json)


@contextmanager
def demo_home(home: Path | None, *, temporary: bool) -> Iterator[Path]:
    if temporary and home is None:
        with tempfile.TemporaryDirectory(prefix="dccn-demo-") as folder:
            yield Path(folder)
        return
    yield home or data_home("demo")


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into `Interrupted`, so that the parts are stopped in order."""

    def interrupt(*_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise Interrupted

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def watch(network: Network, story: Story, say: Any, deadline: float | None) -> None:
    """Tell what happens until the deadline (monotonic seconds; None: for ever), and start again what dies."""
    while deadline is None or time.monotonic() < deadline:
        for part in network.children.restart_dead():
            say(story.tell(part, "died and was started again", time.time()))
        try:
            event = network.children.events.get(timeout=0.2)
        except queue.Empty:
            continue
        line = story.line(event, time.time())
        if line is not None:
            say(line)


def introduction(network: Network, listen: str) -> Iterator[str]:
    """Where to look, what to keep, and how a second machine joins."""
    port = network.page_url.rstrip("/").rpartition(":")[2]
    yield f"\nThe fleet's page:   {network.page_url}"
    yield f"  from a laptop:    ssh -L {port}:127.0.0.1:{port} THIS-MACHINE, then the same address"
    if network.admin_secret:
        yield f"  admin secret:     {network.admin_secret}   (shown once; claiming a machine asks for it)"
    yield f"The chain's RPC:    {network.rpc_url}   (embedded engine: one machine, no fault tolerance)"
    if listen in ("127.0.0.1", "::1", "localhost"):
        yield "A second machine can join once it can reach this one: make demo ARGS='--listen ADDRESS'"
    else:
        yield f"To let a second machine join, type there:\n  {network.join_line()}"
    yield f"Data and logs:      {network.places.home}\n"


def report(result: dict[str, Any], *, as_json: bool) -> None:
    rewards = ", ".join(f"{amount} ANKR for {owner}" for owner, amount in result["rewards"].items()) or "none"
    text = (
        f"\n{'The whole path holds.' if result['ok'] else 'THE PATH DOES NOT HOLD.'}\n"
        f"{result['records_accepted']} records accepted, {result['records_rejected']} refused, "
        f"{result['pog_accepted']} compute challenges passed\n"
        f"height {result['height']}, {result['epochs']} reward epochs, "
        f"supply {'unchanged' if result['supply_ok'] else 'CHANGED'}\n"
        f"Rewards: {rewards}\n"
        f"First reward verified after {result['seconds_to_first_reward']} s; light client at {result['light_client']}"
    )
    emit(result, text, as_json=as_json)
    if not result["ok"]:
        raise typer.Exit(1)
