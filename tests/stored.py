"""Records of every shape for tests of the store, and a program of its own to write with."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from breakeven.caution import Caution
from breakeven.record import LevelFacts, Record
from builders import packed

_INTS = st.none() | st.integers(-(2**63), 2**63 - 1)
_SECONDS = st.floats(allow_nan=False, allow_infinity=False)
_TEXTS = st.none() | st.text(max_size=20)
_CHUNKS = st.lists(st.integers(0, 2**32 - 1), max_size=6).map(packed)

RECORDS = st.builds(
    Record,
    user=st.integers(0, 2**31),
    k=st.integers(0, 2**31),
    due_s=_SECONDS,
    sent_s=st.none() | _SECONDS,
    connect_s=st.none() | _SECONDS,
    chunk_us=_CHUNKS,
    chunk_tokens=_CHUNKS,
    end_s=_SECONDS,
    status=st.sampled_from(["done", "cut", "error"]),
    error=_TEXTS,
    error_text=_TEXTS,
    finish_reason=_TEXTS,
    http_status=_INTS,
    input_tokens=_INTS,
    output_tokens=_INTS,
    cached_tokens=_INTS,
    asked_input_tokens=_INTS,
    asked_output_tokens=_INTS,
    reconnected=st.booleans(),
    prompt=_TEXTS,
    measured=st.booleans(),
    client=st.integers(0, 100),
)

_WORDS = st.text(max_size=20)
_NOTES = st.builds(
    Caution,
    id=_WORDS,
    seen=_WORDS,
    advice=_WORDS,
    values=st.dictionaries(_WORDS, st.integers(-(2**63), 2**63 - 1) | _TEXTS, max_size=2),
)
FACTS = st.builds(
    LevelFacts,
    users=st.none() | st.integers(1, 10**6),
    req_per_s_offered=st.none() | _SECONDS,
    arrivals=_TEXTS,
    repeat=st.integers(0, 100),
    start_s=_SECONDS,
    open_s=st.none() | _SECONDS,
    close_s=st.none() | _SECONDS,
    status=st.sampled_from(["done", "interrupted", "failed"]),
    stopped=st.none() | st.sampled_from(["precision", "max", "duration", "requests", "interrupted", "failed"]),
    measured_requests=st.none() | st.integers(1, 10**6),
    think_s=_SECONDS,
    same_host=st.booleans(),
    notes=st.lists(_NOTES, max_size=3).map(tuple),
    extra=st.dictionaries(st.text(max_size=5), st.none() | _SECONDS, max_size=3),
)


def python(program: str, *arguments: object) -> "subprocess.Popen[str]":
    """Start a Python of its own on a program that finds our modules."""
    command: list[Any] = [sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    here = str(Path(__file__).parent)
    program_path = f"import sys; sys.path.insert(0, {here!r})\n"
    command[4] = program_path + program
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
