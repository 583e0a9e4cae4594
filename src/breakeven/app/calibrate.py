"""`breakeven calibrate`: hold the instrument against a server whose true timings are known."""

import sys
from pathlib import Path

import uvloop

from breakeven.app.printed import put_out
from breakeven.app.runs import write_file
from breakeven.calibrate.cell import Cell, Result
from breakeven.calibrate.grid import FULL, QUICK, ceiling, describe, run_grid
from breakeven.calibrate.kept import Kept, keep
from breakeven.calibrate.text import ceiling_text, markdown, table
from breakeven.clock import wall_now
from breakeven.report.live import Live
from breakeven.telemetry.host import host_facts
from breakeven.units import short_count


def calibrate(*, quick: bool, users: tuple[int, ...] | None, json_to: str | None, markdown_to: Path | None) -> int:
    """Drive the grid, print it, keep the ceiling; exit code 1 where not one load was read right."""
    cells = QUICK if quick else FULL
    if users is not None:
        cells = tuple(Cell(users=count, itl_s=max(0.010, count / 100_000)) for count in users)
    results = uvloop.run(_measure(cells, live=Live()))
    found = ceiling(results)
    kept = Kept(made=wall_now().isoformat(), host=host_facts(), ceiling=found, cells=describe(results))
    put_out(f"{table(results)}\n\n{ceiling_text(found)}", told=kept, json_to=json_to)
    print(f"kept in {keep(kept)}", file=sys.stderr)
    if markdown_to is not None:
        write_file(markdown_to, f"{markdown(results)}\n\n{ceiling_text(found)}\n".encode())
    return 0 if found is not None else 1


async def _measure(cells: tuple[Cell, ...], *, live: Live) -> list[Result]:
    results = []
    async for result in run_grid(cells):
        results.append(result)
        cell = result.cell
        live.say(
            f"{cell.users:>6} users, {cell.tokens_per_event} tok/event: {short_count(result.true_tok_per_s)} tok/s, "
            f"read {100 * result.throughput_error:+.2f} %, {result.verdict}"
        )
    return results
