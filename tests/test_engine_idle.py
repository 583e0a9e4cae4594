"""How busy an engine is, out of its Prometheus text."""

import pytest

from breakeven.engine.idle import busy_requests, metric_sum, samples
from breakeven.engine.llamacpp import Llamacpp
from breakeven.engine.vllm import Vllm
from breakeven.launch.health import local_get
from breakeven.launch.launched import Launched

LLAMACPP = """\
# HELP llamacpp:tokens_predicted_total Number of generation tokens processed
# TYPE llamacpp:tokens_predicted_total counter
llamacpp:tokens_predicted_total 10
# HELP llamacpp:requests_processing Number of requests processing
# TYPE llamacpp:requests_processing gauge
llamacpp:requests_processing 4
# HELP llamacpp:requests_deferred Number of requests deferred
# TYPE llamacpp:requests_deferred gauge
llamacpp:requests_deferred 96
"""
VLLM = """\
vllm:num_requests_running{engine="0",model_name="a} b\\"c"} 3.0
vllm:num_requests_running{engine="1",model_name="a"} 2.0 1700000000000
vllm:num_requests_waiting{engine="0",model_name="a"} 1e1
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 7.0
"""


def test_busy_is_running_and_waiting_together() -> None:
    assert busy_requests(LLAMACPP, Llamacpp.running_metrics) == 100


def test_busy_adds_up_the_engines_of_one_server_and_no_other_metric() -> None:
    assert busy_requests(VLLM, Vllm.running_metrics) == 15


def test_busy_is_unknown_where_one_of_its_names_is_missing() -> None:
    assert busy_requests(LLAMACPP.replace("requests_deferred ", "requests_later "), Llamacpp.running_metrics) is None
    assert busy_requests(LLAMACPP, ()) is None
    assert busy_requests("", Llamacpp.running_metrics) is None


def test_busy_is_unknown_where_a_gauge_is_no_number() -> None:
    assert busy_requests(LLAMACPP.replace(" 96", " NaN"), Llamacpp.running_metrics) is None


def test_lines_that_are_no_samples_are_passed_over() -> None:
    text = '<html>\na 1\nb{x="1" 2\nc one\nd{} +Inf\n{} 3\n'
    assert list(samples(text)) == [("a", 1.0), ("d", float("inf"))]
    assert metric_sum(text, "c") is None
    assert metric_sum(text, "d") is None


@pytest.mark.engine
def test_the_real_engine_shows_every_metric_that_its_adapter_names(embedded_engine: Launched) -> None:
    body = local_get(embedded_engine.url + (Llamacpp.metrics_path or ""))
    assert body is not None
    names = {name for name, _ in samples(body.decode())}
    assert {*Llamacpp.running_metrics, Llamacpp.metrics["generated_tokens"]} <= names
    assert busy_requests(body.decode(), Llamacpp.running_metrics) == 0
