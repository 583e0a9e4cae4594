"""What stands about the sections of any page: links to them, the menu of its charts, the line where values are read."""

from collections.abc import Iterable, Mapping

from breakeven.report.chart import save_menu
from breakeven.report.markup import Html, el, joined

CHARTS = "Charts: Observable Plot and D3 (ISC licence), inside this file."


def framed(sections: Iterable[Html], *, links: Mapping[str, str], footer: str) -> Html:
    """Everything that is seen: `links` are the names of sections, and their ids."""
    return joined(
        el("a", "Skip to the answer", href="#main", class_="skip"),
        el(
            "nav",
            el("div", el("strong", "breakeven"), *_links(links), class_="wrap"),
            aria_label="Sections",
        ),
        el("main", *sections, id="main", class_="wrap"),
        save_menu(),
        el("p", id="reading", class_="unseen", role="status"),
        el("footer", f"{footer} {CHARTS}", class_="wrap"),
    )


def _links(links: Mapping[str, str]) -> Iterable[Html]:
    return (el("a", name, href=f"#{place}") for name, place in links.items())
