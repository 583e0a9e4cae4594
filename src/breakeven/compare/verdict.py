"""The verdict of a comparison in one sentence, which always names the service level."""

from collections.abc import Sequence

from breakeven.compare.types import Equivalence


def verdict(figures: Sequence[Equivalence]) -> str:
    """What k says at every service level; why there is none where no service level gives one."""
    told = [figure for figure in figures if figure.status != "none"]
    if not told:
        return "No k: " + "; ".join(f"{figure.at}: {figure.reason}" for figure in figures) + "."
    return (
        "One A does the work of " + "; of ".join(_part(figure) for figure in told) + " (in brackets: 95 % intervals)."
    )


def _part(figure: Equivalence) -> str:
    interval = range_text(figure)
    told = ", ".join(filter(None, (interval, "a tie" if figure.tie else "")))
    return f"{value_text(figure)} B{f' ({told})' if told else ''} with {figure.at}"


def value_text(figure: Equivalence) -> str:
    """`1.07`, `at least 1.40`, `at most 0.80`; a dash where there is none."""
    words = {"=": "", ">=": "at least ", "<=": "at most ", None: ""}
    return words[figure.relation] + (digits(figure.value) if figure.value is not None else "–")


def range_text(figure: Equivalence) -> str:
    """The 95 % interval: `0.95 to 1.20`, `0.95 or more`, `up to 1.20`; nothing where there is none."""
    low, high = figure.ci95
    if low is None:
        return "" if high is None else f"up to {digits(high)}"
    return f"{digits(low)} or more" if high is None else f"{digits(low)} to {digits(high)}"


def digits(value: float) -> str:
    """A figure near 1 with two decimals, one from 10 on, none from 100 on: `1.07`, `12.3`, `140`."""
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"
