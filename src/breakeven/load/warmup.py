"""How long a warm-up lasts at least: what this server needs, told by the answers that it gave so far."""

from typing import Final, NamedTuple

from breakeven.record import WarmUpBy

LEAST_S: Final = 1.0
TURNS: Final = 3.0
"""After the ramp a level warms up for so many turns of its users."""
OPEN_LOOP_TURNS: Final = 10
"""Answers that tell how long one takes, where no number of users says how many are needed."""


class Least(NamedTuple):
    """The least warm-up, from the level's start, and what it is taken from."""

    s: float
    by: WarmUpBy


def least_warmup(
    *, ramp_s: float, warmup_s: float, longest_s: float, users: int | None, turns: int, turn_s: float | None
) -> Least:
    """The ramp, `warmup_s` and, up to `longest_s`, the ramp and three turns after it, whichever is longest.

    A turn is the time from one request of a user to the next: the median of those that ended so far, first answers
    excluded, since their lengths are drawn. They tell once there is one a user (ten in an open loop): the first to end
    are the short ones. Before that `longest_s` stands; 0 asks no answers at all.
    """
    most_s = max(warmup_s, longest_s)
    answers_s = 0.0
    if longest_s:
        told = turn_s is not None and turns >= (users or OPEN_LOOP_TURNS)
        answers_s = ramp_s + TURNS * turn_s if told and turn_s is not None else most_s
    least: dict[WarmUpBy, float] = {
        "ramp": ramp_s,
        "asked" if not longest_s else "least": warmup_s,
        "answers" if answers_s < most_s else "longest": min(answers_s, most_s),
    }
    by = max(least, key=lambda name: least[name])
    return Least(least[by], by)
