"""`breakeven run`: measure an engine at one or more loads and store what happened."""

import contextlib
import os
import sys
from pathlib import Path
from typing import Final

import uvloop
from msgspec.structs import replace

from breakeven.client.target import Access, parse_proxy
from breakeven.clock import wall_now
from breakeven.engine import ENGINES
from breakeven.errors import UsageError
from breakeven.hidden import secrets_in
from breakeven.launch.launched import Launched
from breakeven.launch.models import fetch_embedded_model
from breakeven.load.arrivals import parse_arrivals
from breakeven.load.files import check_users
from breakeven.load.ray_cluster import joined
from breakeven.metrics.slo import parse_slo
from breakeven.metrics.summary import RunSummary
from breakeven.options import option_said
from breakeven.plan import Plan, plan_table
from breakeven.registry import load
from breakeven.report.live import Live
from breakeven.serving import ROUND_ROBIN
from breakeven.session.asks import workload_of
from breakeven.session.crew import parse_clients
from breakeven.session.launch import check_launch, launch_engine, launch_label, log_name, own_model
from breakeven.session.measure import Measurement, Session, missing, new_folder
from breakeven.session.summary import summarise
from breakeven.session.trust import ask_for_trust
from breakeven.store.folder import RunFolder
from breakeven.workload import WORKLOADS
from breakeven.workload.base import Workload

_WHOLE_NUMBERS: Final = ("chat", "fixed", "dataset")
"""Workloads whose lengths are numbers, not distributions."""


def run_plan(
    plan: Plan,
    *,
    out: Path,
    live: Live,
    session: Session = Session(),  # noqa: B008  (it is frozen)
) -> tuple[RunFolder, RunSummary, bool]:
    """Measure a new run; its folder, its summary, and whether the user interrupted it."""
    check_plan(plan)
    return _measure(plan, workload=workload_of(plan), folder=None, out=out, live=live, session=session)


def resume_run(
    path: Path, *, live: Live, auto: bool = False, floors: tuple[float, ...] = (), is_trusted: bool = False
) -> tuple[RunFolder, RunSummary, bool]:
    """Measure the levels that a run lacks; with `auto` also those whose absence leaves most doubt, at `floors`."""
    folder = RunFolder.open(path)
    folder.lock()
    plan = folder.plan()
    ask_for_trust(path, [plan], is_trusted=is_trusted)
    plan = replace(plan, auto=plan.auto or auto, floors=floors or plan.floors)
    if not missing(plan, folder):
        live.say(f"{folder.path} is complete; nothing is left to measure")
        summary = summarise(folder)
        folder.write_summary(summary)
        return folder, summary, False
    return _measure(plan, workload=workload_of(plan), folder=folder, out=folder.path.parent, live=live)


def measure_session(folder: RunFolder, session: Session, *, live: Live) -> tuple[RunSummary, bool]:
    """Measure one round of a study into its run folder; the summary so far, and whether the user interrupted it."""
    plan = folder.plan()
    _, summary, is_interrupted = _measure(
        plan, workload=workload_of(plan), folder=folder, out=folder.path.parent, live=live, session=session
    )
    return summary, is_interrupted


def check_plan(plan: Plan) -> None:
    """Whatever can be found wrong in the words alone; `workload_of` finds what is wrong with the workload."""
    load("workload", WORKLOADS, plan.workload)
    parse_clients(plan.clients)
    if plan.arrivals is not None:
        parse_arrivals(plan.arrivals)
    if plan.slo is not None:
        parse_slo(plan.slo)
    if plan.engine is not None:
        load("engine", ENGINES, plan.engine)
    check_launch(plan)
    _check_secrets(plan)
    for name, value in (("input", plan.input_tokens), ("output", plan.output_tokens)):
        if isinstance(value, str) and plan.workload in _WHOLE_NUMBERS:
            raise UsageError(f"--{name}-tokens {value}: the workload {plan.workload} takes a whole number of tokens")
    if plan.rate is not None and plan.think_s > 0 and plan.workload not in ("trace", "sessions"):
        raise UsageError("--think goes with --users: requests of an open loop are due by the clock, so nobody thinks")
    if plan.workload == "fixed" and plan.input_tokens is None:
        raise UsageError("--workload fixed needs --input-tokens N (and --output-tokens N)")
    if plan.workload == "chat" and plan.input_tokens is not None:
        raise UsageError("--input-tokens goes with --workload fixed or lengths; chat brings its own prompts")
    access(plan)
    if plan.proxy is not None:
        parse_proxy(plan.proxy)


_OWN_RULES = ("url", "proxy", "headers_env")
"""Addresses are checked where they are taken apart; the values of `headers_env` are names of variables."""


def _check_secrets(plan: Plan) -> None:
    """A plan is stored with its run and shown in reports, so that it may name where a secret is and hold none."""
    table = {key: value for key, value in plan_table(plan).items() if key not in _OWN_RULES}
    found = next((name for key, value in table.items() for name in secrets_in(value, name=key)), None)
    if found is not None:
        raise UsageError(
            f"{option_said(found)}: this looks like a secret, and would be stored with the run; put it into an "
            "environment variable, which --api-key-env (or pass_env, for a container) names"
        )


def api_key(plan: Plan) -> str | None:
    """The key, out of the environment; UsageError where the variable is not set."""
    return None if plan.api_key_env is None else _variable(plan.api_key_env, asked_by="--api-key-env ")


def _variable(name: str, *, asked_by: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise UsageError(f"{asked_by}{name}: no such environment variable is set")
    if not (value.isascii() and value.isprintable()):
        raise UsageError(f"{asked_by}{name}: the variable holds characters that no HTTP header may have")
    return value


def access(plan: Plan, launched: Launched | None = None) -> Access:
    """How the server is reached, the one of the plan or what we started for it; UsageError where a variable lacks."""
    url, *also = [plan.url or ""] if launched is None else [one.url for one in launched.replicas]
    return Access(
        url=url,
        also=tuple(also),
        routing=ROUND_ROBIN if launched is None else launched.settings.get("routing", ROUND_ROBIN),
        api_key=api_key(plan),
        headers=plan.headers,
        secret_headers={
            header: _variable(name, asked_by=f"--header-env {header}=") for header, name in plan.headers_env.items()
        },
        ca_file=os.environ.get("SSL_CERT_FILE"),
        proxy=plan.proxy,
        timeout_s=plan.timeout_s,
    )


def _embedded_model(plan: Plan) -> Path:
    return own_model(plan) or fetch_embedded_model(source=plan.model_source, progress=sys.stderr)


def _measure(
    plan: Plan,
    *,
    workload: Workload,
    folder: RunFolder | None,
    out: Path,
    live: Live,
    session: Session = Session(),  # noqa: B008  (it is frozen)
) -> tuple[RunFolder, RunSummary, bool]:
    on_ray, clients = parse_clients(plan.clients)
    replicas = 1 if plan.launch is None else plan.launch.settings.replicas or 1
    users = () if on_ray or plan.rate is not None or plan.is_replay else plan.user_levels
    check_users(users, clients=clients, replicas=replicas)
    with contextlib.ExitStack() as stack:
        if on_ray:
            stack.enter_context(joined(plan.url))
        started = wall_now()
        launched: Launched | None = None
        if plan.url is None:
            model_path = _embedded_model(plan) if plan.is_embedded else None
            folder = folder or new_folder(plan, out=out, started=started, label=launch_label(plan))
            log_path = folder.path / log_name(session.repeat)
            launched = stack.enter_context(launch_engine(plan, model_path=model_path, log_path=log_path, live=live))
        measurement = Measurement(
            plan,
            workload=workload,
            launched=launched,
            folder=folder,
            out=out,
            started=started,
            live=live,
            access=access(plan, launched),
            session=session,
        )
        uvloop.run(measurement.measure())
        assert measurement.folder is not None
        summary = summarise(measurement.folder)
        measurement.folder.write_summary(summary)
        return measurement.folder, summary, measurement.is_interrupted
