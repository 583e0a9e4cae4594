"""How much of what the hardware allows a measured level used: the memory's bandwidth and the products, at least."""

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from breakeven.caution import Caution
from breakeven.compare.differences import gpu_count
from breakeven.errors import UsageError
from breakeven.hardware import Gpu, ModelShape, find_gpus, known_model, peak_flop_per_s
from breakeven.metrics.summary import LevelSummary, RunFacts

MOST: Final = 1.02
"""Beyond this share a level gave more than its hardware can: something that is taken for known is not so."""
LEAST: Final = 0.02
"""Below this share of both, an engine that serves many users hardly uses its card."""
MANY: Final = 50
"""Users from which on so little use is told."""


class Shares(Struct, frozen=True, kw_only=True):
    """Parts of what the cards can do, each from below: a step of the engine gives each user one token at most."""

    bandwidth: float
    """[W x tok/s / users of an engine + kv(context) x tok/s] / (bandwidth x cards), W the bytes of weights that a token
    passes. Of several engines side by side each has its part of the users, and reads the weights for itself."""
    compute: float | None
    """2 x weights passed x (input + output tok/s) / (peak x cards); None where the card's peak is not known."""
    prefill_compute: float | None
    """The part of it that reading prompts takes."""


def shares(level: LevelSummary, model: ModelShape, gpu: Gpu, *, cards: int, replicas: int = 1) -> Shares | None:
    """Model bandwidth utilisation (MBU) and model FLOPs utilisation (MFU; Chowdhery et al. 2022, appendix B).

    None without throughput or lengths. Users are those of a closed loop, or those in flight on average, by Little.
    """
    speed, rate = level.output_tok_per_s.value, level.req_per_s.value
    users = level.users or _in_flight(level)
    if not speed or not rate or not users:
        return None
    users = max(1.0, users / replicas)
    total = level.total_tok_per_s.value
    read = max(0.0, (total or speed) - speed)
    context = read / rate + speed / rate / 2
    bandwidth = gpu.mem_bw_gb_per_s * 1e9 * cards
    moved = passed_bytes(model) * speed / users + model.kv_bytes(context) * speed
    each = 2 * passed_weights(model)
    try:
        peak = peak_flop_per_s(gpu, model.kept.products) * cards
    except UsageError:
        return Shares(bandwidth=moved / bandwidth, compute=None, prefill_compute=None)
    return Shares(bandwidth=moved / bandwidth, compute=each * (read + speed) / peak, prefill_compute=each * read / peak)


def passed_weights(model: ModelShape) -> int:
    """Weights that a token passes: attention, MLPs, its experts, the head."""
    return (
        model.attention_weights
        + model.mlp_weights
        + model.experts_per_token * model.expert_weights
        + model.head_weights
    )


def passed_bytes(model: ModelShape) -> float:
    """What of them a step reads at least, whoever is served in it."""
    linear = (model.attention_weights + model.mlp_weights) * model.linear_bytes_per_weight
    experts = model.experts_per_token * model.expert_weights * model.expert_bytes_per_weight
    return linear + experts + model.head_weights * model.head_bytes_per_weight


def replicas_of(run: RunFacts) -> int:
    """Engines that served side by side."""
    told = (run.engine.get("settings") or {}).get("replicas")
    return told if isinstance(told, int) and told > 1 else 1


def known_parts(run: RunFacts) -> tuple[ModelShape, Gpu, int] | None:
    """Model as the card runs it, card and cards of a run, where they are known; of a name that stands for several, the
    fastest."""
    name, model = run.host.get("gpu"), known_model(run.model or "")
    if not isinstance(name, str) or model is None:
        return None
    try:
        gpus = find_gpus(name)
    except UsageError:
        return None
    gpu = max(gpus, key=lambda gpu: gpu.mem_bw_gb_per_s)
    return model.on(gpu) or model, gpu, max(1, gpu_count(run.host))


def with_roofline(level: LevelSummary, run: RunFacts) -> LevelSummary:
    """The level with its shares in `extra`, and a caution where they cannot be, or are oddly small."""
    parts = known_parts(run)
    replicas = replicas_of(run)
    found = None if parts is None else shares(level, parts[0], parts[1], cards=parts[2], replicas=replicas)
    if parts is None or found is None:
        return level
    model, gpu, cards = parts
    facts: dict[str, float | str | None] = {
        "roofline_bandwidth_share": found.bandwidth,
        "roofline_compute_share": found.compute,
        "roofline_prefill_compute_share": found.prefill_compute,
        "roofline_of": f"{model.key} in {model.precision} on {cards} x {gpu.name}",
    }
    known = {name: value for name, value in facts.items() if value is not None}
    return replace(level, extra=level.extra | known, cautions=(*level.cautions, *_cautions(level, found, facts)))


def _cautions(level: LevelSummary, found: Shares, facts: Mapping[str, float | str | None]) -> Iterator[Caution]:
    most = max(found.bandwidth, found.compute or 0.0)
    values: dict[str, float | str] = {"share": most, "of": str(facts["roofline_of"])}
    if most > MOST:
        yield Caution(
            id="beyond_roofline",
            seen="{share:share} of what the hardware allows, at least, for {of}: it cannot give so much",
            advice="look for another card or number of cards than is said (--gpu, --gpu-count), other weights, cached "
            "prompts, or several tokens a step (speculative decoding)",
            values=values,
        )
    elif most < LEAST and (level.users or 0) >= MANY:
        yield Caution(
            id="far_below_roofline",
            seen="{share:share} of what the hardware allows, at least, for {of}: the card is hardly used",
            advice="look whether the engine runs on this card at all, and how many requests it works on at once",
            values=values,
        )


def _in_flight(level: LevelSummary) -> float | None:
    """Little's law of an open loop: requests a second x mean E2E."""
    mean, rate = level.of("e2e_s").mean, level.req_per_s.value
    return None if mean is None or rate is None else max(1.0, mean * rate)
