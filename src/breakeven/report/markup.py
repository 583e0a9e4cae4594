"""HTML that is escaped unless it was built here: text goes in as text, whatever a server put into it."""

import html
from typing import Final

VOID: Final = frozenset({"meta", "input", "br", "hr"})


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | int | float | None


def el(tag: str, *children: Child, **attributes: str | float | bool | None) -> Html:
    """One element. Children that are no Html are escaped; `class_` is `class`, `aria_label` is `aria-label`.

    An attribute that is None or False is left out; True gives a bare one.
    """
    named = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in VOID:
        return Html(f"<{tag}{named}>")
    return Html(f"<{tag}{named}>{joined(*children)}</{tag}>")


def section(name: str, title: str, lead: str | None, *parts: Child) -> Html:
    """A part of a page with its head and what it is for; `name` is its id."""
    return el("section", el("h2", title), el("p", lead, class_="lead") if lead else None, *parts, id=name)


def joined(*children: Child) -> Html:
    """Children one after the other."""
    return Html("".join(_child(child) for child in children if child is not None))


def _child(child: Child) -> str:
    return child if isinstance(child, Html) else html.escape(str(child), quote=True)


def _attribute(name: str, value: str | float | bool | None) -> str:
    key = name.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {key}" if value is True else f' {key}="{html.escape(str(value), quote=True)}"'
