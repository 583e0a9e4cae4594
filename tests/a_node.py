"""A node's benchmark for tests of who hands it out: takes the words of `breakeven node`, and does what NODE_DOES says.

Every start leaves a file in NODE_STARTS, so that a test can count how often a job ran.
"""

import argparse
import json
import os
import sys
import time
import uuid
from pathlib import Path

from breakeven.clock import wall_now
from breakeven.fleet.result import KEY_VARIABLE, Level, NodeResult, Proof, result_line


def main() -> int:
    words = argparse.ArgumentParser()
    for name in ("--template", "--job", "--seed", "--users", "--duration", "--time-limit", "--threads"):
        words.add_argument(name)
    asked = words.parse_args()
    does = json.loads(os.environ.get("NODE_DOES", "{}"))
    does |= does.get(asked.job.rpartition("-")[2], {})
    starts = Path(os.environ["NODE_STARTS"])
    (starts / f"{asked.job}.{uuid.uuid4().hex}").touch()
    tries = len(list(starts.glob(f"{asked.job}.*")))
    started = wall_now().isoformat()
    time.sleep(does.get("sleep_s", 0.0))
    if does.get("kills_itself", 0) >= tries:
        # its runner with it: all of its session
        os.killpg(0, 9)
    if "exit" in does:
        print("no engine here", file=sys.stderr)
        return int(does["exit"])
    rate = does.get("rate", 10.0 + int(asked.job.rpartition("-")[2]))
    levels = tuple(Level(users=int(n), output_tok_per_s=rate * int(n), done=9) for n in asked.users.split(","))
    proof = Proof(
        seed=does.get("seed", asked.seed),
        answer="0" * 16,
        size=64,
        time_s=1,
        device="cpu",
    )
    result = NodeResult(
        breakeven="0",
        template=does.get("template", asked.template),
        job=does.get("job", asked.job),
        started=started,
        wall_s=does.get("sleep_s", 0.0),
        outcome="done",
        levels=levels,
        proof=proof,
    )
    print("words before it")
    print(result_line(result, key=does.get("key", os.environ.get(KEY_VARIABLE))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
