"""llama-server, as far as a container's test needs it: its words for the llama.cpp out of the wheel xllamacpp."""

import argparse
import os
import signal
import threading

import xllamacpp

VALUES = {"model": str, "host": str, "alias": str, "port": int, "ctx-size": int, "parallel": int, "cache-ram": int}


def main() -> None:
    """Serve until TERM."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    parser = argparse.ArgumentParser(prog="llama-server")
    for name, kind in VALUES.items():
        parser.add_argument(f"--{name}", type=kind)
    for name in ("metrics", "no-cache-prompt"):
        parser.add_argument(f"--{name}", action="store_true")
    told = parser.parse_args()
    chosen = xllamacpp.CommonParams()
    chosen.model.path, chosen.hostnames, chosen.port = told.model, [told.host], told.port
    chosen.n_parallel, chosen.n_ctx = told.parallel or 4, told.ctx_size or 4096
    chosen.cache_prompt, chosen.cache_ram_mib = False, 0
    chosen.endpoint_metrics, chosen.ui = told.metrics, False
    server = xllamacpp.Server(chosen)
    print("serving", server.listening_address, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
