"""What looks like a secret is hidden or refused, and the refusal does not show it."""

import time
from pathlib import Path

import pytest

from breakeven.hidden import HIDDEN, hidden, hidden_words, is_secret_name, secret_among, secrets_in
from commands import LEVELS, breakeven
from fault_answers import reply
from fault_server import FaultServer
from faults import status

KEY = "sk-Very0Secret1234"
OWN = "plain4key5that6no7pattern8knows"
HUB = "hf_" + "a1B2" * 8


@pytest.mark.parametrize(
    "name",
    [
        *("HF_TOKEN", "OPENAI_API_KEY", "api_key", "--api-key", "--api-keys", "--password", "--hf-token", "--key"),
        *("X-API-Key", "Authorization", "PASSWD", "db_pass", "apikey", "client-secret"),
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("tokens", "max_tokens", "output_tokens", "--max-batched-tokens", "--tokenizer", "--ssl-keyfile", "key"),
        *("api_key_env", "--api-key-env", "compass", "monkey", "usd_per_mtok", "model", "hub_access_env"),
    ],
)
def test_names_of_no_secret(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("http://user:pw@host/v1", "http://(hidden)@host/v1"),
        (f"the key {KEY} is wrong", "the key (hidden) is wrong"),
        (f"-e HF_TOKEN={HUB}", "-e HF_TOKEN=(hidden)"),
        ('{"api_key": "abc"}', '{"api_key": "(hidden)"}'),
        ("Authorization: Bearer abcdefgh1234", "Authorization: (hidden)"),
        ("password=x&user=y", "password=(hidden)&user=y"),
        ("unexpected token: < at 5; 5 tokens=5; max_tokens: 3", None),
        ("org/sk-learn-chat hf_converted_llama3_8b git@github.com:x", None),
    ],
)
def test_a_text_is_kept_without_its_secrets(text: str, kept: str | None) -> None:
    assert hidden(text) == (kept or text)
    assert hidden(hidden(text)) == hidden(text)


@pytest.mark.parametrize(
    "words",
    [
        ("serve", "-k", KEY),
        ("serve", "--password", "hunter2"),
        ("serve", "--hf", HUB),
        ("serve", "api_key=hunter2"),
        ("docker", "-e", "HF_TOKEN=hunter2"),
        ("serve", "--proxy=http://user:hunter2@proxy"),
    ],
)
def test_a_word_that_is_a_secret_is_found_and_named_without_it(words: tuple[str, ...]) -> None:
    found = secret_among(words)
    assert found is not None
    for told in (found, *hidden_words(words), *secrets_in({"command": list(words)})):
        assert not any(secret in told for secret in (KEY, HUB, "hunter2"))


@pytest.mark.parametrize(
    "words", [("--env", "HF_TOKEN"), ("--api-key-env", "X"), ("--label", "key=value"), ("-k", "5")]
)
def test_a_word_that_is_no_secret_is_kept(words: tuple[str, ...]) -> None:
    assert secret_among(words) is None
    assert hidden_words(words) == list(words)


# the command


@pytest.mark.parametrize(
    "words",
    [
        ("--url", f"http://user:{KEY}@127.0.0.1:1"),
        ("--url", f"http://user:{KEY}@127.0.0.1:no"),
        ("--url", "http://127.0.0.1:1", "--api-key", KEY),
        ("--engine", "vllm", "--model", "m", "--engine-command", f"serve -k {KEY}"),
        ("--engine", "vllm", "--model", "m", "--engine-command", f"serve --password {KEY}"),
        ("--engine", "vllm", "--model", f"https://user:{KEY}@hub/m"),
        ("--url", "http://127.0.0.1:1", "--option", f"api_key={KEY}"),
        ("--url", "http://127.0.0.1:1", "--name", KEY),
    ],
)
def test_a_secret_among_the_words_is_refused_and_not_shown(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = breakeven("run", *words, "--out", tmp_path / "runs")
    assert done.code == 2
    assert done.line()
    assert KEY not in done.out + done.err
    assert not (tmp_path / "runs").exists()


def test_a_secret_in_a_plan_file_is_refused_by_its_line(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(f'url = "http://127.0.0.1:1"\n# the key is {KEY}\n')
    done = breakeven("run", plan, "--out", tmp_path / "runs")
    assert done.code == 2
    assert f"{plan}, line 2: something that looks like a secret" in done.line()
    assert KEY not in done.err


@pytest.mark.parametrize(
    "script",
    [
        {"/v1/models": status(500, message=f"who is {OWN}?")},
        {"/v1/models": lambda wire: reply(wire, 200, f'{{"data": [{{"id": "{OWN}"}}, {{"id": "b"}}]}}')},
        {"/v1/models": lambda wire: reply(wire, 200, f'{{"data": [{{"id": "m-{OWN}"}}]}}'), "*": status(404)},
        {"/v1/models": lambda wire: reply(wire, 200, f"<html>{OWN}</html>")},
        {"good": status(400, message=f"no {OWN}")},
    ],
)
def test_a_key_that_a_server_says_again_is_never_shown_or_stored(tmp_path: Path, script: object) -> None:
    answers = {"/metrics": status(404), **script}  # type: ignore[dict-item]
    with FaultServer(answers) as server:
        words = ("run", "--url", server.url, "--api-key-env", "OWN", "--users", "2", "--duration", "1", *LEVELS)
        done = breakeven(*words, "--out", tmp_path, env={"OWN": OWN})
    assert OWN not in done.out + done.err
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and OWN.encode() in path.read_bytes()]


@pytest.mark.parametrize("piece", ["a", "a.", "token:", "sk-", "eyJ-", "eyJaaaaaaaa.", "secret ", "a://", "api_", "x@"])
def test_a_long_text_takes_time_in_proportion_to_its_length(piece: str) -> None:
    """A folder or a server may send megabytes: eight times the text takes about eight times as long, not 64."""

    def took_s(characters: int) -> float:
        text, found = (piece * characters)[:characters], []
        for _ in range(3):
            began_s = time.process_time()
            hidden(text)
            found.append(time.process_time() - began_s)
        return min(found)

    assert took_s(160_000) < 30 * took_s(20_000)


@pytest.mark.parametrize(
    "text", ["my_api_key=abc12345", "HF_TOKEN=abc12345", "x-eyJ eyJabcdefgh.abcdefgh.abc", "sk-ab12345678"]
)
def test_a_secret_is_hidden_whatever_stands_before_its_name(text: str) -> None:
    assert HIDDEN in hidden(text)
