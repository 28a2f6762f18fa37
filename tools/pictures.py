"""Take the documents' pictures: run a whole network on this machine, wait until it earns, and look at its page.

Usage: python -m tools.pictures [FOLDER], by default docs/pictures. Takes a minute; needs mosquitto and Chromium.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, sync_playwright

from dccn.demo.network import Network, Places
from tools.browser import CHROMIUM, FLAGS

FOLDER: Final = Path("docs/pictures")
EARNS_WITHIN_S: Final = 120
EPOCHS_PAID: Final = 4
MAX_BYTES: Final = 150_000
PICTURES: Final[Mapping[str, dict[str, Any]]] = {
    "page.png": {"viewport": {"width": 1200, "height": 860}},
    "page-phone.png": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 1.5, "is_mobile": True},
}
NAME_SHOWN: Final = "living-room"
RENAME: Final = """(() => {
  const rename = () => {
    for (const node of document.querySelectorAll(".machine h3")) if (node.textContent !== NAME) node.textContent = NAME;
  };
  new MutationObserver(rename).observe(document, { childList: true, subtree: true });
})();""".replace("NAME", f'"{NAME_SHOWN}"')
"""The machine that happens to take the pictures keeps its name to itself; everything else is as it is."""


def main(folder: Path) -> int:
    """Write the pictures; 1 when one is too large for a repository."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dccn-pictures-") as home, sync_playwright() as playwright:
        network = Network(Places(Path(home)), "127.0.0.1")
        try:
            network.start()
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            for name, window in PICTURES.items():
                take(browser, network.page_url, window, folder / name)
            browser.close()
        finally:
            network.stop()
    sizes = {name: (folder / name).stat().st_size for name in PICTURES}
    print(", ".join(f"{folder / name}: {size // 1000} kB" for name, size in sizes.items()))
    return int(max(sizes.values()) > MAX_BYTES)


def take(browser: Browser, url: str, window: dict[str, Any], path: Path) -> None:
    """One picture of the page, once the machine was paid for several epochs."""
    context = browser.new_context(color_scheme="light", reduced_motion="reduce", **window)
    context.add_init_script(RENAME)
    page = context.new_page()
    page.goto(url, wait_until="domcontentloaded")
    paid = f"() => document.querySelectorAll('.events .money').length >= {EPOCHS_PAID}"
    page.wait_for_function(paid, timeout=EARNS_WITHIN_S * 1000)
    page.screenshot(path=path)
    context.close()


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER))
