"""The first screen of the page: the answer with how sure it is, the chart that is the answer, and three figures."""

from breakeven.findings import Findings
from breakeven.report import words
from breakeven.report.chart import chart
from breakeven.report.kpis import kpis
from breakeven.report.markup import Html, el
from breakeven.report.pagedata import has_users
from breakeven.report.sentence import answer_parts, sure_text
from breakeven.report.studywords import runs_text


def answer(found: Findings) -> Html:
    """The sentence and how sure it is; beneath it the chart that is the answer, and the three figures that carry it.

    Of a study it is a section: the study's own answer stands above it.
    """
    models = list(dict.fromkeys(subject.model for subject in found.subjects if subject.model))
    runs = f"{len(found.subjects)} runs" if len(found.subjects) > 1 else found.subjects[0].label
    of_study = None if found.study is None else el("h2", runs_text(len(found.subjects)))
    return el(
        "header" if of_study is None else "section",
        of_study or el("p", " · ".join([runs, *models[:2]]), class_="eyebrow"),
        el("h1" if of_study is None else "p", *_sentence(found), id="answer", aria_live="polite"),
        el("p", sure_text(found), class_="sure", id="sure"),
        el("noscript", el("p", "The charts and the sliders need JavaScript; every number is in the tables.")),
        el("div", _answer_chart(found), kpis(found), class_="first"),
    )


def _answer_chart(found: Findings) -> Html:
    """What a faster answer costs on each card, or, without prices, what a card gives at each speed."""
    priced = words.is_priced(found)
    counted = words.counted_as(found)
    floor = found.floor_tok_per_s_per_user
    at = [] if floor is None else [f"dashed upright: the {floor:g} {found.unit}/s that each user gets at least"]
    told = [
        "Lower is cheaper" if priced else "Higher is more",
        "further right is faster for a user",
        "bands: 95 %",
        "numbers: users at once" if has_users(found) else "numbers: requests offered a second",
        *at,
        *(["dashed lines: predicted"] if any(one.mark for one in found.subjects) else []),
    ]
    what = f"USD per million output {counted}" if priced else f"Output {counted} a second of a card"
    return chart(
        "answer",
        f"{what}, by the speed that a user gets",
        f"{'; '.join(told)}.",
        label=f"{what} against the speed of one user, one line a run; the ranking has the numbers.",
        head="h2" if found.study is None else "h3",
    )


def _sentence(found: Findings) -> list[Html | str]:
    return [
        part if isinstance(part, str) else el("output", part.text, data_part=part.figure)
        for part in answer_parts(found)
    ]
