"""Where requests go: a URL taken apart, its name resolved once, the head of every request built once."""

import asyncio
import socket
import ssl
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from breakeven import __version__
from breakeven.errors import RunFailedError, UsageError

_PORTS: Final = {"http": 80, "https": 443}


class Target(Struct, frozen=True, kw_only=True):
    """A server, ready to be asked."""

    url: str
    """Without `/v1`, a trailing slash, or a user and password."""
    host: str
    port: int
    address: str
    """The numeric address that `host` stood for when the run began."""
    prefix: str
    """Path before `/v1`."""
    ssl_context: ssl.SSLContext | None = None
    authorization: str | None = None
    """Value of the Authorization header; held in memory only."""

    def __repr__(self) -> str:
        return f"Target({self.url})"

    def hide_key(self, text: str) -> str:
        """The text without the API key: a server may send it back."""
        key = (self.authorization or "").removeprefix("Bearer ")
        return text.replace(key, "[key]") if key else text

    def hide_key_in(self, body: bytes) -> bytes:
        """The same for the body of an answer, before anybody reads it."""
        return self.hide_key(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def head(self, method: str, path: str) -> bytes:
        """Request line and headers up to `Content-Length: `, for `body_head`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        lines = [
            f"{method} {self.prefix}{path} HTTP/1.1",
            f"Host: {host}{port}",
            f"User-Agent: breakeven/{__version__}",
            "Accept: text/event-stream, application/json",
            *([f"Authorization: {self.authorization}"] if self.authorization else []),
            "Content-Type: application/json",
            "Content-Length: ",
        ]
        return "\r\n".join(lines).encode("ascii")

    @property
    def scheme(self) -> str:
        return "https" if self.ssl_context else "http"

    @property
    def is_local(self) -> bool:
        """The server runs on this machine, as far as its address tells."""
        return self.address.startswith("127.") or self.address == "::1"


class UrlParts(Struct, frozen=True):
    scheme: str
    host: str
    port: int
    prefix: str

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"


def parse_url(url: str) -> UrlParts:
    """Take a URL apart; UsageError where it is no http(s) URL of a server."""
    hint = "write it like http://host:8000"
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port
    except ValueError as error:
        raise UsageError(f"--url {url!r}: {error}; {hint}") from None
    if parts.scheme not in _PORTS or not parts.hostname or port == 0:
        raise UsageError(f"--url {url!r} is no http or https URL of a server; {hint}")
    if parts.username or parts.password:
        raise UsageError("--url must not hold a user or password; put the key into a variable and use --api-key-env")
    if parts.query or parts.fragment:
        raise UsageError(f"--url {url!r} has a query or fragment; give the server's base address, {hint}")
    try:
        host = parts.hostname.encode("idna").decode() if ":" not in parts.hostname else parts.hostname
        prefix = parts.path.encode("ascii").decode()
        if not prefix.isprintable() or " " in prefix:
            raise UnicodeError
    except UnicodeError:
        raise UsageError(f"--url {url!r} has characters that no URL may have; {hint}") from None
    for end in ("/", "/completions", "/chat", "/v1", "/"):
        prefix = prefix.removesuffix(end)
    return UrlParts(parts.scheme, host, port or _PORTS[parts.scheme], prefix)


def _tls(ca_file: str | None) -> ssl.SSLContext:
    """What a certificate is checked with; UsageError where `ca_file` cannot be read."""
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(
            f"SSL_CERT_FILE={ca_file}: {error.strerror or error}; name a file of PEM certificates"
        ) from None


async def resolve(url: str, *, api_key: str | None = None, ca_file: str | None = None) -> Target:
    """Look the host's name up once; RunFailedError where it stands for no address."""
    parts = parse_url(url)
    loop = asyncio.get_running_loop()
    try:
        found: list[Any] = await loop.getaddrinfo(parts.host, parts.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RunFailedError(f"{url}: the name '{parts.host}' resolves nowhere ({reason}); check the URL") from None
    address = next((one[4][0] for one in found if one[0] == socket.AF_INET), found[0][4][0])
    if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
        raise UsageError("the API key holds characters that no HTTP header may have; check the variable")
    return Target(
        url=parts.url,
        host=parts.host,
        port=parts.port,
        address=address,
        prefix=parts.prefix,
        ssl_context=_tls(ca_file) if parts.scheme == "https" else None,
        authorization=f"Bearer {api_key}" if api_key else None,
    )
