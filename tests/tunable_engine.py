"""The reference server as an engine with settings: `MODEL --host H --port N --itl S [--max-num-seqs N] [--fails]`."""

import argparse
import os
import socket
import sys

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("--host")
parser.add_argument("--port", required=True)
parser.add_argument("--itl", default="0.01")
parser.add_argument("--step", default="0")
parser.add_argument("--max-num-seqs", default="0")
parser.add_argument("--needs-port", type=int, default=0)
parser.add_argument("--fails", action="store_true")
asked = parser.parse_args()
if asked.fails:
    sys.exit("torch.OutOfMemoryError: CUDA out of memory")
if asked.needs_port:
    with socket.socket() as needed:
        needed.bind(("127.0.0.1", asked.needs_port))
itl_s = float(asked.itl) + float(asked.step)
told = ("--port", asked.port, "--itl", str(itl_s), "--slots", asked.max_num_seqs, "--model", asked.model)
os.execv(sys.executable, (sys.executable, "-m", "breakeven.client.reference", *told))
