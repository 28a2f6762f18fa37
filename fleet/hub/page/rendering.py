"""Turn the overview into HTML: the whole page once, then the parts that changed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fleet.hub.api.overview import Overview
from fleet.hub.page.sentences import line
from fleet.hub.page.words import FILTERS

FOLDER: Final = Path(__file__).parent
TEMPLATES: Final = FOLDER / "templates"
STATIC: Final = FOLDER / "static"
PARTS: Final = ("headline", "summary", "machines", "rewards", "refusals", "events")
"""Templates `parts/{name}.html`, each the inside of the element with that id."""


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
        self._environment.filters.update(FILTERS)
        self._environment.filters["line"] = line

    def page(self, view: Overview, device_url: str, page_port: int, reachable: bool) -> str:
        """The whole page. `reachable` says whether other machines can get to `device_url`."""
        template = self._environment.get_template("page.html")
        return template.render(view=view, device_url=device_url, page_port=page_port, reachable=reachable)

    def parts(self, view: Overview) -> dict[str, str]:
        """The live parts by their element id."""
        return {name: self._environment.get_template(f"parts/{name}.html").render(view=view) for name in PARTS}
