"""`fleet submit` without its pauses, and here with the node of a_node.py, as a process that a test can kill."""

import sys
from pathlib import Path

from msgspec.structs import replace

from breakeven.app.fleet_jobs import opened, work_of
from breakeven.errors import BreakevenError
from breakeven.fleet.jobs.local import Local
from breakeven.fleet.jobs.place import place
from breakeven.fleet.jobs.work import submit

NODE = (sys.executable, str(Path(__file__).with_name("a_node.py")))


def main() -> int:
    fleet = opened(Path(sys.argv[1]))
    on = fleet.given.to
    with fleet.held():
        work = replace(work_of(fleet), poll_s=0.05, back_off_s=0.1, again_s=0.02)
        at = Local(fleet.path, command=NODE) if on == "local" else place(on, fleet.path)
        try:
            print(len(submit(fleet, at, work, on=on)))
        except BreakevenError as error:
            print(f"breakeven: {error}", file=sys.stderr)
            return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
