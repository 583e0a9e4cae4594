"""The reference server as an engine with settings: `MODEL --host H --port N --itl S [--fails]`."""

import argparse
import os
import sys

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--host")
parser.add_argument("--port", required=True)
parser.add_argument("--itl", default="0.01")
parser.add_argument("--step", default="0")
parser.add_argument("--fails", action="store_true")
asked = parser.parse_args()
if asked.fails:
    sys.exit("torch.OutOfMemoryError: CUDA out of memory")
itl_s = float(asked.itl) + float(asked.step)
words = ("-m", "breakeven.client.reference", "--port", asked.port, "--itl", str(itl_s))
os.execv(sys.executable, (sys.executable, *words))
