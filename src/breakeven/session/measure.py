"""One measurement from the first question to the last level: find the server, prepare, measure, settle, keep."""

import asyncio
import contextlib
import datetime
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec import to_builtins
from msgspec.structs import asdict, replace

from breakeven import __version__
from breakeven.calibrate.kept import kept_ceiling
from breakeven.caution import Caution
from breakeven.cautions import judged_level
from breakeven.client.target import Access, resolve
from breakeven.clock import now_s, wall_now
from breakeven.compare.nextlevel import next_level
from breakeven.compare.words import why_next_text
from breakeven.errors import RunFailedError
from breakeven.launch.launched import Launched
from breakeven.launch.process import EngineProcess
from breakeven.load.crew import Crew
from breakeven.load.level import Level, LevelPlan
from breakeven.load.open_loop import Asking
from breakeven.load.settle import settle
from breakeven.metrics.slo import parse_slo
from breakeven.metrics.summary import LevelSummary
from breakeven.plan import Plan
from breakeven.record import LevelFacts
from breakeven.report.live import Live
from breakeven.session.asks import run_salt
from breakeven.session.crew import crew_for
from breakeven.session.defaults import level_plan, level_plans, output_tokens
from breakeven.session.search import ended_early_text, search_levels
from breakeven.session.server import Server, describe_engine, find_server
from breakeven.session.summary import summarise
from breakeven.store.folder import HOST, RunFolder
from breakeven.store.running import Running
from breakeven.store.samples import seal_samples
from breakeven.study.estimate import level_s
from breakeven.telemetry.handle import Sampler, Wanted, sources_for
from breakeven.telemetry.host import host_facts, host_record, without_secrets
from breakeven.units import load_text, moment
from breakeven.workload.base import Workload

MOST_AUTO_LEVELS: Final = 6
"""Levels that `--users auto` adds at most."""
_ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LOOK_EVERY_S: Final = 1.0
OTHER_RUN: Final = Caution(
    id="other_run",
    seen="another breakeven run measured on this machine meanwhile, so both read less than alone",
    advice="measure one after the other",
)
Load = tuple[int | None, float | None, int]
"""Users, offered rate, repeat: what tells the levels of a run apart."""


def load_of(level: LevelPlan | LevelFacts) -> Load:
    """What tells a level from the others of its run."""
    rate = level.req_per_s if isinstance(level, LevelPlan) else level.req_per_s_offered
    return level.users, None if rate is None else round(rate, 3), level.repeat


class Session(NamedTuple):
    """What part of a plan is measured now: all that is missing, or one round of a study; and where."""

    repeat: int | None = None
    """Only levels of this repeat."""
    may_start: Callable[[LevelPlan], bool] = lambda _level: True
    """Asked before each level; a study says no when its budget does not hold it."""
    next_users: Callable[[Sequence[LevelSummary]], int | None] | None = None
    """Asked for the next level in place of going through the plan's, with those that the session has measured so far;
    None: the session is over."""
    is_beside: bool = False
    """The engine is on this machine, though its address may be another container's."""

    def wants(self, level: LevelPlan) -> bool:
        """The level belongs to this session."""
        return self.repeat in (None, level.repeat) and self.may_start(level)


def missing(plan: Plan, folder: RunFolder | None) -> bool:
    """A plan has levels that are not measured yet; a search or the replay of a trace is asked again."""
    if folder is None or plan.find_max or plan.auto or plan.is_replay:
        return True
    finished = {load_of(facts) for facts in folder.finished()}
    return any(load_of(level) not in finished for level in level_plans(plan, salt=0))


def new_folder(plan: Plan, *, out: Path, started: datetime.datetime, label: str) -> RunFolder:
    """A run folder that this process alone may write to."""
    folder = RunFolder.create(out, started=started, label=plan.name or label, plan=plan)
    folder.lock()
    return folder


class Measurement:
    """What the steps of one run share. `measure` does them all; `folder` is set from the first level on."""

    def __init__(
        self,
        plan: Plan,
        *,
        workload: Workload,
        launched: Launched | None,
        folder: RunFolder | None,
        out: Path,
        started: datetime.datetime,
        live: Live,
        access: Access,
        session: Session = Session(),  # noqa: B008  (it is frozen)
    ) -> None:
        self.plan = plan
        self._workload = workload
        self._session = session
        self.folder = folder
        self._launched = launched
        self._out = out
        self._started = started
        self._live = live
        self._access = access
        self._running: Running | None = None
        self._told: frozenset[int] = frozenset()
        """Other runs that were told of."""
        self._is_alone = True
        self._next_look_s = 0.0
        self._salt = run_salt(plan)
        self._zero_s = now_s() - (wall_now() - started).total_seconds()

    @property
    def is_interrupted(self) -> bool:
        """The user ended it."""
        return self._stop.is_set()

    async def measure(self) -> None:
        """From the first question to the last level."""
        self._stop = asyncio.Event()
        async with self._signals():
            server = await self._find_server()
            workload = self._workload
            server.notes += await workload.prepare(server)
            if self.folder is None:
                label = "-".join([server.engine.name, "+".join(name.rpartition("/")[2] for name in server.models)])
                self.folder = new_folder(self.plan, out=self._out, started=self._started, label=label)
            self._note_host(server, workload)
            self._idle_probe_s = await server.probe_s()
            is_open = self.plan.rate is not None or self.plan.is_replay
            asking = Asking(access=self._access, maker=server.maker, workload=workload, is_open=is_open)
            async with crew_for(server, asking, clients=self.plan.clients) as crew:
                with (
                    self._company(server) as self._running,
                    Sampler(self.folder.path, zero_s=self._zero_s, wanted=self._wanted(server)),
                ):
                    await self._levels(crew, server=server, workload=workload)
            seal_samples(self.folder.path)

    @staticmethod
    def _company(server: Server) -> contextlib.AbstractContextManager[Running | None]:
        """Other runs matter where the engine shares this machine with theirs."""
        return Running() if server.target.is_local else contextlib.nullcontext()

    def _look_around(self) -> None:
        """Note other runs on this machine, once a second; each is told of when it is first seen."""
        if self._running is None or now_s() < self._next_look_s:
            return
        self._next_look_s = now_s() + _LOOK_EVERY_S
        beside = self._running.others()
        for number in sorted(beside - self._told):
            self._live.say(f"two runs measure on this machine: process {number} too; both read less than alone")
        self._told |= beside
        self._is_alone = self._is_alone and not beside

    def _is_here(self, server: Server) -> bool:
        """The engine does its work on this machine, so that its GPUs and its energy are ours to read."""
        return server.target.is_local or self._session.is_beside

    def _wanted(self, server: Server) -> Wanted:
        """What telemetry samples: this machine's energy only where the engine runs on it."""
        target = server.target
        launched = self._launched
        return sources_for(
            urls=[one.origin + one.root for one in target.replicas],
            gpus=None if launched is None else launched.all_gpus,
            engine=server.engine,
            is_local=self._is_here(server),
            headers=target.own_headers(),
            unix_path=target.unix_path,
            gpu_metrics=self.plan.gpu_metrics,
            gpu_labels=self.plan.gpu_labels,
            engine_metrics=self.plan.engine_metrics,
        )

    async def _levels(self, crew: Crew, *, server: Server, workload: Workload) -> None:
        assert self.folder is not None
        if self.plan.find_max:
            assert self.plan.slo is not None
            slo = parse_slo(self.plan.slo)

            async def measure_at(level: LevelPlan) -> LevelSummary | None:
                return None if self._stop.is_set() else await self._level(level, crew=crew, server=server)

            await search_levels(
                self.plan,
                slo=slo,
                measure=measure_at,
                salt=self._salt,
                say=self._live.say,
                known=[judged_level(*level, slo=slo) for level in self.folder.levels() if _is_over(level[0])],
            )
            return
        if self._session.next_users is not None:
            await self._levels_asked_for(self._session.next_users, crew=crew, server=server)
            return
        arrivals_s = workload.arrivals_s() if self.plan.is_replay else None
        finished = {load_of(facts) for facts in self.folder.finished()}
        levels = level_plans(self.plan, salt=self._salt, arrivals_s=arrivals_s)
        wanted = [level for level in levels if load_of(level) not in finished]
        if self._session.repeat is None:
            self._live.expect([level_s(level) for level in wanted])
        for level in wanted:
            if not self._stop.is_set() and self._session.wants(level):
                await self._level(level, crew=crew, server=server)
        if self.plan.auto:
            await self._more_levels(crew, server=server)

    async def _levels_asked_for(
        self, next_users: Callable[[Sequence[LevelSummary]], int | None], *, crew: Crew, server: Server
    ) -> None:
        """One level after the other, as a search wants them."""
        measured: list[LevelSummary] = []
        while not self._stop.is_set() and (users := next_users(measured)) is not None:
            level = level_plan(self.plan, users=users, repeat=self._session.repeat or 0, salt=self._salt)
            if not self._session.wants(level):
                return
            measured.append(await self._level(level, crew=crew, server=server))

    async def _more_levels(self, crew: Crew, *, server: Server) -> None:
        """Measure the level whose absence leaves most doubt, as long as there is one and it is not the last one."""
        assert self.folder is not None
        slo = None if self.plan.slo is None else parse_slo(self.plan.slo)
        asked: set[int] = set()
        while len(asked) < MOST_AUTO_LEVELS and not self._stop.is_set():
            chosen = next_level(summarise(self.folder), floors=self.plan.floors, slo=slo)
            if chosen is None or chosen.users is None or chosen.users in asked:
                return
            asked.add(chosen.users)
            self._live.say(f"next: {load_text(chosen.users, None)}, since {why_next_text([chosen])}")
            level = level_plan(self.plan, users=chosen.users, salt=self._salt)
            await self._level(level, crew=crew, server=server)

    @contextlib.asynccontextmanager
    async def _signals(self) -> AsyncIterator[None]:
        """The first Ctrl-C (or TERM, or a lost terminal) ends the level and keeps it; the second ends all at once."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None

        def interrupt() -> None:
            if self._stop.is_set() or self.folder is None:
                task.cancel()
            self._stop.set()
            self._live.say("interrupted; keeping what was measured (once more to quit at once)")

        ending = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]  # as nohup has it
        for number in ending:
            loop.add_signal_handler(number, interrupt)
        try:
            yield
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        finally:
            for number in ending:
                loop.remove_signal_handler(number)

    async def _find_server(self) -> Server:
        plan, launched = self.plan, self._launched
        return await find_server(
            await resolve(self._access),
            api=plan.api,
            models=plan.models if launched is None or launched.model is None else ((launched.model, 1.0),),
            engine=launched.engine if launched is not None else plan.engine,
            say=self._live.say,
            body=plan.body,
        )

    def _note_host(self, server: Server, workload: Workload) -> None:
        """Write host.json; a resumed run keeps its first start and adds this one."""
        assert self.folder is not None
        earlier = self.folder.host()
        if earlier:
            run, engine = (earlier.setdefault(part, {}) for part in ("run", "engine"))
            began = moment(run.get("started"))
            if began is None or began.tzinfo is None:
                raise RunFailedError(
                    f"{self.folder.path / HOST}: does not say when the run began, so that nothing can be added to it; "
                    "measure anew"
                )
            self._zero_s -= (self._started - began).total_seconds()
            run["resumed"] = [*run.get("resumed", []), self._started.isoformat()]
            for fact in ("exit_code", "ended_replica"):
                engine.pop(fact, None)
            engine["starts"] = [*engine.get("starts", []), *self._start()]
            self.folder.write_host(earlier)
            return
        launched = self._launched
        known: dict[str, Any] = {}
        if launched is not None:
            known = {
                "version": launched.version,
                "argv": without_secrets(launched.argv),
                "settings": dict(launched.settings),
                "start_s": launched.start_s,
                "starts": self._start(),
                **({} if launched.gpus is None else {"visible_gpus": list(launched.all_gpus or ())}),
                **launched.facts,
            }
        self.folder.write_host(
            {
                "format": 1,
                "run": {
                    "started": self._started.isoformat(),
                    "model": ", ".join(server.models),
                    "api": server.api,
                    "workload": workload.describe(),
                    "settings": _settings(self.plan, workload),
                    "salt": f"{self._salt:016x}",
                    "client": {"version": __version__, "clients": self.plan.clients},
                    "clock": {"zero_wall": self._started.isoformat(), "zero_monotonic_s": self._zero_s},
                },
                "engine": describe_engine(server, known),
                "host": host_record(
                    engine_is_local=self._is_here(server),
                    gpus=None if launched is None else launched.all_gpus,
                    gpu_metrics=self.plan.gpu_metrics,
                    gpu_labels=self.plan.gpu_labels,
                )
                | _declared(self.plan),
            }
        )

    def _start(self) -> list[dict[str, Any]]:
        """When the engine was started for this session, and how long that took; empty where it was not ours."""
        if self._launched is None:
            return []
        return [
            {"started": self._started.isoformat(), "start_s": self._launched.start_s, "repeat": self._session.repeat}
        ]

    async def _level(self, plan: LevelPlan, *, crew: Crew, server: Server) -> LevelSummary:
        assert self.folder is not None
        slo = None if self.plan.slo is None else parse_slo(self.plan.slo)
        level = Level(
            plan,
            crew=crew,
            zero_s=self._zero_s,
            stop=self._stop,
            progress=self._live.show,
            check=lambda: self._check(log.check),
            same_host=server.target.is_local,
            slo=slo if self.plan.find_max else None,
            names_requests=not server.target.has_header("X-Request-Id"),
            session_turns=self._workload.turn_counts(),
        )
        self._is_alone, self._next_look_s = True, 0.0
        self._look_around()
        log = self.folder.start_level(level.facts)
        try:
            facts = await level.run(log.put, log.note)
        finally:
            log.close()
        self._live.clear()
        if level.missed is not None:
            self._live.say(ended_early_text(level.missed, facts))
        facts = await self._settled(facts, server=server)
        notes = *facts.notes, *server.notes, *(() if self._is_alone else (OTHER_RUN,))
        facts = replace(facts, notes=notes, extra=facts.extra | _ceiling(len(facts.clients)))
        summary = judged_level(*self.folder.seal_level(facts), slo=slo)
        self._live.finished(summary)
        return summary

    def _check(self, check_log: Callable[[], None]) -> None:
        check_log()
        self._look_around()
        for number, one in enumerate(() if self._launched is None else self._launched.replicas, 1):
            self._check_runs(one.process, number)

    def _check_runs(self, process: EngineProcess, number: int) -> None:
        """RunFailedError where an engine ended by itself: that stands with the run, for whoever looks at it later."""
        assert self._launched is not None
        code, count = process.exit_code(), len(self._launched.replicas)
        if code is None:
            return
        last = process.tail()
        self._note_end({"exit_code": code} | ({"ended_replica": number} if count > 1 else {}))
        who = "the engine" if count == 1 else f"replica {number} of {count} of the engine"
        raise RunFailedError(
            f"{who} ended by itself (exit code {code}); its log is {process.log_path}"
            + (f"; its last line: {last[-1]}" if last else "")
        )

    def _note_end(self, facts: dict[str, Any]) -> None:
        assert self.folder is not None
        host = self.folder.host()
        if host:
            host["engine"] |= facts
            self.folder.write_host(host)

    async def _settled(self, facts: LevelFacts, *, server: Server) -> LevelFacts:
        """Wait until the engine is idle, or the user wants to stop."""
        settling = asyncio.ensure_future(
            settle(busy_requests=server.busy_requests, probe_s=server.probe_s, idle_probe_s=self._idle_probe_s)
        )
        stopping = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait({settling, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not settling.done():
            settling.cancel()
            return facts
        settle_s, settled = settling.result()
        return replace(facts, settle_s=settle_s, settled=settled)


def _ceiling(clients: int) -> dict[str, float | None]:
    """The loads up to which this machine's client was found right, where a calibration found their end."""
    known = kept_ceiling(host_facts())
    if known is None:
        return {}
    itl = known.figures.get("ITL")
    ends = {
        "calibrated_events_per_s": None if known.is_lower_bound else known.events_per_s,
        "calibrated_itl_events_per_s": None if itl is None or itl.is_lower_bound else itl.events_per_s,
    }
    return {name: end * clients for name, end in ends.items() if end is not None}


def _is_over(facts: LevelFacts) -> bool:
    """It counts as measured; what was interrupted is measured again under the same name."""
    return facts.status != "interrupted"


def _declared(plan: Plan) -> dict[str, Any]:
    """What the plan says of the hardware; it is declared, not found out."""
    return {} if plan.hardware is None else {"declared": to_builtins(plan.hardware)}


def _settings(plan: Plan, workload: Workload) -> dict[str, Any]:
    """What was asked for, with the defaults that filled it in; how an engine of the plan is started stands with it."""
    left_out = {"salt", "times_s"}
    arrivals_s = workload.arrivals_s() if plan.is_replay else None
    levels = [
        asdict(level) | {"duration_s": plan.duration_s} for level in level_plans(plan, salt=0, arrivals_s=arrivals_s)
    ]
    asked = {key: value for key, value in asdict(plan).items() if key not in ("launch", "hardware")}
    asked |= {"launch": to_builtins(plan.launch)} if plan.is_embedded and plan.launch is not None else {}
    return asked | {
        "users": None if plan.is_replay or plan.rate is not None else plan.user_levels,
        "output_tokens": output_tokens(plan),
        "levels": [{key: level[key] for key in level if key not in left_out} for level in levels],
    }
