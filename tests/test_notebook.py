"""The notebook of the examples runs as it stands, and its figures are those that we derive."""

import contextlib
import io
import os
import re
import sys
from pathlib import Path

import pytest

from breakeven.app.runs import read_run
from breakeven.metrics.repeats import repeats

duckdb = pytest.importorskip("duckdb")
ROOT = Path(__file__).parent.parent
PAGE = ROOT / "examples/notebook.md"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each block prints, run in order in a folder that holds the examples."""
    here = tmp_path_factory.mktemp("notebook")
    (here / "examples").symlink_to(ROOT / "examples")
    space: dict[str, object] = {"__name__": "notebook"}
    printed = []
    with contextlib.chdir(here), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(block, str(PAGE), "exec"), space)
            printed.append(out.getvalue())
    return printed


def test_every_block_says_something(told: list[str]) -> None:
    assert len(told) == 4
    assert all(told)


def test_the_chart_has_a_bar_for_every_load_that_grows_with_its_value(told: list[str]) -> None:
    bars = {int(users): len(bar) for users, bar in re.findall(r"(\d+) users  ([█▉▊▋▌▍▎▏]+)", told[2])}
    assert list(bars) == [1, 5, 10, 50, 100]
    assert bars[1] < bars[50] <= bars[100]


def test_its_median_ttft_is_near_the_one_that_we_report(told: list[str]) -> None:
    """Over all answers of all repeats; ours is the mean over repeats of the medians within the windows."""
    run = read_run(ROOT / "examples/cpu-llamacpp-vs-vllm/smollm2-135m-vllm-chat")
    ours = {one.users: one.figures["ttft_s_p50"].mean for one in repeats(run.levels)}
    shown = {int(users): float(ms) for users, ms in re.findall(r"(\d+) users .* (\d+) ms", told[2])}
    assert shown[5] == pytest.approx(1e3 * (ours[5] or 0), rel=0.1)
    assert shown[10] == pytest.approx(1e3 * (ours[10] or 0), rel=0.1)
