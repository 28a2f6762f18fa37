"""Turn the overview into HTML: the whole page once, then the parts that changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fleet.hub.api.overview import Overview
from fleet.hub.page import roster, words
from fleet.hub.page.sentences import lines

FOLDER: Final = Path(__file__).parent
TEMPLATES: Final = FOLDER / "templates"
STATIC: Final = FOLDER / "static"
PARTS: Final = ("headline", "summary", "machines", "rewards", "refusals", "events")
"""Templates `parts/{name}.html`, each the inside of the element with that id."""


@dataclass(frozen=True, slots=True)
class Joining:
    """What the page says about getting here: machines to `device_url`, people to `page_port` through a tunnel.

    `reachable`: other machines can get to `device_url`. `ca_pin` is what an agent without a token checks this hub by.
    """

    device_url: str
    page_port: int
    reachable: bool
    ca_pin: str


class Renderer:
    """The compiled templates."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters.update(words.FILTERS)
        self._environment.filters.update(roster.FILTERS)
        self._environment.filters["lines"] = lines

    def page(self, view: Overview, joining: Joining) -> str:
        """The whole page."""
        return self._environment.get_template("page.html").render(view=view, joining=joining)

    def parts(self, view: Overview) -> dict[str, str]:
        """The live parts by their element id."""
        return {name: self._environment.get_template(f"parts/{name}.html").render(view=view) for name in PARTS}
