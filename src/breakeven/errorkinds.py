"""Kinds of errors of a request: what each is in words, whose matter it is, how it ranks, and what to do about it.

The client names a kind where something fails; whatever tells kinds apart, or speaks of one, asks its row.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

Whose = Literal["server", "network", "request", "client"]
_SEE_TEXT: Final = "see the column error_text of the records"
_SEE_LOG: Final = "see the server's log, and error_text of the records"
_SEE_WAY: Final = "see the log of the server, and of any proxy before it"
_MAYBE_HTTPS: Final = "if the server speaks https, write {https}"
_TRUST: Final = "to trust an authority of your own, name its PEM file in the variable SSL_CERT_FILE"
_FOLLOW: Final = "give the address that it leads to"
_KEY: Final = "give what error_text of the records asks for, with --api-key-env or --header-env"


class ErrorKind(NamedTuple):
    """A row of ERROR_KINDS."""

    what: str
    """What happened."""
    whose: Whose
    """Where the cause lies, as far as the kind tells."""
    advice: str = _SEE_TEXT
    """What to do where a level has more of it than of any other kind."""
    first: str = ""
    """What to do where it comes instead of the first answer; `{http}` and `{https}` are the server's other address."""
    is_no_server: bool = False
    """Where it comes instead of the first answer, nothing there can be measured."""
    is_refusal: bool = False
    """A field of the request may be what is refused, so the first question is asked again without it."""
    ranks_last: bool = False
    """It enters the latencies as infinitely slow; other errors enter none."""
    suspect: str = ""
    """What a level with such errors is suspected of, with a slot for their number; empty: of nothing."""


UNKNOWN: Final = "unknown"
ERROR_KINDS: Final[dict[str, ErrorKind]] = {
    "timeout": ErrorKind(
        *("no complete answer within --timeout (600 s from due unless given)", "server"),
        "ask with fewer users, or wait longer with --timeout",
        ranks_last=True,
    ),
    "connect": ErrorKind(
        *("no connection: refused, no route, or another failure of the network", "network"),
        "see whether the server runs, and how many connections it takes",
        is_no_server=True,
    ),
    "client_limit": ErrorKind(
        *("no connection, since the client's machine allows no more files or ports (ulimit -n)", "client"),
        "raise ulimit -n, or share the users among --clients N",
        suspect="{late:whole} requests had no connection, since this client's machine allows no more (ulimit -n, "
        "ports)",
    ),
    "certificate": ErrorKind("the server's certificate is not valid", "server", _TRUST, _TRUST, is_no_server=True),
    "tls": ErrorKind(
        *("the TLS handshake failed", "server", _SEE_WAY),
        first="if the server speaks plain http, write {http}",
        is_no_server=True,
    ),
    "reset": ErrorKind("the server reset the connection", "server", _SEE_WAY, _MAYBE_HTTPS, is_no_server=True),
    "closed": ErrorKind(
        *("the server closed the connection before the answer was complete", "server", _SEE_WAY),
        first=_MAYBE_HTTPS,
        is_no_server=True,
    ),
    "bad_http": ErrorKind("what came back is not HTTP", "server", _SEE_WAY, _MAYBE_HTTPS, is_no_server=True),
    "http_3NN": ErrorKind("a redirect; error_text names its target", "request", _FOLLOW, _FOLLOW),
    "http_400": ErrorKind("the server refuses the request", "request", is_refusal=True),
    "http_401": ErrorKind("the server wants a key", "request", _KEY),
    "http_403": ErrorKind("the server allows this to others only", "request", _KEY),
    "http_404": ErrorKind("the server has nothing of this name: the model, or the address", "request"),
    "http_422": ErrorKind("the server refuses a field of the request", "request", is_refusal=True),
    "http_429": ErrorKind(
        *("the server takes no more requests just now, or of this key", "server"),
        "ask with fewer users or a lower --rate, or have the limit raised",
    ),
    "http_4NN": ErrorKind("another refusal of the request", "request"),
    "http_5NN": ErrorKind("the server failed, or could not serve just now", "server", _SEE_LOG),
    "http_NNN": ErrorKind("another status that is no success", "server", _SEE_LOG),
    "not_openai": ErrorKind(
        "a status of success, but neither an event stream nor an answer in JSON, or compressed though we ask for none "
        "of it",
        *("server", "see whether --url is the address of the API"),
        is_no_server=True,
    ),
    "bad_stream": ErrorKind(
        *("the stream broke off in the middle, ended without an end, or sent an event without bounds", "server"),
        _SEE_WAY,
    ),
    "bad_json": ErrorKind("an event in which nothing of the OpenAI API can be read", "server", _SEE_LOG),
    "stream_error": ErrorKind(
        "the server reported an error within the stream, or ended it with finish_reason 'abort' or 'error'",
        *("server", _SEE_LOG),
    ),
    UNKNOWN: ErrorKind("an error of no kind that is known here", "server"),
}


def kind_of(name: str | None) -> ErrorKind:
    """The row of a kind; a status without its own has that of its class, `http_503` that of `http_5NN`."""
    if name in ERROR_KINDS:
        return ERROR_KINDS[name]
    if name is None or not name.startswith("http_"):
        return ERROR_KINDS[UNKNOWN]
    return ERROR_KINDS.get(f"{name[:6]}NN", ERROR_KINDS["http_NNN"])


def commonest(counts: Mapping[str, int]) -> str:
    """The kind that most errors are of; of equal ones the first by name."""
    return min(counts, key=lambda name: (-counts[name], name), default=UNKNOWN)
