"""What a coordinator and its clients say to each other, in msgpack; through a pipe in frames, each after its length."""

import asyncio
import struct
from typing import Final

import msgspec
from msgspec import Struct

from breakeven.load.worker import Counts, LevelSpec
from breakeven.record import ClientFacts, Record

REPORT_EVERY_S: Final = 0.1
_LENGTH: Final = struct.Struct("<I")


class Setup(Struct, tag="setup"):
    """The first order to a client. The key travels to it in this way only."""

    client: int
    asking: bytes
    """An `Asking`, pickled."""


class Start(Struct, tag="start"):
    spec: LevelSpec
    users: list[int]


class Open(Struct, tag="open"):
    at_s: float
    measured: int | None


class Cut(Struct, tag="cut"):
    at_s: float


Order = Setup | Start | Open | Cut


class Ready(Struct, tag="ready"):
    """The client has been set up."""


class Report(Struct, tag="report"):
    """What a client has seen since its last report."""

    counts: Counts
    records: list[Record]


class Finish(Struct, tag="finish"):
    """The end of a level: the last records, and how the client did."""

    records: list[Record]
    facts: ClientFacts | None


class Fault(Struct, tag="fault"):
    """A fault of ours; it stops the run."""

    text: str


Word = Ready | Report | Finish | Fault

encode: Final = msgspec.msgpack.Encoder().encode
decode_order: Final = msgspec.msgpack.Decoder(Order).decode
decode_word: Final = msgspec.msgpack.Decoder(Word).decode


def frame(message: Struct) -> bytes:
    """A message with its length."""
    payload = encode(message)
    return _LENGTH.pack(len(payload)) + payload


async def read_frame(reader: asyncio.StreamReader) -> bytes | None:
    """The next payload; None at the end of the pipe."""
    try:
        length = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))[0]
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
