"""The page: one self-contained file that opens from disk, with a policy that lets nothing else run or load."""

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import Any, Final

from breakeven.findings import Findings
from breakeven.report import formulas
from breakeven.report.markup import Html, el, joined
from breakeven.report.pagedata import encode, page_data
from breakeven.report.sections import body
from breakeven.report.sentence import title_text

LIBRARIES: Final = ("d3.min.js", "plot.umd.min.js")
OWN: Final = (
    *("money.js", "kit.js", "charts.js", "save.js", "say.js", "state.js"),
    *("moneycharts.js", "figures.js", "whatif.js", "page.js"),
)


def to_html(found: Findings) -> str:
    """The whole page."""
    return page(body(found), page_data(found), title=title_text(found), version=found.version)


def page(shown: Html, data: dict[str, Any], *, title: str, version: str) -> str:
    """A page of what is shown and the data of its charts.

    No text in it is taken for markup, and its policy forbids every script but its own.
    """
    scripts = page_scripts()
    head = joined(
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy()),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("meta", name="generator", content=f"breakeven {version}"),
        el("title", f"breakeven: {title}"),
        el("style", Html(page_file("page.css"))),
    )
    whole = el(
        "body",
        shown,
        el("script", Html(encode(data)), type="application/json", id="data"),
        *(el("script", script) for script in scripts),
    )
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>{whole}</html>\n'


def page_scripts() -> list[Html]:
    """Every script of the page, in order."""
    own = [formulas.script(), *(page_file(name) for name in OWN)]
    return [*(library(name) for name in LIBRARIES), *map(Html, own)]


def policy(*, connect: str = "'none'") -> str:
    """Content security policy: nothing from anywhere, only our own scripts and style by their hashes."""
    return content_policy(page_scripts(), styles=[page_file("page.css")], connect=connect)


def content_policy(scripts: list[Html], *, styles: list[str], connect: str) -> str:
    """A policy for these inline scripts and styles."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(_hash(script) for script in scripts)}",
            f"style-src {' '.join(_hash(style) for style in styles)}",
            f"connect-src {connect}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def page_file(name: str) -> str:
    """One of our own files."""
    return resources.files("breakeven.report.page").joinpath(name).read_text(encoding="utf-8")


@cache
def library(name: str) -> Html:
    """A vendored library with its licence above it."""
    folder = resources.files("breakeven.report.vendor")
    licence = folder.joinpath(f"{name.partition('.')[0]}.LICENSE").read_text(encoding="utf-8")
    return Html(f"/*!\n{licence}*/\n{folder.joinpath(name).read_text(encoding='utf-8')}")
