"""What a plan would do, said without doing it: the cells, the commands and images, the order, time and cost."""

import os
from collections.abc import Iterator, Sequence

from breakeven.engine.detect import adapter
from breakeven.launch.docker import image_of
from breakeven.launch.start import start_lines
from breakeven.load.level import LevelPlan
from breakeven.plan import Plan
from breakeven.serving import Hardware, Launch
from breakeven.session.asks import workload_of
from breakeven.session.defaults import (
    first_load,
    level_plan,
    level_plans,
    output_tokens,
    round_levels,
)
from breakeven.session.launch import embedded_told, model_name
from breakeven.session.plan_file import PlanFile
from breakeven.study.cells import Cell
from breakeven.study.estimate import SETTLE_S, cost_usd, start_s, turn_s
from breakeven.units import S_PER_H, counted, exact, load_text, short_s


def dry_run_text(plan: PlanFile) -> str:
    """All that `--dry-run` prints."""
    return "\n".join(
        [_title(plan), *(line for cell in plan.cells for line in _cell(cell)), *_order(plan), *_total(plan)]
    )


def run_text(plan: Plan) -> str:
    """`one run, 5 levels`; of a search nobody knows how many, so what is usual is said (docs/LOAD.md)."""
    if not plan.find_max:
        return f"one run, {counted(len(level_plans(plan, salt=0)), 'level')}"
    usual = "7 to 11" if plan.repeats == 1 else f"7 to 11 loads, each up to {plan.repeats} times,"
    return f"one search; how many levels it takes is not known beforehand ({usual} are usual)"


def _title(plan: PlanFile) -> str:
    if plan.head is None:
        return run_text(plan.cells[0].plan)
    head = plan.head
    if plan.tune is not None:
        return f"search {head.name}: {counted(len(plan.cells), 'setting')}, each started up to {head.repeats} times"
    levels = sum(len(level_plans(cell.plan, salt=0)) for cell in plan.cells)
    rounds = f"{counted(head.repeats, 'round')}, {head.order}" + (
        f" (seed {head.seed})" if head.order == "shuffled" else ""
    )
    return f"study {head.name}: {counted(len(plan.cells), 'cell')}, {rounds}, {counted(levels, 'level')} in all"


def _cell(cell: Cell) -> Iterator[str]:
    yield ""
    yield cell.name
    yield from _whom(cell.plan)
    yield f"  asks    {_asks(cell.plan)}"
    if cell.plan.hardware is not None:
        yield f"  on      {_hardware(cell.plan.hardware)}"
    yield f"  takes   {_takes(cell)}"


def _whom(plan: Plan) -> Iterator[str]:
    if plan.url is not None:
        yield f"  server  {plan.url}" + (f", model {plan.model}" if plan.model else "")
        return
    if plan.is_embedded:
        told = embedded_told(plan)
        own = "".join(f", {name} {value}" for name, value in told.items() if name not in ("slots", "context_tokens"))
        slots = counted(told["slots"], "slot")
        of = f"{slots} of {told['context_tokens']} tokens{own}"
        yield f"  starts  the embedded llama.cpp with {model_name(plan)}, {of}"
        return
    assert plan.engine is not None
    assert plan.model is not None
    launch = plan.launch or Launch()
    for line in start_lines(plan.engine, plan.model, launch=launch, environment=os.environ):
        yield f"  starts  {line.text}"
    if launch.via == "docker":
        yield f"  image   {image_of(adapter(plan.engine), launch)}, pinned by its digest when it is started"


def _asks(plan: Plan) -> str:
    lengths = ", ".join(
        f"{name} {value}"
        for name, value in (("input_tokens", plan.input_tokens), ("output_tokens", output_tokens(plan)))
        if value is not None
    )
    workload = workload_of(plan) if plan.plays_whole else None
    turns = () if workload is None else workload.turn_counts()
    played = f"{counted(len(turns), 'session')} of {counted(sum(turns), 'turn')}" if turns else ""
    if workload is not None and plan.is_replay:
        arrivals_s = workload.arrivals_s()
        assert arrivals_s is not None
        when = f"in {short_s(arrivals_s[-1])}" if arrivals_s[-1] else "at one moment"
        what = played or counted(len(arrivals_s), "request")
        return f"{plan.workload} {plan.file}, replayed by its arrival times: {what} {when}"
    what = f"{plan.workload} {plan.file}" if plan.file is not None else plan.workload
    what += f" ({lengths})" if lengths else ""
    what += f" ({played})" if played else ""
    if plan.find_max:
        return f"{what} at {load_text(*first_load(plan))}, then where {plan.slo} leads"
    load = f"users {_listed(plan.user_levels)}" if plan.rate is None else f"req/s {_listed(plan.rate)}"
    return f"{what} at {load}"


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(map(exact, numbers))


def _hardware(hardware: Hardware) -> str:
    cards = f"{hardware.count} x {hardware.gpu or 'GPU not named'}"
    parts = [cards]
    for text, value, source in (
        ("{} W declared", hardware.power_w, hardware.power_source),
        ("${}/h rent", hardware.rent_usd_per_h, hardware.rent_source),
        ("${} to buy", hardware.price_usd, hardware.price_source),
    ):
        if value is not None:
            parts.append(text.format(exact(value)) + (f" ({source})" if source else ""))
    return ", ".join(parts)


def _takes(cell: Cell) -> str:
    levels = [_first_level(cell.plan)] if cell.plan.find_max else round_levels(cell.plan, 0)
    took_s = turn_s(cell.plan, levels)
    if took_s is None:
        return "as long as its requests take: no estimate of time or cost"
    if cell.plan.find_max:
        return f"at most about {short_s(took_s)} for its first level; at higher loads the warm-up is longer"
    cost = _cost(cost_usd(took_s, usd_per_h=cell.rent_usd_per_h))
    return f"at most about {short_s(took_s)} a round ({short_s(start_s(cell.plan))} of it taken for the start){cost}"


def _first_level(plan: Plan) -> LevelPlan:
    users, req_per_s = first_load(plan)
    return level_plan(plan, users=users, req_per_s=req_per_s)


def _cost(usd: float | None) -> str:
    return "" if usd is None else f", ${usd:.2f}"


def _order(plan: PlanFile) -> Iterator[str]:
    if plan.head is None or plan.tune is not None:
        return
    yield ""
    for repeat in range(plan.head.repeats):
        names = [turn.cell.name for turn in plan.turns() if turn.repeat == repeat]
        yield f"round {repeat + 1}  {', '.join(names)}"


def _total(plan: PlanFile) -> Iterator[str]:
    if plan.tune is not None:
        yield ""
        yield "total   no estimate: a search takes as many starts as it needs; --budget, or max_hours, ends it"
        return
    took = [turn_s(turn.cell.plan, round_levels(turn.cell.plan, turn.repeat)) for turn in plan.turns()]
    if plan.head is None:
        took = [turn_s(plan.cells[0].plan, level_plans(plan.cells[0].plan, salt=0))]
    known = [seconds for seconds in took if seconds is not None]
    if any(cell.plan.find_max for cell in plan.cells):
        yield "total   no estimate: a search takes as many levels as it needs"
        return
    if len(known) < len(took):
        yield "total   no estimate: some levels end by a count of requests or by their trace"
        return
    rents = [cost_usd(s, usd_per_h=turn.cell.rent_usd_per_h) for s, turn in zip(known, plan.turns(), strict=True)]
    paid = [usd for usd in rents if usd is not None]
    cost = (
        f", ${sum(paid):.2f} of rent" if len(paid) == len(rents) else ", cost not known (rent_usd_per_h is not given)"
    )
    yield f"total   at most about {short_s(sum(known))} ({sum(known) / S_PER_H:.2f} h){cost}"
    yield f"        an estimate, upper bound: longest windows, {SETTLE_S:g} s of settling a level, starts as above"
    yield from _budget(plan, total_s=sum(known), total_usd=sum(paid))


def _budget(plan: PlanFile, *, total_s: float, total_usd: float) -> Iterator[str]:
    if plan.head is None:
        return
    for key, limit, total in (
        ("max_hours", plan.head.max_hours, total_s / S_PER_H),
        ("max_usd", plan.head.max_usd, total_usd),
    ):
        if limit is not None:
            verdict = "holds all of it" if total <= limit else "may end it before the last cell"
            yield f"budget  {key} = {exact(limit)} {verdict}"
