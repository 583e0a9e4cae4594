"""Start the reference server as a process of its own: `python -m breakeven.client.reference`."""

import argparse
import asyncio
import gc
import os
import resource
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import uvloop

from breakeven.client.reference.answers import Settings
from breakeven.client.reference.server import Server
from breakeven.errors import BreakevenError, UsageError
from breakeven.units import parse_duration_s

FILES_BESIDE_CONNECTIONS: Final = 64


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM, SIGINT or, with --end-with-stdin, the end of stdin; returns the exit code."""
    options = _parser().parse_args(argv)
    try:
        settings = _settings(options)
        _raise_file_limit(options.connections)
        _pin(options.cpu)
        uvloop.run(_serve(settings, options))
    except BreakevenError as error:
        sys.stderr.write(f"reference server: {error}\n")
        return error.exit_code
    return 0


async def _serve(settings: Settings, options: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    server = Server(settings, loop=loop, stamps=options.stamps)
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    if options.end_with_stdin:
        loop.add_reader(sys.stdin.fileno(), _end_with_stdin, over)
    port = _listen(server, options)
    gc.collect()
    gc.freeze()
    gc.disable()  # a collection would show as lateness; what is kept per request holds no cycles
    sys.stdout.write(msgspec.json.encode({"url": f"http://{options.host}:{port}", "pid": os.getpid()}).decode() + "\n")
    sys.stdout.flush()
    await over.wait()
    server.save()


def _end_with_stdin(over: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        over.set()


def _listen(server: Server, options: argparse.Namespace) -> int:
    try:
        return server.listen(options.host, options.port)
    except OSError as fault:
        raise UsageError(f"cannot listen on {options.host}:{options.port}: {fault.strerror}; try --port 0") from None


def _raise_file_limit(connections: int | None) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if connections is not None and hard != resource.RLIM_INFINITY and hard < connections + FILES_BESIDE_CONNECTIONS:
        needed = connections + FILES_BESIDE_CONNECTIONS
        raise UsageError(
            f"{connections} connections need {needed} open files, but the limit is {hard}; raise it (ulimit -Hn)"
        )


def _pin(cpu: int | None) -> None:
    if cpu is None:
        return
    if not hasattr(os, "sched_setaffinity"):
        raise UsageError("--cpu: this system cannot pin a process to a core; leave it out")
    try:
        os.sched_setaffinity(0, {cpu})
    except OSError:
        known = ", ".join(map(str, sorted(os.sched_getaffinity(0))))
        raise UsageError(f"--cpu {cpu}: no such core here; known: {known}") from None


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(
        ttft_s=options.ttft,
        itl_s=options.itl,
        tokens_per_event=options.tokens_per_event,
        burst=options.burst,
        output_tokens=options.output_tokens,
        usage_in=options.usage_in,
        body=options.body,
        close=options.close,
        model=options.model,
        metrics=not options.no_metrics,
        lengths=options.lengths,
        ttft_sigma=options.ttft_sigma,
        slots=options.slots,
        noise=options.noise,
        wave=options.wave,
        tau_s=options.tau,
        seed=options.seed,
    )


def _parser() -> argparse.ArgumentParser:
    default = Settings()
    parser = argparse.ArgumentParser(
        prog="python -m breakeven.client.reference",
        description="Serve OpenAI-compatible streams whose true timings are known and kept.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=0, help="0 takes any free port (default)")
    add("--ttft", type=_duration_s, default=default.ttft_s, metavar="S", help="request to first text (default: 0.05)")
    add("--itl", type=_duration_s, default=default.itl_s, metavar="S", help="write to write (default: 0.01)")
    add("--tokens-per-event", type=int, default=default.tokens_per_event, metavar="N", help="tokens in an event")
    add("--burst", type=int, default=default.burst, metavar="N", help="events in a write")
    add("--output-tokens", type=int, default=default.output_tokens, metavar="N", help="answers without max_tokens")
    add("--usage-in", choices=("own", "finish", "every", "none"), default=default.usage_in, help="chunk with usage")
    add("--body", choices=("chunked", "close"), default=default.body, help="how a streamed body ends")
    add("--close", action="store_true", help="close the connection after each answer")
    add("--model", default=default.model, metavar="NAME", help="name of the model (default: truth)")
    add("--no-metrics", action="store_true", help="answer 404 on /metrics")
    add("--lengths", default="", metavar="MIX", help="lengths at which answers end, such as uniform:1,127")
    add("--ttft-sigma", type=float, default=0.0, metavar="S", help="spread of the logarithm of TTFT (default: 0)")
    add("--slots", type=int, default=0, metavar="N", help="answers at a time; others wait (default: 0, no limit)")
    add("--noise", type=float, default=0.0, metavar="S", help="spread of the step time, anew each ITL (default: 0)")
    add("--wave", type=float, default=0.0, metavar="S", help="spread of the step time that lasts (default: 0)")
    add("--tau", type=_duration_s, default=default.tau_s, metavar="S", help="for how long it lasts (default: 1)")
    add("--seed", type=int, default=0, metavar="N", help="seed of all that is drawn (default: 0)")
    add("--cpu", type=int, metavar="CORE", help="stay on this core")
    add("--connections", type=int, metavar="N", help="fail at once where so many cannot be open")
    add("--stamps", type=Path, metavar="FILE", help="write the stamps here at the end and on POST /truth/dump (.npz)")
    add("--end-with-stdin", action="store_true", help="end when stdin does, so as never to outlive the parent")
    return parser


def _duration_s(text: str) -> float:
    try:
        return parse_duration_s(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
