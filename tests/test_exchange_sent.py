"""Runs sent to a collector of OpenTelemetry: every request a span, every figure a gauge."""

import struct
from pathlib import Path
from typing import Any

import pytest

from breakeven.errors import RunFailedError
from breakeven.exchange import EXPORTERS, SENDERS, send_run
from breakeven.metrics.summary import Distribution, Estimate, LevelSummary, Quantile, RunFacts, RunSummary
from breakeven.record import LevelFacts, Record
from breakeven.store.folder import RunFolder
from commands import breakeven
from otlp_server import Collector, values

MEASURED = Path(__file__).parents[1] / "examples" / "cpu-llamacpp-vs-vllm" / "smollm2-135m-vllm-chat"
STARTED_NS = 1795417559_500_000_000
"""2026-11-23T07:05:59.5 UTC."""
RUN = RunSummary(
    run=RunFacts(
        id="run",
        started="2026-11-23T08:05:59.500000+01:00",
        model="m",
        engine={"name": "vllm"},
        settings={"api": "chat"},
    ),
    levels=(
        LevelSummary(
            users=50,
            status="done",
            requests=4,
            output_tok_per_s=Estimate(value=400.5, ci95=(390.0, None)),
            distributions={"ttft_s": Distribution(n=4, mean=0.25, p50=Quantile(value=0.2, ci95=(0.1, 0.3)))},
        ),
    ),
)
FACTS = LevelFacts(users=50, start_s=0.0, open_s=1.0, close_s=9.0, request_ids="breakeven-ab")


def a_record(**fields: Any) -> Record:
    """Due at 2 s, sent 1 ms later; chunks 0.25 s after that and 0.5 s after the first; 6 tokens; ended at 2.76 s."""
    known: dict[str, Any] = {
        "user": 3,
        "k": 7,
        "due_s": 2.0,
        "sent_s": 2.001,
        "chunk_us": struct.pack("<2I", 250_000, 500_000),
        "end_s": 2.76,
        "status": "done",
        "input_tokens": 11,
        "output_tokens": 6,
        "finish_reason": "length",
    }
    return Record(**known | fields)


def sent(*records: Record, facts: LevelFacts = FACTS, **collector: Any) -> Collector:
    with Collector(**collector) as found:
        said = send_run(RUN, [(facts, list(records))], form="otlp", to=found.url)
        assert (
            said == f"sent {len(found.spans)} spans and {sum(map(len, found.metrics.values()))} figures to {found.url}"
        )
    return found


def test_a_request_is_a_span_from_when_it_was_due_to_its_end() -> None:
    found = sent(a_record())
    [span] = found.spans
    assert (span.name, span.kind, span.status.code) == ("chat m", 3, 0)
    assert span.start_time_unix_nano == STARTED_NS + 2_000_000_000
    assert span.end_time_unix_nano == STARTED_NS + 2_760_000_000
    assert [(event.name, event.time_unix_nano - STARTED_NS) for event in span.events] == [
        ("sent", 2_001_000_000),
        ("first token", 2_251_000_000),
    ]
    assert found.resource["service.name"] == "breakeven"
    assert found.resource["breakeven.run"] == "run"


def test_a_span_says_what_the_record_and_the_engine_s_traces_say() -> None:
    """TTFT 0.251 s and E2E 0.751 s from when it was due; 0.5 s over five tokens after the first."""
    [span] = sent(a_record()).spans
    told = values(span.attributes)
    assert told.pop("gen_ai.latency.time_to_first_token") == pytest.approx(0.251)
    assert told.pop("gen_ai.latency.e2e") == pytest.approx(0.751)
    assert told.pop("breakeven.tpot_s") == pytest.approx(0.1)
    assert told == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": "m",
        "gen_ai.request.id": "breakeven-ab-3-7",
        "gen_ai.usage.input_tokens": 11,
        "gen_ai.usage.output_tokens": 6,
        "gen_ai.response.finish_reasons": ["length"],
        "breakeven.level": "users-50",
        "breakeven.user": 3,
        "breakeven.k": 7,
        "breakeven.status": "done",
        "breakeven.due_in_window": True,
    }


def test_a_failed_request_is_an_error_and_one_that_was_never_sent_is_no_span() -> None:
    failed = a_record(k=8, status="error", error="reset", error_text="the connection was reset", chunk_us=b"")
    found = sent(failed, a_record(k=9, sent_s=None, chunk_us=b"", status="cut"))
    [span] = found.spans
    assert (span.status.code, span.status.message) == (2, "the connection was reset")
    assert values(span.attributes)["error.type"] == "reset"


def test_a_request_has_the_same_span_each_time_and_another_than_its_neighbour() -> None:
    once, again = (sent(a_record(), a_record(k=8)).spans for _ in range(2))
    assert [(one.trace_id, one.span_id) for one in once] == [(one.trace_id, one.span_id) for one in again]
    assert len({one.trace_id for one in once}) == 2


def test_every_figure_and_its_interval_is_a_gauge() -> None:
    found = {
        name: [(point.as_double, values(point.attributes)["users"]) for point in points]
        for name, points in sent().metrics.items()
    }
    assert found == {
        "breakeven.output_tok_per_s": [(400.5, "50")],
        "breakeven.output_tok_per_s_low": [(390.0, "50")],
        "breakeven.output_tok_per_s_per_user": [(8.01, "50")],
        "breakeven.output_tok_per_s_per_user_low": [(7.8, "50")],
        "breakeven.ttft_s_mean": [(0.25, "50")],
        "breakeven.ttft_s_p50": [(0.2, "50")],
        "breakeven.ttft_s_p50_low": [(0.1, "50")],
        "breakeven.ttft_s_p50_high": [(0.3, "50")],
        "breakeven.requests": [(4.0, "50")],
        "breakeven.errors": [(0.0, "50")],
        "breakeven.cut": [(0.0, "50")],
    }


def test_a_receiver_of_spans_alone_gets_the_spans() -> None:
    found = sent(a_record(), refuses=("/v1/metrics",))
    assert (len(found.spans), found.metrics) == (1, {})


def test_a_server_that_is_no_collector_is_one_line() -> None:
    refused = pytest.raises(RunFailedError, match=r"took 0 spans and no more; is it an OTLP collector")
    with Collector(refuses=("/v1/metrics", "/v1/traces")) as found, refused:
        send_run(RUN, [(FACTS, [a_record()])], form="otlp", to=found.url)


def test_a_server_that_is_not_there_is_one_line() -> None:
    with Collector() as gone:
        url = gone.url
    with pytest.raises(RunFailedError, match=rf"^{url}: .*Connection refused; is a collector there\?$"):
        send_run(RUN, [(FACTS, [a_record()])], form="otlp", to=url)


def test_a_measured_run_is_sent_with_every_request_of_its_records(tmp_path: Path) -> None:
    with Collector() as found:
        done = breakeven("export", MEASURED, "--as", "otlp", "--to", found.url)
    assert done.code == 0, done.err
    records = [record for _, records in RunFolder(MEASURED).levels() for record in records]
    assert len(found.spans) == sum(record.sent_s is not None for record in records)
    assert len({span.trace_id for span in found.spans}) == len(found.spans)
    assert done.out.startswith(f"sent {len(found.spans)} spans and ")
    assert len(found.metrics["breakeven.output_tok_per_s"]) == 15


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--as", "otlp"), "--as otlp is sent to a server: give its address, such as --to http://127.0.0.1:4318"),
        (("--as", "mlflow", "--to", "folder"), "--as mlflow is sent to a server"),
        (
            ("--to", "http://127.0.0.1:1"),
            "--as vllm-json is written into a folder, and http://127.0.0.1:1 is an address",
        ),
        (("--as", "otpl"), "no format is called 'otpl'; did you mean 'otlp'? known: vllm-json,"),
    ],
)
def test_a_place_that_does_not_fit_the_format_is_one_line(words: tuple[str, ...], complaint: str) -> None:
    done = breakeven("export", MEASURED, *words)
    assert done.code == 2
    assert complaint in done.err


def test_formats_and_protocols_share_no_name() -> None:
    assert not set(EXPORTERS) & set(SENDERS)
