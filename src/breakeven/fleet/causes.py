"""Why a node is slow, or is not what it claims: each cause is a row with its test, its evidence in words and a cure.

A test gets what is known of one node and gives the figures of the evidence, or None. Nothing is called a spoofer
without physical evidence.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, NamedTuple

from breakeven.caution import Caution, Value
from breakeven.fleet.facts import NodeFacts
from breakeven.hardware import Gpu, gpus, may_mean
from breakeven.hardware.model import known_model
from breakeven.predict.roofline import passed_weights

Kind = Literal["spoofer", "misplaced", "technical", "underclocker", "heat", "contention", "unexplained"]
KINDS: Final[dict[Kind, str]] = {
    "spoofer": "is not the card it claims to be, by physical evidence",
    "misplaced": "stands in the market of another card, as its own driver says",
    "technical": "technical trouble",
    "underclocker": "held down by its power limit or clocks",
    "heat": "held down by heat",
    "contention": "not alone, or not fed",
    "unexplained": "slow without a cause in the data",
}

Evidence = dict[str, Value]

MEMORY_LEAST: Final = 0.88
"""Of the vendor's GB: what a driver keeps for itself is less."""
MEMORY_MOST: Final = 1.15
"""24 GiB are 25.8 GB."""
FAST: Final = 1.02
LIMIT_SHARE: Final = 0.9
CLOCK_SHARE: Final = 0.95
EXPLAINS: Final = 0.5
"""Part of the gap in speed that the clock's must be, on the log scale."""
HOT_SHARE: Final = 0.1
SLOW_PROOF: Final = 0.5
SLOW_MEMORY: Final = 0.6
FULL_CLOCK: Final = 0.9
FAILED_SHARE: Final = 0.01
WAVERS: Final = 3.0
LEAST_WAVER_SD: Final = 0.03
IDLE_SHARE: Final = 0.85
LEAST_WEIGHT_BITS: Final = 4.0
"""No weights that engines serve today take less."""


class Cause(NamedTuple):
    """One row."""

    kind: Kind
    test: Callable[[NodeFacts], Evidence | None]
    seen: str
    advice: str
    always: bool = False
    """Tested whatever the speed; others only explain a node that is slow."""

    def found(self, name: str, facts: NodeFacts) -> Caution | None:
        """The evidence in words, where there is any."""
        values = self.test(facts)
        return None if values is None else Caution(id=name, seen=self.seen, advice=self.advice, values=values)


def claimed_cards(facts: NodeFacts) -> tuple[Gpu, ...]:
    """Rows of the table that the node claims to be: by its claim, else its market's name, else its driver's."""
    for name in (facts.claim, facts.market, facts.gpu):
        found = may_mean(name) if name else ()
        if found:
            return found
    return ()


def _ratio(facts: NodeFacts, name: str) -> float | None:
    own, peers = facts.own[name], facts.peers[name]
    return own / peers if own is not None and peers else None


def _clock_is_full(facts: NodeFacts) -> bool:
    ratios = (_ratio(facts, "clock_mhz"), _ratio(facts, "memory_clock_mhz"))
    return all(ratio is None or ratio >= FULL_CLOCK for ratio in ratios)


def _named(cards: Sequence[Gpu]) -> str:
    return " or ".join(card.name for card in cards[:3])


def _wrong_memory(facts: NodeFacts) -> Evidence | None:
    memory, cards = facts.own["memory_bytes"], claimed_cards(facts)
    if memory is None or not cards or any(_has_memory(card, memory) for card in cards):
        return None
    fits = [card.name for card in gpus().values() if _has_memory(card, memory) and card.vendor == cards[0].vendor]
    return {"memory_gb": memory / 1e9, "card": _named(cards), "own_gb": cards[0].vram_gb, "fits": _some(fits)}


def _some(names: Iterable[str]) -> str:
    known = list(names)
    return f"; as {', '.join(known[:3])}" if known else ""


def _has_memory(card: Gpu, memory: float) -> bool:
    return MEMORY_LEAST * card.vram_gb <= memory / 1e9 <= MEMORY_MOST * card.vram_gb


def _too_fast(facts: NodeFacts) -> Evidence | None:
    rate, cards = facts.own["one_user_tok_per_s"], claimed_cards(facts)
    model = known_model(facts.model) if facts.model else None
    if rate is None or model is None or not cards:
        return None
    count = max(1.0, facts.own["cards"] or 1.0)
    best = max(card.mem_bw_gb_per_s for card in cards) * 1e9 * count
    needed = rate * passed_weights(model) * LEAST_WEIGHT_BITS / 8
    if needed <= FAST * best:
        return None
    return {"rate": rate, "needed": needed / 1e9, "card": _named(cards), "has": best / 1e9}


def _fast_memory(facts: NodeFacts) -> Evidence | None:
    found, cards = facts.own["bench_bytes_per_s"], claimed_cards(facts)
    best = max((card.mem_bw_gb_per_s for card in cards), default=math.inf) * 1e9
    if found is None or found <= FAST * best:
        return None
    return {"found": found / 1e9, "card": _named(cards), "has": best / 1e9}


def _slow_memory(facts: NodeFacts) -> Evidence | None:
    found, cards = facts.own["bench_bytes_per_s"], claimed_cards(facts)
    least = min((card.mem_bw_gb_per_s for card in cards), default=0.0) * 1e9
    if found is None or found >= SLOW_MEMORY * least or not _clock_is_full(facts):
        return None
    return {"found": found / 1e9, "card": _named(cards), "has": least / 1e9}


def _slow_proof(facts: NodeFacts) -> Evidence | None:
    ratio, (own, peers) = _ratio(facts, "proof_flop_per_s"), _pair(facts, "proof_flop_per_s")
    if ratio is None or own is None or peers is None or ratio >= SLOW_PROOF or not _clock_is_full(facts):
        return None
    return {"own": own / 1e12, "peers": peers / 1e12, "card": _named(claimed_cards(facts)) or facts.gpu}


def _pair(facts: NodeFacts, name: str) -> tuple[float | None, float | None]:
    return facts.own[name], facts.peers[name]


def _wrong_answer(facts: NodeFacts) -> Evidence | None:
    right = facts.own["proof_is_right"]
    return {} if right is not None and right < 1 else None


def _other_card(facts: NodeFacts) -> Evidence | None:
    own = may_mean(facts.gpu)
    for name in (facts.claim, facts.market):
        cards = may_mean(name) if name else ()
        if own and cards and not {card.key for card in own} & {card.key for card in cards}:
            return {"driver": own[0].name, "card": _named(cards)}
    return None


def _failures(facts: NodeFacts) -> Evidence | None:
    share = facts.own["failed_requests_share"]
    return {"share": share} if share is not None and share > FAILED_SHARE else None


def _power_limit(facts: NodeFacts) -> Evidence | None:
    limit, usual = facts.own["power_limit_w"], facts.own["default_power_limit_w"] or facts.peers["power_limit_w"]
    if limit is None or usual is None or limit >= LIMIT_SHARE * usual:
        return None
    return {"limit": limit, "usual": usual}


def _low_clock(name: str) -> Callable[[NodeFacts], Evidence | None]:
    def test(facts: NodeFacts) -> Evidence | None:
        ratio, (own, peers) = _ratio(facts, name), _pair(facts, name)
        if ratio is None or ratio <= 0 or ratio >= CLOCK_SHARE or own is None or peers is None:
            return None
        if math.log(ratio) > EXPLAINS * (facts.score or 0.0):
            return None
        return {"own": own, "peers": peers}

    return test


def _hot(facts: NodeFacts) -> Evidence | None:
    share = facts.own["thermal_share"]
    if share is None or share <= HOT_SHARE:
        return None
    return {"share": share, "heat": facts.own["temperature_max_c"]}


def _idle(facts: NodeFacts) -> Evidence | None:
    ratio, (own, peers) = _ratio(facts, "utilisation_share"), _pair(facts, "utilisation_share")
    if ratio is None or ratio >= IDLE_SHARE or own is None or peers is None or facts.own["cards"] is None:
        return None  # where nobody knows how many cards it has, it may be a mean over idle ones
    return {"own": own, "peers": peers}


def _wavers(facts: NodeFacts) -> Evidence | None:
    sd, usual = facts.own["own_sd"], None if facts.within is None else math.sqrt(facts.within)
    if sd is None or usual is None or facts.jobs < 3 or sd < max(LEAST_WAVER_SD, WAVERS * usual):
        return None
    return {"own_pct": 100 * sd, "usual_pct": 100 * usual, "jobs": facts.jobs}


CAUSES: Final[dict[str, Cause]] = {
    "wrong_memory": Cause(
        "spoofer",
        _wrong_memory,
        "its memory is {memory_gb:one} GB, where {card} has {own_gb:whole} GB{fits}",
        "name the card that it is; a rebuilt card is another card",
        always=True,
    ),
    "too_fast": Cause(
        "spoofer",
        _too_fast,
        "{rate:one} a second for one user read {needed:whole} GB/s of 4-bit weights, where {card} has {has:whole} GB/s",
        "name the card that it is, or say what the engine leaves out; check it with the proof of work",
        always=True,
    ),
    "fast_memory": Cause(
        "spoofer",
        _fast_memory,
        "its memory moved {found:whole} GB/s, where {card} has {has:whole} GB/s on paper",
        "name the card that it is",
        always=True,
    ),
    "wrong_answer": Cause(
        "technical",
        _wrong_answer,
        "the answers of its proof of work are wrong",
        "run the job as it was sent, with its seed; a card whose answers are wrong is broken if it is not another one",
        always=True,
    ),
    "slow_proof": Cause(
        "spoofer",
        _slow_proof,
        "its proof of work ran at {own:two} TFLOP/s at full clocks, where nodes with {card} reach {peers:two}",
        "name the card that it is; if it is that card, end what else works on it and send the job again",
        always=True,
    ),
    "slow_memory": Cause(
        "spoofer",
        _slow_memory,
        "its memory moved {found:whole} GB/s at full clocks, where {card} has {has:whole} GB/s on paper",
        "name the card that it is; if it is that card, end what else works on it and send the job again",
        always=True,
    ),
    "other_card": Cause(
        "misplaced",
        _other_card,
        "its driver calls it {driver}, where {card} is asked for",
        "move it to the market of its own card",
        always=True,
    ),
    "failed_requests": Cause(
        "technical",
        _failures,
        "{share:share} of its requests failed",
        "read the engine's log; look for too little memory and for restarts",
        always=True,
    ),
    "power_limit": Cause(
        "underclocker",
        _power_limit,
        "its power limit is {limit:whole} W, where {usual:whole} W is usual",
        "set the power limit back (nvidia-smi -pl), or offer the node as a slower one",
    ),
    "heat": Cause(
        "heat",
        _hot,
        "heat held it down for {share:share} of the time, at up to {heat:whole} degrees C",
        "clean and cool it; look at its fans and at the air that it gets",
    ),
    "low_clock": Cause(
        "underclocker",
        _low_clock("clock_mhz"),
        "its clock was {own:whole} MHz, where nodes like it run at {peers:whole} MHz",
        "lift the limit of its clocks (nvidia-smi -rgc); look at its power supply and cables",
    ),
    "low_memory_clock": Cause(
        "underclocker",
        _low_clock("memory_clock_mhz"),
        "its memory's clock was {own:whole} MHz, where nodes like it run at {peers:whole} MHz",
        "lift the limit of its memory's clock (nvidia-smi -rmc)",
    ),
    "wavers": Cause(
        "contention",
        _wavers,
        "its {jobs} jobs differ by {own_pct:one} % (sd), where those of one node usually differ by {usual_pct:one} %",
        "end what else works on it (miners, desktops, other containers), then send the job again",
    ),
    "not_fed": Cause(
        "contention",
        _idle,
        "its card was busy {own:share} of the time, where those of nodes like it are {peers:share}",
        "look at its CPU, its memory and the lanes of its slot",
    ),
    "unexplained": Cause(
        "unexplained",
        lambda _facts: {},
        "nothing in the data explains it",
        "measure it again with clocks, power limit and proof of work recorded",
    ),
}
"""In the order in which they are tried; `unexplained` only where no other explains a slow node."""


def causes_of(facts: NodeFacts, *, is_slow: bool, is_unlike: bool) -> list[tuple[Kind, Caution]]:
    """What the data say of one node: physical evidence always, the rest where it is slow.

    A slow node that is like the others of its stratum, and that nothing explains, is an ordinary one.
    """
    found: list[tuple[Kind, Caution]] = []
    for name, cause in CAUSES.items():
        if name == "unexplained" and (found or not is_unlike):
            continue
        if (is_slow or cause.always) and (caution := cause.found(name, facts)) is not None:
            found.append((cause.kind, caution))
    return found
