"""Cautions on the page: a small mark with a number beside each figure that they touch."""

from collections.abc import Sequence

from breakeven.report.markup import Html, el, joined


def mark(texts: Sequence[str], name: str, *, about: str) -> Html | None:
    """`⚠ 3`: pressed, it lists what there is to doubt; None where there is nothing. `name` is unique on the page."""
    if not texts:
        return None
    count = f"{len(texts)} caution{'' if len(texts) == 1 else 's'}"
    return joined(
        el(
            "button",
            f"⚠ {len(texts)}",
            type="button",
            class_="mark",
            popovertarget=name,
            aria_label=f"{count}: {about}",
        ),
        el(
            "div",
            el("strong", f"{count}: {about}"),
            el("ul", *(el("li", text) for text in texts)),
            el("a", "What to do about them", href="#cautions"),
            id=name,
            popover="auto",
            class_="marked",
        ),
    )
