"""`breakeven predict`: what was not measured, from what others and the user measured."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from breakeven.app.fit import chosen_gpus, chosen_model
from breakeven.app.printed import put_out
from breakeven.app.runs import read_run
from breakeven.clock import wall_now
from breakeven.engine import ENGINES
from breakeven.errors import UsageError
from breakeven.findings.choice import Left
from breakeven.findings.names import card
from breakeven.findings.pricing import names_of
from breakeven.hardware import Gpu, ModelShape, known_model, same_card
from breakeven.hardware.silicon import Lacking, is_installed, kernels, lacking
from breakeven.load.arrivals import parse_arrivals
from breakeven.metrics.slo import ServiceLevel
from breakeven.metrics.summary import RunSummary
from breakeven.plan import LEAST_REQ_PER_S, MOST_REQ_PER_S
from breakeven.predict.calibrations import Calibration
from breakeven.predict.calibrations import choose as calibration_for
from breakeven.predict.deciding import deciding_run
from breakeven.predict.fits import fit_on
from breakeven.predict.own import machine
from breakeven.predict.own import own as own_calibrations
from breakeven.predict.requests import Requests, alike, of_lengths
from breakeven.predict.roofline import known_parts, replicas_of
from breakeven.predict.run import machine_run, predicted_run
from breakeven.predict.silicon import kernel_row, lacks_points
from breakeven.predict.text import lacks
from breakeven.predict.wanted import Wanted
from breakeven.registry import load
from breakeven.report.predicted import predicted_text
from breakeven.store.kept import keep_summary
from breakeven.workload.lengths import parse_both

DEFAULT_INPUT: Final = 512
DEFAULT_OUTPUT: Final = 256
USERS: Final = (1, 5, 10, 50, 100)


class Asked(Struct, frozen=True, kw_only=True):
    """What a prediction is of."""

    model: str
    gpus: tuple[str, ...] = ()
    engine: str = "vllm"
    precision: str | None = None
    kv_bits: int | None = None
    cards: int | None = None
    max_batch: int | None = None
    told: tuple[int | str | None, int | str | None] = (None, None)
    """Input and output tokens: a number, a distribution, or `file:PATH` for both."""
    runs: tuple[str, ...] = ()
    """The user's own: each stands for its card, and tells of the others."""

    @property
    def requests(self) -> Requests:
        """Their lengths; UsageError for what is no length."""
        inputs = DEFAULT_INPUT if self.told[0] is None else self.told[0]
        is_file = isinstance(inputs, str) and inputs.startswith("file:")
        outputs = DEFAULT_OUTPUT if self.told[1] is None and not is_file else self.told[1]
        for name, value in (("--input-tokens", inputs), ("--output-tokens", outputs)):
            if isinstance(value, int) and value < 1:
                raise UsageError(f"{name}: {value} is too few; at least 1")
        if isinstance(inputs, int) and isinstance(outputs, int):
            return alike(inputs, outputs)
        drawn = parse_both(str(inputs), None if outputs is None else str(outputs))
        return of_lengths((inputs, inputs if outputs is None else outputs), drawn)

    @property
    def shape(self) -> ModelShape:
        """The model in its precision; UsageError where model or engine are not known."""
        load("engine", ENGINES, self.engine)
        return chosen_model(self.model, precision=self.precision, kv_bits=self.kv_bits)


class Loads(Struct, frozen=True, kw_only=True):
    """What a curve is of: users in a closed loop or rates of an open one, and on how many engines."""

    users: tuple[int, ...] = ()
    rates: tuple[float, ...] = ()
    arrivals: str | None = None
    replicas: int = 1
    routing: str = "round-robin"

    def checked(self) -> "Loads":
        """With the users of everyone who says none; UsageError for what cannot be together."""
        if self.users and self.rates:
            raise UsageError("--users and --rate: a load is either so many users or so many requests a second")
        if self.arrivals is not None and not self.rates:
            raise UsageError("--arrivals: users ask when they have their answer; give --rate for an open loop")
        for rate in self.rates:
            if not LEAST_REQ_PER_S <= rate <= MOST_REQ_PER_S:
                raise UsageError(f"--rate: {rate:g} req/s; give {LEAST_REQ_PER_S:g} to {MOST_REQ_PER_S:.0f} of them")
        arrivals = self.arrivals or "poisson"
        parse_arrivals(arrivals)
        return replace(self, arrivals=arrivals, users=self.users or (() if self.rates else USERS))


def predict(asked: Asked, loads: Loads, *, out: Path | None, json_to: str | None) -> int:
    """Print a curve for each card, and keep it as a run where `out` says; 1 where the model fits on none of them."""
    shape, loads = asked.shape, loads.checked()
    measured = measured_runs(asked, shape)
    runs: list[RunSummary] = []
    left: list[Left] = []
    where: list[str] = []
    curves = _of_machines(measured, loads)
    if asked.gpus or not curves:
        curves += [*predicted_curves(asked, shape, loads, measured=measured)]
    for found in curves:
        if isinstance(found, Left):
            left.append(found)
            continue
        if out is not None:
            now = wall_now()
            dated = replace(found, run=replace(found.run, started=now.isoformat()))
            folder, found = keep_summary(dated, out=out, label=found.run.id, started=now)
            where.append(str(folder))
        runs.append(found)
    told = {"format": 1, "runs": runs, "left_out": left}
    put_out(predicted_text(shape, runs, left, where=where), told=told, json_to=json_to)
    return 0 if runs else 1


def measured_runs(asked: Asked, shape: ModelShape) -> list[RunSummary]:
    """The user's own runs; UsageError where one is of another model."""
    found = [read_run(Path(text)) for text in asked.runs]
    for run in found:
        _check_same(run, shape)
        if (count := replicas_of(run.run)) > 1:
            raise UsageError(
                f"--from: {run.run.id} had {count} replicas; a prediction is taken from a run of one engine"
            )
    return found


def _of_machines(runs: Sequence[RunSummary], loads: Loads) -> "list[RunSummary | Left]":
    """Other loads of the machines of runs whose card no table knows, such as a CPU."""
    found: list[RunSummary | Left] = []
    for run in runs:
        if known_parts(run.run) is not None:
            continue
        fitted = machine(run)
        why = "a run tells of its machine from two numbers of users on"
        if loads.replicas > 1:
            fitted, why = None, "--replicas takes a card that the table knows"
        found.append(
            Left(gpu=card(run.run.host), why="not modelled", detail=why)
            if fitted is None
            else machine_run(run, fitted, users=loads.users, rates=loads.rates, arrivals=loads.arrivals or "poisson")
        )
    return found


def predicted_curves(
    asked: Asked,
    shape: ModelShape,
    loads: Loads,
    *,
    measured: Sequence[RunSummary] = (),
    but: Sequence[RunSummary] = (),
    decide: ServiceLevel | None = None,
) -> Iterator[RunSummary | Left]:
    """A curve for each card that holds the model and is none of `but`, or why there is none; own runs win.

    With a service level to `decide` on, percentiles beyond the middle are worked out only where it limits them, and at
    the loads that may decide.
    """
    mine, requests = own_calibrations(measured), asked.requests
    names = [name for run in but for name in names_of(run.run)]
    for gpu in chosen_gpus(asked.gpus):
        if any(same_card(gpu.key, name) for name in names):
            continue
        found = fit_on(shape, gpu, context_tokens=requests.longest_tokens, cards=asked.cards)
        if found.cards is None or found.precision is None:
            yield Left(gpu=gpu.name, why="does not fit", detail=lacks(found, shape.precision))
            continue
        here = shape.kept_as(found.precision)
        try:
            measured_kernels = _kernels(here, gpu, asked.engine, cards=found.cards)
            wanted = Wanted(
                model=here,
                gpu=gpu,
                cards=found.cards,
                asked_precision=None if here.precision == shape.precision else shape.precision,
                engine=asked.engine,
                users=loads.users,
                rates=loads.rates,
                arrivals=loads.arrivals or "poisson",
                requests=requests,
                replicas=loads.replicas,
                routing=loads.routing,
                max_batch=asked.max_batch,
                lacks_kernels=_lacks(here, gpu, asked.engine, cards=found.cards),
            )
            chosen = calibration_for(here, gpu, engine=asked.engine, own=mine, kernels=measured_kernels)
            yield predicted_run(wanted, chosen) if decide is None else deciding_run(wanted, chosen, decide)
        except UsageError as error:
            yield Left(gpu=gpu.name, why="not modelled", detail=str(error))


def _kernels(shape: ModelShape, gpu: Gpu, engine: str, *, cards: int) -> tuple[Calibration, ...]:
    """The calibration by measured kernels, where the table has no point of the engine on the card and
    breakeven[silicon] has kernels."""
    found = kernels(shape, gpu, engine, cards=cards) if lacks_points(shape, gpu, engine) else None
    return () if found is None else (kernel_row(shape, gpu, engine, found, cards=cards),)


def _lacks(shape: ModelShape, gpu: Gpu, engine: str, *, cards: int) -> Lacking | None:
    """Why there are no kernels where they would have told more than the table."""
    return lacking(shape, gpu, engine, cards=cards) if is_installed() and lacks_points(shape, gpu, engine) else None


def _check_same(run: RunSummary, shape: ModelShape) -> None:
    """UsageError where a run is of a model that is known to be another one."""
    other = known_model(run.run.model or "")
    if other is not None and other.key != shape.key:
        raise UsageError(f"{run.run.id} measured {other.name}, and {shape.name} is asked for; leave it out")
