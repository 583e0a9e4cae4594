"""A fleet that is rendered for a grid's server of the tests, and processes that hand out its jobs there."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from breakeven.app.fleet_jobs import opened
from breakeven.fleet.job import Job
from commands import Done, breakeven, finish

PLAN = """
[fleet]
name = "grid"
wait_s = {wait}
{head}
[job]
template = "t"
image = "registry.example/node:1"
users = [1, 2]
duration_s = 0.1
time_limit_s = 60
[[nodes]]
count = {count}
usd_per_h = 0.5
{node}
"""


class HandedOut:
    """`env` tells the submitter where the grid is."""

    def __init__(self, folder: Path, *, to: str, env: Mapping[str, str], node: str = "") -> None:
        self.path, self.to, self.node = folder / "grid", to, node
        self.env = {**os.environ, **env}

    def render(self, *, count: int, head: str = "", wait: float = 600.0) -> None:
        plan = self.path.with_name("plan.toml")
        plan.write_text(PLAN.format(count=count, head=head, wait=wait, node=self.node))
        done = breakeven("fleet", "render", "--to", self.to, plan, "--out", self.path)
        assert done.code == 0, done.err

    def start(self) -> "subprocess.Popen[str]":
        words = [sys.executable, str(Path(__file__).with_name("hand_out.py")), str(self.path)]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.env)

    def submit(self) -> Done:
        return finish(self.start())

    def says(self, action: str, **env: str) -> Done:
        return breakeven("fleet", action, self.path, env={**self.env, **env})

    def jobs(self) -> list[Job]:
        return list(opened(self.path).jobs.values())

    def outcomes(self) -> list[str]:
        return [job.outcome for job in self.jobs()]
