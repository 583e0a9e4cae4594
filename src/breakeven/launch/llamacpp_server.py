"""The embedded engine's program: llama.cpp's server in a process of its own, until standard input ends.

Run as `python -m breakeven.launch.llamacpp_server --model PATH --slots N --context-per-slot N`, and as wanted
`--threads N --batch-tokens N --micro-batch-tokens N`. When it listens, it prints one line of JSON: its address, version
and settings. Its log goes to standard error.
"""

import argparse
import json
import os
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

import xllamacpp


def params(
    *,
    model: Path,
    slots: int,
    context_per_slot: int,
    threads: int | None,
    batch_tokens: int | None,
    micro_batch_tokens: int | None,
) -> Any:
    """llama.cpp as it comes, but for what a measurement needs: no answer from a cache, a slot for every user."""
    chosen = xllamacpp.CommonParams()
    chosen.model.path = str(model)
    chosen.model_alias = {model.stem}
    chosen.port = 0
    chosen.n_parallel = slots
    # shared out over the slots
    chosen.n_ctx = slots * context_per_slot
    if threads is not None:
        chosen.cpuparams.n_threads = threads
        chosen.cpuparams_batch.n_threads = threads
    if batch_tokens is not None:
        chosen.n_batch = batch_tokens
    # it takes no more at once than a batch holds
    chosen.n_ubatch = min(micro_batch_tokens or chosen.n_ubatch, chosen.n_batch)
    # a repeated prompt would cost nothing, and memory would grow
    chosen.cache_prompt = False
    chosen.cache_ram_mib = 0
    chosen.cache_idle_slots = False
    chosen.endpoint_metrics = True
    chosen.ui = False
    # warnings and errors; five lines a request otherwise
    chosen.verbosity = 2
    return chosen


def settings(chosen: Any) -> dict[str, object]:
    """What the engine runs with, read back from it."""
    return {
        "slots": chosen.n_parallel,
        "context_tokens": chosen.n_ctx,
        "context_tokens_per_slot": chosen.n_ctx // chosen.n_parallel,
        "threads": chosen.cpuparams.n_threads,
        "batch_tokens": chosen.n_batch,
        "micro_batch_tokens": chosen.n_ubatch,
        "cache_prompt": chosen.cache_prompt,
        "cache_ram_mib": chosen.cache_ram_mib,
        "gomp_spincount": os.environ.get("GOMP_SPINCOUNT"),
    }


def end_with_stdin() -> None:
    """End this process when standard input does.

    At once: shutting the server object down in order is known to hang.
    """
    while os.read(0, 4096):
        pass
    os._exit(0)


def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser(prog="breakeven.launch.llamacpp_server")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--context-per-slot", type=int, required=True)
    for name in ("--threads", "--batch-tokens", "--micro-batch-tokens"):
        parser.add_argument(name, type=int)
    threading.Thread(target=end_with_stdin, daemon=True).start()
    chosen = params(**vars(parser.parse_args()))
    try:
        server = xllamacpp.Server(chosen)
    except RuntimeError as error:
        # llama.cpp has logged why
        sys.exit(f"llama.cpp does not start: {error}")
    ready = {
        "listening": server.listening_address,
        "version": f"xllamacpp {version('xllamacpp')}",
        "settings": settings(chosen),
    }
    print(json.dumps(ready), flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
