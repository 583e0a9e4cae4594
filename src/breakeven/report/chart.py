"""A chart's place on the page: title, note, legend, the button that saves it, and what a screen reader says of it."""

from breakeven.report.markup import Html, el


def chart(
    name: str,
    title: str,
    note: str,
    *,
    label: str,
    run: int | None = None,
    legend: str | None = "runs",
    head: str = "h3",
) -> Html:
    """A figure that page.js draws; the label is what a screen reader says of it. One run alone has no legend."""
    return el(
        "figure",
        el("figcaption", el(head, title), el("p", note) if note else None),
        el(
            "button",
            "Save",
            type="button",
            class_="save screen",
            aria_label=f"Save or copy: {title}",
            aria_haspopup="true",
        ),
        el("ul", class_="legend", data_legend=legend) if legend else None,
        el("div", class_="chart", data_chart=name, data_run=run, data_label=f"{label} Arrow keys read the values."),
    )


def save_menu() -> Html:
    """What the button of any chart opens, and where its values are read out."""
    ways = (("svg", "Save as SVG"), ("png", "Save as PNG"), ("copy", "Copy the data"))
    return el(
        "div",
        *(el("button", text, type="button", data_way=way) for way, text in ways),
        el("p", class_="status", role="status"),
        id="save-menu",
        popover="auto",
        aria_label="Save or copy this chart",
        role="group",
    )
