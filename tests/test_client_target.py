"""A URL is taken apart, or refused in one line; its name is looked up once; the key goes out and never comes back."""

from pathlib import Path

import pytest

from asking import run
from breakeven.client.target import Target, parse_url, resolve
from breakeven.errors import RunFailedError, UsageError


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("http://host:8000", ("http", "host", 8000, "")),
        ("host:8000", ("http", "host", 8000, "")),
        ("https://host", ("https", "host", 443, "")),
        ("http://host/v1/", ("http", "host", 80, "")),
        ("http://host/v1/chat/completions", ("http", "host", 80, "")),
        ("http://host/a/b/v1/completions", ("http", "host", 80, "/a/b")),
        ("http://[::1]:9", ("http", "::1", 9, "")),
        ("http://bücher.example:1", ("http", "xn--bcher-kva.example", 1, "")),
    ],
)
def test_a_url_is_taken_apart(url: str, parts: tuple[str, str, int, str]) -> None:
    found = parse_url(url)
    assert (found.scheme, found.host, found.port, found.prefix) == parts


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
        ("http://host/?a=b", "query or fragment"),
        ("http://host/#a", "query or fragment"),
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
        run(lambda: resolve("http://nobody.invalid:8000"))


@pytest.mark.parametrize("key", ["two\nlines", "schlüssel", "a\r\nX-More: 1"])
def test_a_key_that_no_header_may_have_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(UsageError, match="the API key holds characters") as caught:
        run(lambda: resolve("http://127.0.0.1:1", api_key=key))
    assert key not in str(caught.value)


def test_a_file_of_certificates_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"SSL_CERT_FILE=.*No such file"):
        run(lambda: resolve("https://127.0.0.1:1", ca_file=str(tmp_path / "none.pem")))
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(UsageError, match=r"SSL_CERT_FILE=.*PEM"):
        run(lambda: resolve("https://127.0.0.1:1", ca_file=str(tmp_path / "bad.pem")))


def target(**fields: object) -> Target:
    known: dict[str, object] = {"url": "", "host": "h", "port": 80, "address": "127.0.0.1", "prefix": ""}
    return Target(**(known | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({}, b"Host: h"),
        ({"port": 8000}, b"Host: h:8000"),
        ({"host": "::1", "port": 8000}, b"Host: [::1]:8000"),
        ({"prefix": "/a"}, b"POST /a/v1/x HTTP/1.1"),
        ({"authorization": "Bearer k"}, b"Authorization: Bearer k"),
    ],
)
def test_the_head_says_where_and_who(fields: dict[str, object], line: bytes) -> None:
    assert line in target(**fields).head("POST", "/v1/x").split(b"\r\n")


def test_a_target_does_not_show_its_key() -> None:
    secret = target(authorization="Bearer hush")
    assert "hush" not in repr(secret)
    assert secret.hide_key("the key hush is wrong") == "the key [key] is wrong"
    assert target().hide_key("as it is") == "as it is"
