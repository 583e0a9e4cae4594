"""A URL is taken apart, or refused in one line; its name is looked up once; the key goes out and never comes back."""

import socket
from pathlib import Path

import pytest

from asking import run
from breakeven.client.target import Access, Target, first_open, parse_url, resolve
from breakeven.errors import RunFailedError, UsageError


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://host:8000", ("http", "host", 8000)),
        ("host:8000", ("http", "host", 8000)),
        ("https://host", ("https", "host", 443)),
        ("http://[::1]:9", ("http", "::1", 9)),
        ("http://bücher.example:1", ("http", "xn--bcher-kva.example", 1)),
    ],
)
def test_a_url_is_taken_apart(url: str, parts: tuple[str, str, int]) -> None:
    found = parse_url(url)
    assert (found.scheme, found.host, found.port) == parts


@pytest.mark.parametrize(
    ("path", "root", "api", "query"),
    [
        ("", "", "/v1", ""),
        ("/", "", "/v1", ""),
        ("/v1", "", "/v1", ""),
        ("/v1/", "", "/v1", ""),
        ("/v1//", "", "/v1", ""),
        ("/v1/chat/completions", "", "/v1", ""),
        ("/v1/chat/completions/", "", "/v1", ""),
        ("/a/b/v1/completions", "/a/b", "/a/b/v1", ""),
        ("/openai", "/openai", "/openai/v1", ""),
        ("/v1beta/openai/", "", "/v1beta/openai", ""),
        ("/api/v3", "/api", "/api/v3", ""),
        ("/api/paas/v4", "/api/paas", "/api/paas/v4", ""),
        ("/chat/completions", "", "", ""),
        (
            "/openai/deployments/d/chat/completions?api-version=1",
            "/openai/deployments/d",
            "/openai/deployments/d",
            "?api-version=1",
        ),
        ("/v1?tenant=a&b=c", "", "/v1", "?tenant=a&b=c"),
        ("/va/v1alpha2", "/va", "/va/v1alpha2", ""),
    ],
)
def test_the_api_is_where_the_address_says(path: str, root: str, api: str, query: str) -> None:
    found = parse_url(f"https://host{path}")
    assert (found.root, found.api, found.query) == (root, api, query)


@pytest.mark.parametrize("url", ["unix:/run/engine.sock", "unix:///run/engine.sock"])
def test_a_unix_socket_has_a_path(url: str) -> None:
    found = parse_url(url)
    assert (found.unix_path, found.api, found.url) == ("/run/engine.sock", "/v1", "unix:/run/engine.sock")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "no http or https URL"),
        ("ftp://host", "no http or https URL"),
        ("http://", "no http or https URL"),
        ("http://host:0", "no http or https URL"),
        ("http://host:99999", "out of range"),
        ("http://host:x", "could not be cast"),
        ("http://[::1", "Invalid IPv6"),
        ("http://me:secret@host", "must not hold a user or password"),
        ("http://host/?api_key=secret", "must not hold a key"),
        ("http://host/?a=b&key=secret", "must not hold a key"),
        ("http://host/#a", "a fragment"),
        ("unix:engine.sock", "names no socket"),
        ("unix:", "names no socket"),
        ("http://host/?a=é", "characters that no URL may have"),
        ("http://host/é", "characters that no URL may have"),
        ("http://host/a b", "characters that no URL may have"),
        ("http://a..b", "characters that no URL may have"),
        (f"http://{'a' * 70}.example", "characters that no URL may have"),
    ],
)
def test_what_is_no_url_of_a_server_is_refused_in_one_line(url: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        parse_url(url)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_name_that_stands_for_nothing_is_told() -> None:
    with pytest.raises(RunFailedError, match=r"'nobody.invalid' resolves nowhere"):
        run(lambda: resolve(Access(url="http://nobody.invalid:8000")))


@pytest.mark.parametrize("key", ["two\nlines", "schlüssel", "a\r\nX-More: 1"])
def test_a_key_that_no_header_may_have_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(UsageError, match="the API key holds characters") as caught:
        run(lambda: resolve(Access(url="http://127.0.0.1:1", api_key=key)))
    assert key not in str(caught.value)


def test_a_file_of_certificates_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"SSL_CERT_FILE=.*No such file"):
        run(lambda: resolve(Access(url="https://127.0.0.1:1", ca_file=str(tmp_path / "none.pem"))))
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(UsageError, match=r"SSL_CERT_FILE=.*PEM"):
        run(lambda: resolve(Access(url="https://127.0.0.1:1", ca_file=str(tmp_path / "bad.pem"))))


def target(**fields: object) -> Target:
    known: dict[str, object] = {
        "access": Access(url=""),
        "url": "",
        "host": "h",
        "port": 80,
        "address": "127.0.0.1",
        "root": "",
        "api": "",
    }
    return Target(**(known | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, b"Host: h"),
        ({"port": 8000}, b"Host: h:8000"),
        ({"host": "::1", "port": 8000}, b"Host: [::1]:8000"),
        ({"api": "/a/v1", "query": "?b=c"}, b"POST /a/v1/x?b=c HTTP/1.1"),
        ({"authorization": "Bearer k"}, b"Authorization: Bearer k"),
        ({"headers": {"X-Tenant": "a"}}, b"X-Tenant: a"),
        ({"headers": {"host": "b"}}, b"host: b"),
        ({}, b"Accept-Encoding: identity"),
    ],
)
def test_the_head_says_where_and_who(fields: dict[str, object], line: bytes) -> None:
    to = target(**fields)
    assert line in to.head("POST", to.to_api("/x")).split(b"\r\n")


def test_a_header_of_the_users_stands_in_place_of_ours() -> None:
    to = target(authorization="Bearer k", headers={"authorization": "Basic b", "USER-AGENT": "mine"})
    head = to.head("POST", "/x").lower()
    assert (head.count(b"authorization:"), head.count(b"user-agent:")) == (1, 1)
    assert b"authorization: basic b" in head


def test_a_target_does_not_show_its_key() -> None:
    secret = target(authorization="Bearer hush", secrets=("hush",))
    assert "hush" not in repr(secret)
    assert secret.hide_key("the key hush is wrong") == "the key [key] is wrong"
    assert target().hide_key("as it is") == "as it is"


def test_every_address_of_a_name_is_tried_until_one_takes_a_connection() -> None:
    with socket.create_server(("127.0.0.2", 0)) as server:
        port = server.getsockname()[1]
        assert run(lambda: first_open(["127.0.0.1", "127.0.0.2", "127.0.0.3"], port)) == "127.0.0.2"
    assert run(lambda: first_open(["127.0.0.1", "127.0.0.2"], port)) is None


def test_secret_headers_are_hidden_as_the_key_is() -> None:
    told = Access(url="http://127.0.0.1:1", api_key="hush", secret_headers={"X-Key": "hush-hush", "X-A": "1"})
    to = run(lambda: resolve(told))
    assert to.hide_key("hush-hush, hush and 1") == "[key], [key] and 1"
    assert "hush" not in repr(told) + repr(to)
