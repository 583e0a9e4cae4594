"""`fleet submit` on this machine with the node of a_node.py, as a process that a test can kill."""

import sys
from pathlib import Path

from msgspec.structs import replace

from breakeven.app.fleet_jobs import opened, work_of
from breakeven.fleet.jobs.local import Local
from breakeven.fleet.jobs.work import submit

NODE = (sys.executable, str(Path(__file__).with_name("a_node.py")))

if __name__ == "__main__":
    fleet = opened(Path(sys.argv[1]))
    with fleet.held():
        work = replace(work_of(fleet), poll_s=0.05, back_off_s=0.1)
        left = submit(fleet, Local(fleet.path, command=NODE), work, on="local")
        print(len(left))
