"""A place for a chart on the page: title, note, legend, and what a screen reader says of it."""

from breakeven.report.markup import Html, el


def chart(name: str, title: str, note: str, *, label: str, run: int | None = None, legend: str | None = "runs") -> Html:
    """A figure that page.js draws; the label is what a screen reader says of it."""
    return el(
        "figure",
        el("figcaption", el("h3", title), el("p", note) if note else None),
        el("ul", class_="legend", data_legend=legend) if legend else None,
        el("div", class_="chart", data_chart=name, data_run=run, data_label=label),
    )
