"""`compare STUDY --baseline` and `compare RUN… --history`: each against what was before, for people and CI."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from breakeven.app.runs import STDOUT, read_run, write_json, write_out
from breakeven.app.study import StoredStudy
from breakeven.compare.family import DEFAULT_GATE, Family, Pair, gate_family
from breakeven.compare.history import History, history
from breakeven.errors import LIMIT_MISSED, UsageError
from breakeven.metrics.summary import RunSummary
from breakeven.report.familytext import family_junit, family_lines, family_markdown
from breakeven.report.historytext import history_lines, history_markdown
from breakeven.store.study import is_study


class Forms(Struct, frozen=True, kw_only=True):
    """Where the verdicts go besides the terminal; `-` is stdout."""

    junit: str | None = None
    markdown: str | None = None
    json: str | None = None
    html: str | None = None

    def given(self) -> tuple[str | None, ...]:
        """Where each form goes."""
        return (self.junit, self.markdown, self.json, self.html)

    def check(self) -> None:
        """UsageError where two forms would go to stdout."""
        if self.given().count(STDOUT) > 1:
            raise UsageError("compare: only one form can go to stdout (-)")


def compare_with_baseline(
    study: Path, baseline: Path, *, gates: tuple[str, ...] | list[str], strict: bool, forms: Forms
) -> int:
    """Judge every cell; exit code 3 where one failed, with `strict` where one did not pass."""
    forms.check()
    found = gate_family(pairs(study, baseline), gates or [DEFAULT_GATE])
    junit, markdown = family_junit(found, name=study.resolve().name), family_markdown(found)
    _put_out(found, forms, lines=family_lines(found), texts=((forms.junit, junit), (forms.markdown, markdown.encode())))
    missed = {"failed", "undecided"} if strict else {"failed"}
    return LIMIT_MISSED if found.verdict in missed else 0


def show_history(runs: Sequence[Path], metric: str, *, forms: Forms) -> int:
    """Runs of one cell over time, with marks where their figure surely changed."""
    forms.check()
    found = history(_told_apart(runs, [read_run(path) for path in runs]), metric)
    texts = [(forms.markdown, history_markdown(found).encode())]
    if forms.html is not None:
        from breakeven.report.historypage import history_page

        texts.append((forms.html, history_page(found).encode()))
    _put_out(found, forms, lines=history_lines(found), texts=texts)
    return 0


def _told_apart(paths: Sequence[Path], runs: Sequence[RunSummary]) -> list[RunSummary]:
    """A cell has one name in every study: its runs go by that of their study too. UsageError for one run twice."""
    if len({run.run.id for run in runs}) < len(runs):
        names = [f"{path.resolve().parent.name}/{run.run.id}" for path, run in zip(paths, runs, strict=True)]
        runs = [replace(run, run=replace(run.run, id=name)) for name, run in zip(names, runs, strict=True)]
    ids = [run.run.id for run in runs]
    twice = next((one for one in ids if ids.count(one) > 1), None)
    if twice is not None:
        raise UsageError(f"history: the run {twice} is given twice")
    return list(runs)


def pairs(study: Path, baseline: Path) -> list[Pair]:
    """Every measured cell with the cell of its name in the baseline, or with the one run that is the baseline."""
    stored = StoredStudy(study)
    runs, failures = stored.runs(), stored.folder.state().failures
    if is_study(baseline):
        known = StoredStudy(baseline).runs()
        if not known:
            raise UsageError(f"{baseline} has no measured cell to hold anything against")
    else:
        known = dict.fromkeys((cell.name for cell in stored.cells), read_run(baseline))
    found = [
        Pair(cell.name, known.get(cell.name), runs.get(cell.name), failures.get(cell.name)) for cell in stored.cells
    ]
    # what neither side has measured was not asked for, as in a search
    return [pair for pair in found if pair.candidate or pair.failure or (is_study(baseline) and pair.reference)]


def _put_out(
    found: Family | History, forms: Forms, *, lines: Iterable[str], texts: Sequence[tuple[str | None, bytes]]
) -> None:
    print("\n".join(lines), file=sys.stderr if STDOUT in forms.given() else sys.stdout)
    for where, data in texts:
        if where is not None:
            write_out(data, where)
    if forms.json is not None:
        write_json(found, forms.json)
