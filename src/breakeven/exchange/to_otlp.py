"""Sends a run to an OpenTelemetry collector (OTLP over HTTP): a span a request, a gauge a figure of each level."""

import datetime
import hashlib
import logging
import socket
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from breakeven import __version__
from breakeven.errors import RunFailedError, UsageError, one_line
from breakeven.exchange.exported import Measured, began, figures, known, labels, level_name, portions
from breakeven.exchange.imported import safe_url
from breakeven.metrics.definitions import e2e_s, first_chunk_s, tpot_s, ttft_s
from breakeven.metrics.summary import RunSummary
from breakeven.record import LevelFacts, Record, request_id

try:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import export as metrics
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExportResult
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
except ImportError:
    raise UsageError("--as otlp needs OpenTelemetry: pip install 'breakeven[otlp]'") from None

_AT_ONCE: Final = 100
"""Spans a request to the collector."""
_TIMEOUT_S: Final = 60
_CONNECT_S: Final = 5
_NS: Final = 10**9
_REFUSED: Final = "{place} took {spans} spans and no more; is it an OTLP collector that listens for HTTP?"
_OPERATIONS: Final = {"chat": "chat", "completions": "text_completion"}


def send(run: RunSummary, measured: Measured, to: str) -> str:
    """Spans to /v1/traces below the address, metrics to /v1/metrics; a key goes by OTEL_EXPORTER_OTLP_HEADERS."""
    start = began(run)
    if start is None:
        raise UsageError(f"{run.run.id} does not say when it began, or not in which zone, so that nothing can be dated")
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # our own line says what went wrong
    _find(to)
    resource = Resource({"service.name": "breakeven", "service.version": __version__, "breakeven.run": run.run.id})
    root = to.rstrip("/")
    spans = _send_spans(run, measured, root, resource=resource, start=start)
    gauges = _send_metrics(run, root, resource=resource, start=start)
    if not spans and not gauges:
        raise RunFailedError(_REFUSED.format(place=safe_url(to), spans=0))
    return f"sent {spans} spans and {gauges} figures to {safe_url(to)}"


def _find(to: str) -> None:
    """Somebody listens there: the exporters would try for a minute. RunFailedError."""
    try:
        parts = urlsplit(to)
        place = parts.hostname or "", parts.port or {"https": 443}.get(parts.scheme, 80)
        socket.create_connection(place, timeout=_CONNECT_S).close()
    except (OSError, ValueError) as error:
        raise RunFailedError(f"{safe_url(to)}: {one_line(str(error), limit=120)}; is a collector there?") from None


def _send_metrics(run: RunSummary, root: str, *, resource: Resource, start: datetime.datetime) -> int:
    """Zero where the server takes spans alone."""
    at_ns = _ns(start, 0.0)
    found: dict[str, list[metrics.NumberDataPoint]] = {}
    for level in run.levels:
        of_level = labels(run, level)
        for one in figures(level):
            for name, value in one.numbers():
                point = metrics.NumberDataPoint(of_level, at_ns, at_ns, value)
                found.setdefault(f"breakeven.{name}", []).append(point)
    told = [metrics.Metric(name, None, "", metrics.Gauge(points)) for name, points in found.items()]
    scoped = metrics.ScopeMetrics(_SCOPE, told, "")
    data = metrics.MetricsData([metrics.ResourceMetrics(resource, [scoped], "")])
    exporter = OTLPMetricExporter(endpoint=f"{root}/v1/metrics", timeout=_TIMEOUT_S)
    try:
        is_sent = exporter.export(data) is metrics.MetricExportResult.SUCCESS
    finally:
        exporter.shutdown()
    return sum(map(len, found.values())) if is_sent else 0


_SCOPE: Final = InstrumentationScope("breakeven", __version__)


def _send_spans(run: RunSummary, measured: Measured, root: str, *, resource: Resource, start: datetime.datetime) -> int:
    exporter = OTLPSpanExporter(endpoint=f"{root}/v1/traces", timeout=_TIMEOUT_S)
    sent = 0
    try:
        for some in portions(_spans(run, measured, resource=resource, start=start), _AT_ONCE):
            if exporter.export(some) is not SpanExportResult.SUCCESS:
                raise RunFailedError(_REFUSED.format(place=safe_url(root), spans=sent))
            sent += len(some)
    finally:
        exporter.shutdown()  # type: ignore[no-untyped-call]
    return sent


def _spans(
    run: RunSummary, measured: Measured, *, resource: Resource, start: datetime.datetime
) -> Iterator[ReadableSpan]:
    for facts, records in measured:
        for record in records:
            if record.sent_s is not None:
                yield _span(run, facts, record, resource=resource, start=start)


def _span(
    run: RunSummary, facts: LevelFacts, record: Record, *, resource: Resource, start: datetime.datetime
) -> ReadableSpan:
    """From when the request was due to its end. Its ids are a digest of its own, so that sent twice it is one span."""
    model = record.model or run.run.model
    named = request_id(facts, record) or f"{run.run.id}/{level_name(facts)}/{record.user}/{record.k}"
    digest = hashlib.sha256(named.encode()).digest()
    context = SpanContext(
        int.from_bytes(digest[:16], "big"), int.from_bytes(digest[16:24], "big"), False, TraceFlags(TraceFlags.SAMPLED)
    )
    operation = _OPERATIONS.get(str(run.run.settings.get("api")), "chat")
    marks = (("sent", record.sent_s), ("first token", first_chunk_s(record)))
    return ReadableSpan(
        f"{operation} {model}",
        context=context,
        resource=resource,
        kind=SpanKind.CLIENT,
        attributes=known(_attributes(run, facts, record) | {"gen_ai.operation.name": operation}),
        events=[Event(name, timestamp=_ns(start, at_s)) for name, at_s in marks if at_s is not None],
        status=Status(StatusCode.ERROR, record.error_text or record.error) if record.status == "error" else Status(),
        start_time=_ns(start, record.due_s),
        end_time=_ns(start, record.end_s),
        instrumentation_scope=_SCOPE,
    )


def _attributes(run: RunSummary, facts: LevelFacts, record: Record) -> dict[str, Any]:
    """OpenTelemetry's names where it has some, vLLM's for id and latencies, ours for the rest."""
    opened, closed = facts.open_s, facts.close_s
    return {
        "gen_ai.provider.name": run.run.engine.get("name"),
        "gen_ai.request.model": record.model or run.run.model,
        "gen_ai.request.id": request_id(facts, record),
        "gen_ai.usage.input_tokens": record.input_tokens,
        "gen_ai.usage.output_tokens": record.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": record.cached_tokens,
        "gen_ai.response.finish_reasons": [record.finish_reason] if record.finish_reason else None,
        "gen_ai.latency.time_to_first_token": ttft_s(record),
        "gen_ai.latency.e2e": e2e_s(record),
        "http.response.status_code": record.http_status,
        "error.type": record.error,
        "breakeven.tpot_s": tpot_s(record),
        "breakeven.level": level_name(facts),
        "breakeven.user": record.user,
        "breakeven.k": record.k,
        "breakeven.status": record.status,
        "breakeven.due_in_window": None if opened is None or closed is None else opened <= record.due_s < closed,
    }


def _ns(start: datetime.datetime, s: float) -> int:
    """Unix nanoseconds; the two are added as whole numbers, for a float holds no more than 200 ns of today."""
    since = start - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
    return ((since.days * 86400 + since.seconds) * 10**6 + since.microseconds) * 1000 + round(s * _NS)
