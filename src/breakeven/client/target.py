"""Where requests go: a URL taken apart, its name resolved once, the head of every request built once."""

import asyncio
import re
import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from breakeven import __version__
from breakeven.errors import RunFailedError, UsageError
from breakeven.hidden import is_secret_name
from breakeven.serving import ROUND_ROBIN, Routing

_PORTS: Final = {"http": 80, "https": 443}
_VERSION: Final = re.compile(r"v\d+(?:(?:alpha|beta)\d*)?")
_ENDPOINTS: Final = ("/chat/completions", "/completions")
_UNIX: Final = "unix:"
_TRY_S: Final = 3.0
"""How long one address of a name that has several is waited for."""
_SHORTEST_SECRET: Final = 4
_PROXY_KEY: Final = "proxy-authorization"
_HINT: Final = "write it like http://host:8000"


class Access(Struct, frozen=True, kw_only=True):
    """How a server is reached and asked, as plan and environment say: the one way of such a setting to all clients.

    It is held in memory, and told to clients, only.
    """

    url: str
    api_key: str | None = None
    headers: dict[str, str] = {}
    secret_headers: dict[str, str] = {}
    """Further ones, whose values came from the environment and are never shown."""
    ca_file: str | None = None
    proxy: str | None = None
    """Address of the HTTP proxy that requests go through; the environment's is never used unasked."""
    timeout_s: float = 600.0
    """Longest wait for a whole answer, from when its request was due."""
    also: tuple[str, ...] = ()
    """URLs of further engines of the same deployment."""
    routing: Routing = ROUND_ROBIN
    """Which of them all a request goes to."""

    def __repr__(self) -> str:
        return f"Access({self.url})"


class Target(Struct, frozen=True, kw_only=True):
    """A server, ready to be asked."""

    access: Access
    url: str
    """As it is shown: without a trailing slash, an endpoint, or a `/v1` at its end."""
    host: str
    port: int
    address: str
    """The numeric address that `host` stood for when the run began; of a unix socket its path. That of the proxy, where
    there is one."""
    proxy_port: int | None = None
    """None: connections go straight to the server."""
    root: str
    """Path before the API's version: what the engine offers beside the API is below it."""
    api: str
    """Path of the API, below which `/chat/completions` is."""
    query: str = ""
    """With its question mark; it goes with every request of the API."""
    ssl_context: ssl.SSLContext | None = None
    authorization: str | None = None
    """Value of the Authorization header; held in memory only."""
    headers: Mapping[str, str] = {}
    """Further headers, in place of our own of that name; held in memory only."""
    secrets: tuple[str, ...] = ()
    """What must be shown nowhere, though the server may send it back."""
    beside: tuple["Target", ...] = ()
    """The further engines of its deployment."""

    def __repr__(self) -> str:
        return f"Target({self.url})"

    @property
    def replicas(self) -> tuple["Target", ...]:
        """All engines of the deployment, itself first."""
        return (self, *self.beside)

    def hide_key(self, text: str) -> str:
        """The text without the API key and the values of secret headers."""
        for secret in self.secrets:
            text = text.replace(secret, "[key]")
        return text

    def to_api(self, path: str) -> str:
        """Path and query of something in the API, such as `/models`."""
        return f"{self.api}{path}{self.query}"

    def to_engine(self, path: str) -> str:
        """Path of something that the engine offers beside the API, such as `/metrics`."""
        return f"{self.root}{path}"

    def own_headers(self) -> dict[str, str]:
        """Those by which the server knows whose request it is."""
        authorization = {"Authorization": self.authorization} if self.authorization else {}
        told = {
            name: value for name, value in self.headers.items() if name.lower() != _PROXY_KEY or not self.ssl_context
        }
        return _replaced(authorization, told)

    def has_header(self, name: str) -> bool:
        """The user gave this header."""
        return name.lower() in {given.lower() for given in self.headers}

    def hide_key_in(self, body: bytes) -> bytes:
        """The same for the body of an answer, before anybody reads it."""
        return self.hide_key(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def head(self, method: str, path: str) -> bytes:
        """Request line and headers up to `Content-Length: `."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        ours = {
            "Host": f"{host}{port}",
            "User-Agent": f"breakeven/{__version__}",
            "Accept": "text/event-stream, application/json",
            "Accept-Encoding": "identity",
            "Content-Type": "application/json",
        }
        lines = [f"{name}: {value}" for name, value in _replaced(ours, self.own_headers()).items()]
        place = path if self.proxy_port is None or self.ssl_context is not None else self.origin + path
        return "\r\n".join([f"{method} {place} HTTP/1.1", *lines, "Content-Length: "]).encode("ascii")

    def tunnel_head(self) -> bytes | None:
        """What asks the proxy for a connection of its own, which TLS needs; None where none is needed."""
        if self.proxy_port is None or self.ssl_context is None:
            return None
        place = self.origin.partition("://")[2]
        named = [f"{name}: {value}" for name, value in self.headers.items() if name.lower() == _PROXY_KEY]
        return "\r\n".join([f"CONNECT {place} HTTP/1.1", f"Host: {place}", *named, "", ""]).encode("ascii")

    @property
    def scheme(self) -> str:
        return "https" if self.ssl_context else "http"

    @property
    def unix_path(self) -> str | None:
        """The socket's path; None of a server on the network."""
        return self.address if self.address.startswith("/") else None

    @property
    def origin(self) -> str:
        """Where the server is, without a path; of a unix socket as if it were a port of this machine."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """The server runs on this machine, as far as its address tells."""
        here = self.address.startswith(("127.", "/")) or self.address == "::1"
        return here and self.proxy_port is None


def _replaced(headers: Mapping[str, str], by: Mapping[str, str]) -> dict[str, str]:
    """`headers` and `by`, which goes before: names of headers know no capitals."""
    names = {name.lower() for name in by}
    return {name: value for name, value in headers.items() if name.lower() not in names} | dict(by)


class UrlParts(Struct, frozen=True, kw_only=True):
    scheme: str
    host: str
    port: int
    root: str
    api: str
    query: str = ""
    unix_path: str | None = None

    @property
    def url(self) -> str:
        if self.unix_path is not None:
            return f"{_UNIX}{self.unix_path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.api.removesuffix('/v1')}{self.query}"


def parse_url(url: str) -> UrlParts:
    """Take a URL apart; UsageError where it is no http(s) URL of a server."""
    if url.startswith(_UNIX):
        return _unix_parts(url)
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port
    except ValueError as error:
        raise UsageError(f"--url {url!r}: {error}; {_HINT}") from None
    if parts.scheme not in _PORTS or not parts.hostname or port == 0:
        raise UsageError(f"--url {url!r} is no http or https URL of a server; {_HINT}")
    if parts.username or parts.password:
        raise UsageError("--url must not hold a user or password; put the key into a variable and use --api-key-env")
    _check_query(parts.query)
    if parts.fragment:
        raise UsageError(f"--url {url!r} has a fragment (#…), which no server sees; leave it out")
    try:
        host = parts.hostname.encode("idna").decode() if ":" not in parts.hostname else parts.hostname
        path, query = (part.encode("ascii").decode() for part in (parts.path, parts.query))
        if not (path + query).isprintable() or " " in path + query:
            raise UnicodeError
    except UnicodeError:
        raise UsageError(f"--url {url!r} has characters that no URL may have; {_HINT}") from None
    root, api = _paths(path.rstrip("/"))
    return UrlParts(
        scheme=parts.scheme,
        host=host,
        port=port or _PORTS[parts.scheme],
        root=root,
        api=api,
        query=f"?{query}" if query else "",
    )


def parse_proxy(url: str) -> UrlParts:
    """The address of an HTTP proxy; UsageError where it is none."""
    try:
        parts = parse_url(url)
    except UsageError:
        parts = None
    if parts is None or parts.scheme != "http" or parts.unix_path is not None or parts.query or parts.api != "/v1":
        raise UsageError(
            "--proxy is no address of an HTTP proxy; write it like http://proxy:3128, and give a password, if it wants "
            "one, by --header-env Proxy-Authorization=VARIABLE"
        )
    return parts


def _unix_parts(url: str) -> UrlParts:
    path = "/" + url.removeprefix(_UNIX).lstrip("/")
    if not url.startswith((f"{_UNIX}/", f"{_UNIX}///")) or path == "/" or not path.isprintable():
        raise UsageError(f"--url {url!r} names no socket; write it like unix:/run/engine.sock")
    return UrlParts(scheme="http", host="localhost", port=80, root="", api="/v1", unix_path=path)


def _check_query(query: str) -> None:
    for name, _ in parse_qsl(query, keep_blank_values=True):
        if is_secret_name(f"?{name}"):  # in a query also a bare `key` is one
            raise UsageError(
                f"--url must not hold a key ('{name}'): it would be stored with the run; put it into a variable; see "
                "--api-key-env or --header-env"
            )


def _paths(path: str) -> tuple[str, str]:
    """The path before the API's version, and the API's: `/v1` only where the address names no version and no endpoint.

    `` -> ``, `/v1`; `/api/v3` -> `/api`, `/api/v3`; `/deployments/x/chat/completions` -> both `/deployments/x`.
    """
    end = next((end for end in _ENDPOINTS if path.endswith(end)), "")
    base = path.removesuffix(end)
    parts = base.split("/")
    at = next((at for at, part in enumerate(parts) if _VERSION.fullmatch(part)), None)
    root = base if at is None else "/".join(parts[:at])
    return root, base if end or at is not None else f"{base}/v1"


def _tls(ca_file: str | None) -> ssl.SSLContext:
    """What a certificate is checked with; UsageError where `ca_file` cannot be read."""
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(
            f"SSL_CERT_FILE={ca_file}: {error.strerror or error}; name a file of PEM certificates"
        ) from None


async def resolve(to: Access) -> Target:
    """Look the host's name up once; RunFailedError where it stands for no address."""
    parts = parse_url(to.url)
    proxy = None if to.proxy is None else parse_proxy(to.proxy)
    key = to.api_key
    if key is not None and not (key.isascii() and key.isprintable()):
        raise UsageError("the API key holds characters that no HTTP header may have; check the variable")
    secrets = (*((key,) if key else ()), *(one for one in to.secret_headers.values() if len(one) >= _SHORTEST_SECRET))
    return Target(
        access=to,
        url=parts.url,
        host=parts.host,
        port=parts.port,
        address=parts.unix_path or await _address(proxy or parts, url=to.proxy or to.url),
        proxy_port=None if proxy is None else proxy.port,
        root=parts.root,
        api=parts.api,
        query=parts.query,
        ssl_context=_tls(to.ca_file) if parts.scheme == "https" else None,
        authorization=f"Bearer {key}" if key else None,
        headers=to.headers | to.secret_headers,
        secrets=tuple(sorted(secrets, key=len, reverse=True)),
        beside=tuple([await resolve(replace(to, url=url, also=())) for url in to.also]),
    )


async def _address(parts: UrlParts, *, url: str) -> str:
    """The first address of the name that takes a connection, or the first of all; IPv4 goes before IPv6."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(parts.host, parts.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RunFailedError(f"{url}: the name '{parts.host}' resolves nowhere ({reason}); check the URL") from None
    known = sorted(found, key=lambda one: one[0] != socket.AF_INET)
    addresses = list(dict.fromkeys(str(one[4][0]) for one in known))
    return await first_open(addresses, parts.port) or addresses[0]


async def first_open(addresses: Sequence[str], port: int) -> str | None:
    """Tried one after the other, only where there is a choice."""
    if len(addresses) == 1:
        return addresses[0]
    loop = asyncio.get_running_loop()
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.setblocking(False)
            try:
                async with asyncio.timeout(_TRY_S):
                    await loop.sock_connect(tried, (address, port))
            except OSError:  # TimeoutError is one
                continue
            return address
    return None
