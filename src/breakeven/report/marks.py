"""Cautions on the page: a small mark with a number beside each figure that they touch, one section with all of them."""

from collections.abc import Sequence

from breakeven.caution import Caution
from breakeven.findings import Findings
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


def cautions_section(found: Findings) -> Html | None:
    """Every caution of every run with its remedy; None where there is none."""
    blocks = [
        joined(
            el("h3", f"{subject.letter}: {subject.label}") if len(found.subjects) > 1 else None,
            el("dl", *(part for one in subject.cautions for part in _told(one.levels, one.caution)), class_="doubts"),
        )
        for subject in found.subjects
        if subject.cautions
    ]
    if not blocks:
        return None
    lead = "What there is to doubt, at which loads, and what to do about it."
    return el("section", el("h2", "Cautions"), el("p", lead, class_="lead"), *blocks, id="cautions")


def _told(levels: str, caution: Caution) -> tuple[Html, Html]:
    text = caution.text if len(caution.text) <= 240 else caution.text[:239] + "…"
    return el("dt", levels), el("dd", _sentence(text), " ", el("em", _sentence(caution.remedy)))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""
