"""The real command says to the server what the user wants said: headers, fields, models; no secret is kept."""

import contextlib
import json
import socket
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from breakeven.cli import main
from breakeven.record import request_id
from breakeven.store.folder import RunFolder
from commands import Done, breakeven, run_folder
from fault_answers import answer, reply
from fault_server import FaultServer
from fault_wire import Play, Received, Wire
from faults import status

RUN = ("--warmup", "0.3", "--ramp", "0.1", "--duration", "1", "--output-tokens", "8", "--json", "-")
LOADS: Mapping[str, tuple[str, ...]] = {
    "closed": ("--users", "2"),
    "two clients": ("--users", "2", "--clients", "2"),
    "open": ("--rate", "10"),
}
SECRET = "hush-0123456789"


def idle(wire: Wire) -> None:
    reply(wire, 200, "vllm:num_requests_running 0\nvllm:num_requests_waiting 0\n", kind="text/plain")


def measured(
    script: Play | Mapping[str, Any] | None, *words: object, out: Path, **more: Any
) -> tuple[Done, list[Received]]:
    """A run against a server with this script; what it was asked for."""
    env = more.pop("env", None)
    load = more.pop("load", LOADS["closed"])
    path = more.pop("path", "")
    known: Mapping[str, Any] = {} if script is None else script if isinstance(script, Mapping) else {"good": script}
    with FaultServer({"/metrics": idle, "good": answer(), **known}, **more) as server:
        done = breakeven("run", "--url", server.url + path, *load, *RUN, *words, "--out", out, env=env)
        return done, list(server.requests)


def asked(requests: Sequence[Received]) -> list[Received]:
    return [request for request in requests if request.asks]


def needs(header: str, value: str, then: Play) -> Play:
    """403, which names the header, without it."""
    refuse = status(403, message=f"the header {header} is missing")
    return lambda wire: (then if wire.request.headers.get(header.lower()) == value else refuse)(wire)


@pytest.mark.parametrize("load", LOADS)
def test_every_request_has_an_id_that_its_record_tells(load: str, tmp_path: Path) -> None:
    """Of what was cut at the end the server may not have read all."""
    done, requests = measured(None, out=tmp_path / "runs", load=LOADS[load])
    assert done.code == 0, done.err
    seen = [name for request in asked(requests) if (name := request.headers.get("x-request-id")) is not None]
    records = [
        (facts, record) for facts, found in RunFolder(run_folder(tmp_path / "runs")).levels() for record in found
    ]
    known = {request_id(facts, record): record.status for facts, record in records}
    assert len(seen) == len(set(seen))
    assert len(known) == len(records)
    assert {name for name, status in known.items() if status == "done"} <= set(seen) <= set(known)
    assert all(name.startswith("breakeven-") for name in seen)


def test_an_id_of_the_user_s_own_is_left_as_it_is(tmp_path: Path) -> None:
    done, requests = measured(None, "--header", "x-request-id=mine", out=tmp_path / "runs")
    assert done.code == 0, done.err
    assert {request.headers["x-request-id"] for request in asked(requests)} == {"mine"}
    [(facts, records)] = RunFolder(run_folder(tmp_path / "runs")).levels()
    assert {request_id(facts, record) for record in records} == {None}


@pytest.mark.parametrize("load", LOADS)
def test_headers_and_fields_go_with_every_request_and_are_kept(load: str, tmp_path: Path) -> None:
    (tmp_path / "more.json").write_text('{"tools": [{"type": "function"}], "top_p": 0.5}')
    words = ("--header", "X-Tenant=a b", "--header", "User-Agent=mine", "--body", "temperature=0.5", "--body", "seed=7")
    more = ("--body", f"{tmp_path / 'more.json'}", "--body", "top_p=0.9", "--body", "user=me")
    secret = ("--header-env", "X-Api-Key=SOME_KEY")
    done, requests = measured(
        needs("X-Tenant", "a b", needs("X-Api-Key", SECRET, answer())),
        *words, *more, *secret, out=tmp_path / "runs", load=LOADS[load], env={"SOME_KEY": SECRET},
    )  # fmt: skip
    assert done.code == 0, done.err
    for request in asked(requests):
        assert request.headers["user-agent"] == "mine"
        assert request.headers["accept-encoding"] == "identity"
        assert {name: request.json[name] for name in ("temperature", "seed", "top_p", "user")} == {
            "temperature": 0.5, "seed": 7, "top_p": 0.9, "user": "me",
        }  # fmt: skip
        assert request.json["tools"] == [{"type": "function"}]
    assert all("x-api-key" in request.headers for request in requests)  # of models and metrics too
    settings = done.json["run"]["settings"]
    assert settings["headers"] == {"X-Tenant": "a b", "User-Agent": "mine"}
    assert settings["headers_env"] == {"X-Api-Key": "SOME_KEY"}
    assert settings["body"]["top_p"] == 0.9
    kept = [file for file in (tmp_path / "runs").rglob("*") if file.is_file()]
    assert not [file for file in kept if SECRET.encode() in file.read_bytes()]
    assert SECRET not in done.err + done.out


def test_what_a_request_says_is_compared(tmp_path: Path) -> None:
    for name, body in (("a", "temperature=0"), ("b", "temperature=1")):
        done, _ = measured(None, "--body", body, "--name", name, out=tmp_path / name)
        assert done.code == 0, done.err
    told = breakeven("compare", run_folder(tmp_path / "a"), run_folder(tmp_path / "b"))
    assert "the settings differ (body: A {'temperature': 0}, B {'temperature': 1})" in " ".join(told.out.split())


def test_a_plan_says_the_same(tmp_path: Path) -> None:
    with FaultServer({"/metrics": idle, "good": needs("X-Tenant", "a", answer())}) as server:
        plan = tmp_path / "plan.toml"
        plan.write_text(
            f'url = "{server.url}"\nusers = [2]\nduration_s = 1\nwarmup_s = 0.3\nramp_s = 0.1\noutput_tokens = 8\n'
            'headers = { X-Tenant = "a" }\nheaders_env = { X-Key = "SOME_KEY" }\n'
            "body = { temperature = 0.5, response_format = { type = 'json_object' } }\n"
        )
        done = breakeven("run", plan, "--out", tmp_path / "runs", "--json", "-", env={"SOME_KEY": SECRET})
        assert done.code == 0, done.err
        assert all(request.json["response_format"] == {"type": "json_object"} for request in server.asked)
        assert all(request.headers["x-key"] == SECRET for request in server.asked)


def test_a_study_says_the_same(tmp_path: Path) -> None:
    with FaultServer({"/metrics": idle, "good": needs("X-Tenant", "a", answer())}) as server:
        plan = tmp_path / "plan.toml"
        plan.write_text(
            f'[[engines]]\nname = "box"\nengine = "openai"\nurl = "{server.url}"\nheaders = {{ X-Tenant = "a" }}\n'
            '[[workloads]]\nname = "cold"\noutput_tokens = 8\nbody = { temperature = 0 }\n'
            '[[workloads]]\nname = "hot"\noutput_tokens = 8\nbody = { temperature = 1 }\n'
            "[levels]\nusers = [2]\nduration_s = 1\nwarmup_s = 0.3\nramp_s = 0.1\n"
        )
        done = breakeven("run", plan, "--out", tmp_path / "runs")
        assert done.code == 0, done.err
        assert {request.json["temperature"] for request in server.asked} == {0, 1}


# several models


@pytest.mark.parametrize("load", LOADS)
def test_several_models_are_asked_for_by_their_shares(load: str, tmp_path: Path) -> None:
    listed = json.dumps({"data": [{"id": "small"}, {"id": "large"}]})
    script: dict[str, Any] = {
        "/v1/models": lambda wire: reply(wire, 200, listed),
        "*": answer(ttft_s=0.002, itl_s=0.0005),
    }
    done, requests = measured(
        script, "--model", "small=3,large=1", out=tmp_path, load=LOADS[load] if load != "open" else ("--rate", "300")
    )
    assert done.code == 0, done.err
    assert done.json["run"]["model"] == "small, large"
    models = Counter(request.model for request in asked(requests))
    assert models["small"] / models.total() == pytest.approx(0.75, abs=0.12)
    assert models.total() > 100
    assert run_folder(tmp_path).name.endswith("-openai-small-large")
    assert set(_models_of(run_folder(tmp_path))) == {"small", "large"}


def _models_of(folder: Path) -> list[str | None]:
    from breakeven.store.folder import RunFolder

    return [record.model for _, records in RunFolder(folder).levels() for record in records]


def test_each_of_several_models_must_answer(tmp_path: Path) -> None:
    listed = json.dumps({"data": [{"id": "small"}]})
    script: dict[str, Any] = {
        "/v1/models": lambda wire: reply(wire, 200, listed),
        "small": answer(),
        "large": status(404),
    }
    done, _ = measured(script, "--model", "small=3,large=1", out=tmp_path)
    assert (done.code, "knows no model 'large'; it serves: small" in done.line()) == (1, True)


# fields that a server refuses


def refusing(*fields: str, code: int, text: str) -> Play:
    def play(wire: Wire) -> None:
        found = next((field for field in fields if field in wire.request.json), None)
        (answer() if found is None else status(code, message=text.format(field=found)))(wire)

    return play


UNNAMED = "Invalid request"


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize(
    ("play", "left_out", "cautions"),
    [
        (
            refusing("max_tokens", code=400, text="Unsupported: '{field}'. Use 'max_completion_tokens' instead."),
            {"max_tokens"},
            {"field_replaced"},
        ),
        (refusing("stream_options", code=422, text="{field}: not permitted"), {"stream_options"}, {"field_dropped"}),
        (refusing("stream_options", code=400, text=UNNAMED), {"stream_options"}, {"field_dropped"}),
    ],
)  # fmt: skip
def test_a_refused_field_is_replaced_or_left_out_and_said(
    play: Play, left_out: set[str], cautions: set[str], load: str, tmp_path: Path
) -> None:
    done, requests = measured(play, out=tmp_path, load=LOADS[load])
    assert done.code == 0, done.err
    assert done.caution_ids(0) & {"field_replaced", "field_dropped", "first_request", "errors"} == cautions
    first, *others = asked(requests)
    assert left_out <= first.json.keys()
    for request in others:
        assert not left_out & request.json.keys()
        assert ("max_completion_tokens" in request.json) == ("max_tokens" in left_out)


def test_a_refusal_for_another_reason_changes_no_field(tmp_path: Path) -> None:
    text = "'max_tokens' or 'max_completion_tokens' is too large: 8"
    done, requests = measured(status(400, message=text), out=tmp_path)
    assert done.code == 1
    assert f"x http_400: {text}" in " ".join(done.err.split())
    assert all("max_tokens" in request.json for request in asked(requests)[2:])


# addresses


def place(request: Received) -> str:
    return request.path + ("?" + request.query if request.query else "")


@pytest.mark.parametrize(
    ("path", "asks", "lists"),
    [
        ("", "/v1/chat/completions", "/v1/models"),
        ("/v1/", "/v1/chat/completions", "/v1/models"),
        ("/v1beta/openai", "/v1beta/openai/chat/completions", "/v1beta/openai/models"),
        ("/api/v3/", "/api/v3/chat/completions", "/api/v3/models"),
        ("/d/chat/completions?api-version=1", "/d/chat/completions?api-version=1", "/d/models?api-version=1"),
    ],
)
@pytest.mark.parametrize("clients", ["1", "2"])
def test_an_address_is_taken_as_it_is_meant(path: str, asks: str, lists: str, clients: str, tmp_path: Path) -> None:
    done, requests = measured(None, "--clients", clients, out=tmp_path, path=path)
    assert done.code == 0, done.err
    assert {place(request) for request in asked(requests)} == {asks}
    assert [place(request) for request in requests if request.path.endswith("/models")] == [lists]


@pytest.mark.parametrize("load", LOADS)
def test_a_server_on_a_unix_socket_is_measured(load: str, tmp_path: Path) -> None:
    done, requests = measured(None, out=tmp_path, load=LOADS[load], unix=True)
    assert done.code == 0, done.err
    (level,) = done.json["levels"]
    assert (level["errors"], level["client"]["kernel_stamped"]) == (0, 0.0)
    assert level["distributions"]["ttft_s"]["p50"]["value"] == pytest.approx(0.02, rel=0.6)
    assert level["output_tok_per_s"]["value"] == pytest.approx(level["req_per_s"]["value"] * 8, rel=0.2)
    assert sum(request.path == "/metrics" for request in requests) >= 2


# models


@pytest.mark.parametrize(
    ("listed", "words", "caution"),
    [
        ('[{"id": "good"}]', (), set()),
        ('{"object": "list", "data": [{"id": "good"}, {"id": "lora", "parent": "good"}]}', (), set()),
        ('{"data": [{"id": "smol"}]}', ("--model", "good"), {"model_not_listed"}),
        ('{"data": null}', ("--model", "good"), {"model_not_listed"}),
        ("no list", ("--model", "good"), {"model_unchecked"}),
    ],
)
def test_the_list_of_models_is_read_and_what_it_lacks_is_said(
    listed: str, words: tuple[str, ...], caution: set[str], tmp_path: Path
) -> None:
    done, _ = measured({"/v1/models": lambda wire: reply(wire, 200, listed)}, *words, out=tmp_path)
    assert done.code == 0, done.err
    assert done.json["run"]["model"] == "good"
    assert done.caution_ids(0) & {"model_not_listed", "model_unchecked"} == caution


# errors that teach


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (status(400, message="you must provide a chat template"), "no chat template: ask it with --api completions"),
        (needs("X-Tenant", "a", answer()), "by --header X-Tenant=VALUE, or --header-env X-Tenant=VARIABLE"),
        (status(403, message="forbidden"), "put the key into an environment variable and name it with --api-key-env"),
        (status(307, more="Location: https://other.example/v1/chat/completions\r\n"),
         "answers 307, a redirect to https://other.example/v1/chat/completions; give the address that it leads to"),
        (status(404), "--url may also be the whole address that ends in /chat/completions"),
    ],
)  # fmt: skip
def test_a_first_answer_that_is_none_says_what_to_do(script: Play, says: str, tmp_path: Path) -> None:
    done, _ = measured(script, out=tmp_path / "runs")
    assert (done.code, says in done.line()) == (1, True), done.err


def test_a_key_that_the_list_of_models_repeats_is_hidden(tmp_path: Path) -> None:
    listed = json.dumps({"data": [{"id": f"{SECRET}-a"}, {"id": f"{SECRET}-b"}]})
    script = {"/v1/models": lambda wire: reply(wire, 200, listed)}
    done, _ = measured(script, "--api-key-env", "SOME_KEY", out=tmp_path / "runs", env={"SOME_KEY": SECRET})
    assert "serves several models; choose one with --model: [key]-a, [key]-b" in done.line()
    assert SECRET not in done.err


@pytest.mark.parametrize("code", [301, 307, 308])
def test_a_list_of_models_that_moved_names_where_to(code: int, tmp_path: Path) -> None:
    moved = status(code, more="Location: https://other.example/v1/models\r\n")
    done, _ = measured({"/v1/models": moved}, out=tmp_path / "runs")
    assert "a redirect to https://other.example/v1/models; give the address that it leads to" in done.line()


@pytest.mark.parametrize("path", ["/v1/models", "good"])
def test_a_compressed_answer_names_its_compression(path: str, tmp_path: Path) -> None:
    done, _ = measured({path: status(200, more="Content-Encoding: gzip\r\n")}, out=tmp_path / "runs")
    assert (done.code, "the answer comes compressed (gzip), though it was asked for as it is" in done.line()) == (
        1,
        True,
    )


def test_a_key_that_is_refused_is_not_asked_for_again(tmp_path: Path) -> None:
    env = {"SOME_KEY": SECRET}
    done, _ = measured(status(401, message=SECRET), "--api-key-env", "SOME_KEY", out=tmp_path / "runs", env=env)
    assert "answers 401 ([key]); a key was sent, and it is not good for this" in done.line()


def test_http_to_a_server_of_https_is_told(tmp_path: Path) -> None:
    with FaultServer(tls="good") as server:
        done = breakeven("run", "--url", server.url.replace("https", "http"), "--out", tmp_path / "runs")
    assert (done.code, f"if the server speaks https, write {server.url}" in done.line()) == (1, True), done.err


def test_https_to_a_server_of_http_is_told(tmp_path: Path) -> None:
    def refuse() -> None:
        connected, _ = listener.accept()
        with connected:
            connected.recv(4096)
            connected.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = f"127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=refuse)
        thread.start()
        done = breakeven("run", "--url", f"https://{where}", "--out", tmp_path / "runs")
        thread.join()
    assert (done.code, f"if the server speaks plain http, write http://{where}" in done.line()) == (1, True), done.err


def test_a_certificate_of_ones_own_is_told_how_to_trust(tmp_path: Path) -> None:
    done, _ = measured(None, out=tmp_path / "runs", tls="good")
    assert "name its PEM file in the variable SSL_CERT_FILE" in done.line()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--header", "Authorization=Bearer hush"), "--header: Authorization would be stored with the run"),
        (("--header", "api-key=hush"), "api-key would be stored with the run; put it into a variable"),
        (("--header", "hush"), "--header: write NAME, =, and what belongs to it"),
        (("--header", "Content-Length=hush"), "'Content-Length' is no header that can be added"),
        (("--header", "a b=hush"), "is no header that can be added"),
        (("--header", "X-A=hush\r\nX-B: 1"), "the value of X-A holds characters that no HTTP header may have"),
        (
            ("--header-env", "X-Key=NO_SUCH_VARIABLE"),
            "--header-env X-Key=NO_SUCH_VARIABLE: no such environment variable",
        ),
        (("--body", "messages=[]"), "messages are the workload's"),
        (("--body", "max_tokens=5"), "max_tokens is given by --output-tokens"),
        (("--body", "n=2"), "n is always 1"),
        (("--body", "api_key=hush"), "api_key would be stored with the run"),
        (("--body", "stop=null"), "stop holds null"),
        (("--body", "nowhere.json"), "nowhere.json: No such file or directory; give KEY=VALUE, or a file of JSON"),
        (("--model", "a=1,b=0"), "every share is more than 0"),
        (("--model", "a=1,a=1"), "a name stands twice"),
        (("--proxy", "http://me:hush@h:1"), "--proxy is no address of an HTTP proxy"),
        (("--proxy", "https://h:1"), "--proxy is no address of an HTTP proxy"),
        (("--url", "http://h/?api_key=hush"), "--url must not hold a key ('api_key')"),
    ],
)
def test_what_cannot_be_asked_is_one_line_that_shows_no_secret(
    words: tuple[str, ...],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(("run", "--url", "http://h", *words)) == 2
    seen = capsys.readouterr()
    assert says in seen.err
    assert seen.err.count("\n") == 1
    assert "hush" not in seen.err
    assert list(tmp_path.iterdir()) == []


# a proxy


class Proxy(threading.Thread):
    """A real forwarding proxy for http (absolute addresses) and https (CONNECT); keeps what it was asked for."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.lines: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        self.lines.append(head.partition(b"\r\n")[0].decode())
        method, place, _ = head.split(b" ", 2)
        where = place.decode().removeprefix("http://").partition("/")
        host, _, port = where[0].partition(":")
        with client, socket.create_connection((host, int(port))) as server:
            if method == b"CONNECT":
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                server.sendall(head.replace(place, b"/" + where[2].encode(), 1))
            back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
            back.start()
            self._pump(client, server)
            back.join()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("clients", ["1", "2"])
@pytest.mark.parametrize("tls", [None, "good"])
def test_a_proxy_is_used_when_it_is_asked_for(tls: Any, clients: str, tmp_path: Path) -> None:
    proxy = Proxy()
    proxy.start()
    with FaultServer({"/metrics": idle, "good": answer(end="close")}, tls=tls) as server:
        env = {"SSL_CERT_FILE": str(server.ca_file)} if tls else {}
        words = ("--clients", clients, "--proxy", proxy.url, "--out", tmp_path)
        done = breakeven("run", "--url", server.url, *LOADS["closed"], *RUN, *words, env=env)
    proxy.stop()
    assert done.code == 0, done.err
    assert done.json["levels"][0]["errors"] == 0
    begins = f"CONNECT 127.0.0.1:{server.port} " if tls else f"POST {server.url}/v1/chat/completions "
    assert sum(line.startswith(begins) for line in proxy.lines) > 10


def test_the_proxy_of_the_environment_is_not_used_unasked(tmp_path: Path) -> None:
    env = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
    done, _ = measured(None, out=tmp_path, env=env)
    assert done.code == 0, done.err
    assert done.json["levels"][0]["errors"] == 0


def test_a_proxy_that_refuses_is_told(tmp_path: Path) -> None:
    with FaultServer(status(407)) as proxy, FaultServer(tls="good") as server:
        env = {"SSL_CERT_FILE": str(server.ca_file)}
        done = breakeven("run", "--url", server.url, "--proxy", proxy.url, "--out", tmp_path / "runs", env=env)
    assert (done.code, "the proxy answers HTTP/1.1 404" in done.line()) == (1, True), done.err
