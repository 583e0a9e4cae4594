"""`breakeven tune`: a study whose settings are searched. It knows what its folder holds, so it can be resumed."""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from breakeven.clock import wall_now
from breakeven.errors import RunFailedError
from breakeven.findings.race import Try, Value, known, next_try, skipped_for_neighbours
from breakeven.findings.study import goal_figure
from breakeven.metrics.pooling import of_estimate
from breakeven.metrics.slo import ServiceLevel, parse_slo
from breakeven.metrics.statistics import t_quantile
from breakeven.metrics.summary import LevelSummary, RunSummary
from breakeven.report.live import Live
from breakeven.session.defaults import round_levels
from breakeven.session.measure import Session
from breakeven.session.plan_file import PlanFile
from breakeven.session.study import StudyRun
from breakeven.session.summary import summarise
from breakeven.store.study import StudyFolder
from breakeven.study.cells import Cell
from breakeven.study.estimate import start_s
from breakeven.study.factors import factors, values
from breakeven.study.order import Turn
from breakeven.study.space import next_users

MOST_FAILED: Final = 5
"""Settings that fail one after the other before any went well: then it is not the settings."""
_WHY: Final = {
    "spread": "spread out",
    "gain": "foretold to be worth a try",
    "race": "may be the best, measured again",
}


class TuneRun(StudyRun):
    """One session of a search."""

    def __init__(self, plan: PlanFile, folder: StudyFolder, *, live: Live) -> None:
        super().__init__(plan, folder, live=live)
        assert plan.tune is not None
        self.tune = plan.tune
        self.is_over = False
        self._cells = {cell.name: cell for cell in plan.cells}
        told = factors(plan.cells)
        order = values(told)
        self._values = {
            name: {key: _value(one, order[key]) for key, one in each.items()} for name, each in told.items()
        }
        self._runs: dict[str, RunSummary] = {}
        self._figures: dict[tuple[str, int], tuple[float, float | None] | None] = {}
        self._levels: dict[str, tuple[LevelSummary, ...]] = {}
        """What is known of a cell's levels; those of the start under way are in no summary yet."""
        for cell in plan.cells:
            found = folder.cell(cell.name)
            if found is not None:
                self._know(cell, summarise(found))

    def measure(self) -> None:
        """Try what may still be the best, until the leader is surely good enough or the budget is used."""
        still = {name: why for name, why in self._state.failures.items() if name not in self._state.in_the_way}
        self._keep(sessions=(*self._state.sessions, wall_now().isoformat()), failures=still, in_the_way=())
        while not (self.is_interrupted or self.is_out_of_budget):
            tries = self.tries()
            self._check_that_any_starts(tries)
            chosen = next_try(tries, seed=self.head.seed, margin=self.tune.margin, most_repeats=self.head.repeats)
            if chosen is None:
                self.is_over = True
                return
            cell = self._cells[chosen.name]
            turn = Turn(cell, self._done_repeats(cell))
            level = round_levels(cell.plan, 0)[0]
            if not self._holds(start_s(cell.plan, seen_s=self._state.start_s.get(cell.name)), level, turn):
                self._out_of_budget()
                return
            number = sum(len(one.logs) + one.has_failed for one in tries) + 1
            self._live.say(f"[try {number}] {cell.name}, start {turn.repeat + 1}: {_WHY[chosen.why]}")
            self._take(turn)
            self._tell(cell)

    def tries(self) -> list[Try]:
        """What is known of every setting that nothing else keeps from starting."""
        return [self._try(cell) for cell in self.plan.cells if cell.name not in self._state.in_the_way]

    @property
    def in_the_way(self) -> tuple[str, ...]:
        """Settings that could not be tried for what is not of them; the next session tries them again."""
        return self._state.in_the_way

    def skipped(self) -> list[str]:
        """Settings left out for what failed beside them."""
        return [one.name for one in skipped_for_neighbours(self.tries())]

    @property
    def service(self) -> ServiceLevel | None:
        """What every user must get; None: nothing is asked."""
        return service_level(self.plan)

    def _know(self, cell: Cell, run: RunSummary) -> None:
        self._runs[cell.name], self._levels[cell.name] = run, run.levels
        self._figures = {key: one for key, one in self._figures.items() if key[0] != cell.name}

    def _note(self, cell: Cell, summary: RunSummary, *, repeat: int) -> None:
        super()._note(cell, summary, repeat=repeat)
        self._know(cell, summary)

    def _check_that_any_starts(self, tries: list[Try]) -> None:
        failed = list(self._state.failures)
        if (len(failed) >= MOST_FAILED or not tries) and not any(one.logs for one in tries):
            raise RunFailedError(
                f"{len(failed)} settings failed and none went well, so it is not the settings; the last: "
                f"{self._state.failures[failed[-1]]}"
            )

    def _try(self, cell: Cell) -> Try:
        told = Try(cell.name, self._values[cell.name])
        if cell.name in self._state.failures:
            return told._replace(has_failed=True)
        logs, sds = [], []
        for repeat in range(self._done_repeats(cell)):
            found = self._figure(cell, repeat)
            if found is None:
                return told._replace(has_failed=True)
            logs.append(found[0])
            sds.append(found[1])
        return told._replace(logs=tuple(logs), sds=tuple(sds))

    def _figure(self, cell: Cell, repeat: int) -> tuple[float, float | None] | None:
        """Log of the figure of one start, more is better, and its standard deviation; None where it gives nothing."""
        if (cell.name, repeat) not in self._figures:
            self._figures[cell.name, repeat] = self._worked_out(cell, repeat)
        return self._figures[cell.name, repeat]

    def _worked_out(self, cell: Cell, repeat: int) -> tuple[float, float | None] | None:
        run = self._runs[cell.name]
        own = replace(run, levels=tuple(level for level in run.levels if level.repeat == repeat))
        estimate = goal_figure(own, self.service, goal=self.tune.goal, rent_usd_per_h=cell.rent_usd_per_h)
        figure = of_estimate(estimate)
        if figure.value is None:
            return None
        sign = -1 if self.tune.goal == "usd_per_mtok" else 1
        sd = None if figure.log_half is None else figure.log_half / t_quantile(figure.df)
        return sign * math.log(figure.value), sd

    def _done_repeats(self, cell: Cell) -> int:
        """Starts of a cell whose way to its capacity was gone to the end."""
        repeat = 0
        while self._verdicts(cell.name, repeat) and self._next_users(cell, repeat) is None:
            repeat += 1
        return repeat

    def _next_users(self, cell: Cell, repeat: int) -> int | None:
        verdicts = self._verdicts(cell.name, repeat)
        ladder = sorted(cell.plan.user_levels)
        if self.service is None:
            return next((users for users in ladder if users not in verdicts), None)
        return next_users(ladder, verdicts) if verdicts else self._first_users(cell, ladder)

    def _first_users(self, cell: Cell, ladder: list[int]) -> int:
        """Where this setting's capacity was, else the leader's, else the middle."""
        tried = [one for one in self.tries_before(cell) if one.logs]
        for name in (cell.name, *(one.one.name for one in known(tried)[:1])):
            met = [users for users, is_met in self._verdicts(name, 0).items() if is_met]
            if met:
                return max(met)
        return ladder[len(ladder) // 2]

    def tries_before(self, cell: Cell) -> list[Try]:
        """What is known of the other settings."""
        return [self._try(one) for one in self.plan.cells if one.name != cell.name and one.name in self._runs]

    def _verdicts(self, name: str, repeat: int) -> Mapping[int, bool]:
        """By users, whether the service level was met in this start; levels that were not finished count as none."""
        return {
            level.users: self._meets(level)
            for level in self._levels.get(name, ())
            if level.users is not None and level.repeat == repeat and level.status == "done"
        }

    def _meets(self, level: LevelSummary) -> bool:
        floor, speed = self.tune.floor, level.output_tok_per_s.value
        if floor is not None and (speed is None or speed / (level.users or 1) < floor):
            return False
        return level.extra.get("verdict", "met") == "met" and speed is not None

    def _session(self, turn: Turn) -> Session:
        """Levels near the capacity only."""
        before = self._levels.get(turn.cell.name, ())

        def wanted(measured: Sequence[LevelSummary]) -> int | None:
            self._levels[turn.cell.name] = (*before, *measured)
            return self._next_users(turn.cell, turn.repeat)

        return super()._session(turn)._replace(next_users=wanted)

    def _tell(self, cell: Cell) -> None:
        if cell.name in self._state.failures:
            return
        best = known([one for one in self.tries() if one.logs])
        if best:
            self._live.say(f"leader: {best[0].one.name}, after {len(best)} settings")


def service_level(plan: PlanFile) -> ServiceLevel | None:
    """What every user must get in a search; None: nothing is asked."""
    slo, floor = plan.cells[0].plan.slo, None if plan.tune is None else plan.tune.floor
    if slo is None and floor is None:
        return None
    return ServiceLevel(floor_tok_per_s_per_user=floor, slo=None if slo is None else parse_slo(slo))


def _value(text: str, order: tuple[str, ...]) -> Value:
    """A number by its place in its order, so that steps of a log scale are alike; a choice by its name."""
    try:
        for one in order:
            float(one)
    except ValueError:
        return text
    return float(order.index(text))
