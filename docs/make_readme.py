"""Print what the commands print into README.md: `python docs/make_readme.py`, with the prices that are shipped."""

import contextlib
import io
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from breakeven.cli import main

ROOT: Final = Path(__file__).parent.parent
PAGE: Final = ROOT / "README.md"
_STUDY: Final = "examples/cpu-llamacpp-vs-vllm"
_RUNS: Final = f"{_STUDY}/smollm2-135m-llamacpp-chat {_STUDY}/smollm2-135m-vllm-chat"


class Block(NamedTuple):
    """What stands between `<!-- name -->` and `<!-- end of name -->`."""

    commands: tuple[str, ...]
    cut: Callable[[str], str]
    """What of a command's output is shown."""
    is_fenced: bool = True
    with_commands: bool = False


def _paragraphs(count: int) -> Callable[[str], str]:
    return lambda text: "\n\n".join(text.split("\n\n")[:count])


BLOCKS: Final = {
    "choose": Block(
        (
            "choose --model llama-3.1-8b --floor 25 --gpus h100-sxm,a100-80,l40s,rtx4090",
            "choose --model llama-3.1-70b --floor 25 --gpus h100-sxm,a100-80,l40s,rtx4090",
        ),
        lambda text: text.rpartition("\nprices: ")[0].rstrip(),
        with_commands=True,
    ),
    "cost": Block(
        tuple(f"cost --preset {preset} --ranges default" for preset in ("nosana-2024", "self-host")),
        _paragraphs(1),
        with_commands=True,
    ),
    "compare": Block((f"compare {_RUNS} --floor 12",), _paragraphs(4)),
    "report": Block(
        (f"report {_RUNS} --scenario {_STUDY}/prices.toml --floor 12 --md -",),
        lambda text: text.partition("\n\n<details>")[0],
        is_fenced=False,
    ),
}


def printed(block: Block) -> str:
    """What the block's commands print now."""
    texts = []
    for command in block.commands:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            assert main(command.split()) == 0, command
        head = f"$ breakeven {command}\n" if block.with_commands else ""
        texts.append(head + block.cut(out.getvalue()).rstrip("\n"))
    body = "\n".join(texts)
    return f"```\n{body}\n```" if block.is_fenced else body


def filled(text: str) -> str:
    """The page with every block as the program prints it now."""
    for name, block in BLOCKS.items():
        ends = rf"(<!-- {name} -->\n).*?(\n<!-- end of {name} -->)"
        assert re.search(ends, text, re.DOTALL), name
        text = re.sub(ends, lambda found, b=block: found[1] + printed(b) + found[2], text, flags=re.DOTALL)  # type: ignore[misc]
    return text


if __name__ == "__main__":
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as empty:
        os.environ["BREAKEVEN_CACHE"] = empty
        PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
