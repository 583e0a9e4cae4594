"""Engine adapters: one contract for every row of ENGINES, and what each engine is told."""

import pytest

from breakeven.engine import ENGINES
from breakeven.engine.base import EngineSettings, OpenAI
from breakeven.engine.detect import adapter, engine_of
from breakeven.errors import UsageError
from breakeven.serving import engine_settings, settings_table

OURS_TO_START = [name for name in ENGINES if name != "openai"]
WITH_IMAGE = [name for name in OURS_TO_START if name != "transformers"]
CANNOT_SAY = {
    "llamacpp": {"tensor_parallel", "dtype", "quantization"},
    "ollama": {"served_name", "tensor_parallel", "dtype", "quantization", "prefix_caching"},
    "tgi": {"served_name"},
    "transformers": {
        *("served_name", "tensor_parallel", "context_tokens", "max_batch"),
        *("quantization", "prefix_caching"),
    },
    "trtllm": {"served_name", "dtype", "quantization", "prefix_caching"},
}
FULL = EngineSettings(
    served_name="m",
    tensor_parallel=2,
    context_tokens=2048,
    max_batch=16,
    dtype="bfloat16",
    quantization="fp8",
    prefix_caching=False,
)


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_loads_and_knows_its_name(name: str) -> None:
    assert adapter(name).name == name


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_promises_exact_lengths_only_by_fields_that_it_takes(name: str) -> None:
    engine = adapter(name)
    assert engine.exact_length_body.keys() <= engine.request_fields
    assert engine.request_fields <= {"stream_options", "ignore_eos", "min_tokens"}


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_says_whole_sets_of_paths_and_names(name: str) -> None:
    engine = adapter(name)
    assert (engine.tokenize_path is None) == (engine.tokenize_field is None)
    assert bool(engine.running_metrics) == (engine.metrics_path is not None)
    assert len(engine.running_metrics) in (0, 2)
    for path in (engine.health_path, engine.version_path, engine.metrics_path, engine.tokenize_path):
        assert path is None or path.startswith("/")


@pytest.mark.parametrize("name", OURS_TO_START)
def test_every_command_line_names_its_model_and_port_once(name: str) -> None:
    engine = adapter(name)
    argv = engine.argv("org/model", port=8123)
    words = [*argv, *engine.environment(port=8123).values()]
    assert argv[: len(engine.command)] == list(engine.command)
    assert [word for word in words if "8123" in word] in (["8123"], ["127.0.0.1:8123"])
    assert argv.count("org/model") == (0 if name == "ollama" else 1)
    assert all(word and "None" not in word for word in words)


def told(name: str, settings: EngineSettings) -> list[str]:
    engine = adapter(name)
    variables = engine.environment(port=1, settings=settings)
    return [*engine.argv("org/model", port=1, settings=settings), *(f"{k}={v}" for k, v in variables.items())]


@pytest.mark.parametrize("name", OURS_TO_START)
@pytest.mark.parametrize(
    "field", [*("served_name", "tensor_parallel", "context_tokens", "max_batch", "dtype", "quantization")]
)
def test_a_setting_is_said_or_refused_but_never_dropped(name: str, field: str) -> None:
    settings = EngineSettings(**{field: getattr(FULL, field)})
    if field in CANNOT_SAY.get(name, ()):
        with pytest.raises(UsageError, match=rf"^{field}: the command line of engine '{name}' has no option"):
            told(name, settings)
    else:
        said = set(told(name, settings)) - set(told(name, EngineSettings()))
        assert any(word.endswith(str(getattr(FULL, field))) for word in said)


@pytest.mark.parametrize("name", OURS_TO_START)
def test_prefix_caching_on_differs_from_off_or_is_refused(name: str) -> None:
    if "prefix_caching" in CANNOT_SAY.get(name, ()):
        with pytest.raises(UsageError, match=r"^prefix_caching: "):
            told(name, EngineSettings(prefix_caching=False))
    else:
        assert told(name, EngineSettings(prefix_caching=True)) != told(name, EngineSettings(prefix_caching=False))


@pytest.mark.parametrize("name", WITH_IMAGE)
def test_every_container_listens_on_loopback_only_and_gets_no_secret(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_do_not_leak")
    engine = adapter(name)
    argv = engine.docker_argv("org/model", port=8123, mounts=["/models:/models"])
    assert argv[:3] == ["docker", "run", "--rm"]
    assert argv[argv.index("--publish") + 1] == "127.0.0.1:8123:8123"
    assert argv[argv.index("--volume") + 1] == "/models:/models"
    assert engine.image in argv
    assert "hf_do_not_leak" not in " ".join(argv)
    assert any(word.startswith(("0.0.0.0", "OLLAMA_HOST=0.0.0.0")) for word in argv)


def test_vllm_is_told_everything() -> None:
    assert adapter("vllm").argv("org/model", port=8000, settings=FULL) == [
        *("vllm", "serve", "org/model", "--host", "127.0.0.1", "--port", "8000", "--served-model-name", "m"),
        *("--tensor-parallel-size", "2", "--max-model-len", "2048", "--max-num-seqs", "16", "--dtype", "bfloat16"),
        *("--quantization", "fp8", "--no-enable-prefix-caching"),
    ]


def test_an_option_of_an_engines_own_is_said_by_its_own_name() -> None:
    told = engine_settings({"max_batch": "16", "kv_cache_dtype": "fp8", "enable_chunked_prefill": "false"})
    assert told.max_batch == 16
    assert settings_table(told) == {"max_batch": 16, "kv_cache_dtype": "fp8", "enable_chunked_prefill": False}
    words = adapter("vllm").argv("m", port=1, settings=told)
    assert words[-5:] == ["--max-num-seqs", "16", "--kv-cache-dtype", "fp8", "--no-enable-chunked-prefill"]
    switches = engine_settings({"disable_overlap_schedule": "false", "enable_torch_compile": "true"})
    assert adapter("sglang").argv("m", port=1, settings=switches)[-2:] == ["--enable-torch-compile", "--enable-metrics"]
    with pytest.raises(UsageError, match=r"^--set: Expected `int \| null`, got `str` - at `\$\.max_batch`"):
        engine_settings({"max_batch": "many"})


def test_lmdeploy_is_told_everything() -> None:
    assert adapter("lmdeploy").argv("org/model", port=23333, settings=FULL) == [
        *("lmdeploy", "serve", "api_server", "org/model", "--server-name", "127.0.0.1", "--server-port", "23333"),
        *("--model-name", "m", "--tp", "2", "--session-len", "2048", "--max-batch-size", "16", "--dtype", "bfloat16"),
        *("--model-format", "fp8"),
    ]


def test_sglang_is_told_everything_and_to_show_its_metrics() -> None:
    assert adapter("sglang").argv("org/model", port=30000, settings=FULL) == [
        *("python3", "-m", "sglang.launch_server", "--model-path", "org/model", "--host", "127.0.0.1"),
        *("--port", "30000", "--served-model-name", "m", "--tp-size", "2", "--context-length", "2048"),
        *("--max-running-requests", "16", "--dtype", "bfloat16", "--quantization", "fp8"),
        *("--disable-radix-cache", "--enable-metrics"),
    ]


def test_sglang_starts_by_its_python_in_the_container() -> None:
    argv = adapter("sglang").docker_argv("org/model", port=30000)
    image = argv.index("lmsysorg/sglang:latest")
    assert argv[argv.index("--entrypoint") + 1] == "python3"
    assert argv[image + 1 : image + 3] == ["-m", "sglang.launch_server"]


def test_tgi_image_gets_only_what_follows_its_launcher() -> None:
    argv = adapter("tgi").docker_argv("org/model", port=80)
    assert argv[argv.index("ghcr.io/huggingface/text-generation-inference:latest") + 1] == "--model-id"
    assert "--entrypoint" not in argv


def test_llamacpp_is_told_the_context_of_all_slots_together() -> None:
    settings = EngineSettings(context_tokens=1024, max_batch=10)
    argv = adapter("llamacpp").argv("/models/a.gguf", port=8080, settings=settings)
    assert argv[argv.index("--ctx-size") + 1] == "10240"
    assert argv[argv.index("--model") + 1] == "/models/a.gguf"
    assert "--metrics" in argv


def test_ollama_is_told_by_variables() -> None:
    settings = EngineSettings(context_tokens=2048, max_batch=4)
    assert adapter("ollama").argv("smollm2", port=11434, settings=settings) == ["ollama", "serve"]
    assert adapter("ollama").environment(port=11434, settings=settings) == {
        "OLLAMA_HOST": "127.0.0.1:11434",
        "OLLAMA_CONTEXT_LENGTH": "2048",
        "OLLAMA_NUM_PARALLEL": "4",
    }


def test_any_url_is_not_ours_to_start() -> None:
    with pytest.raises(UsageError, match="give its URL"):
        adapter("openai").argv("m", port=1)


def test_an_engine_without_an_image_says_so() -> None:
    with pytest.raises(UsageError, match="'transformers' has no container image"):
        adapter("transformers").docker_argv("m", port=1)


@pytest.mark.parametrize(
    ("reply", "tokens"),
    [
        ({"tokens": [28120, 905]}, 2),  # llama.cpp
        ({"count": 3, "max_model_len": 2048, "tokens": [1, 2, 3]}, 3),  # vLLM, SGLang
        ({"input_ids": [5, 6, 7, 8], "length": 4}, 4),  # LMDeploy
        ([{"id": 1, "text": "a", "start": 0, "stop": 1}], 1),  # TGI
        ({"error": "not found"}, None),
        ("text", None),
    ],
)
def test_tokens_are_counted_in_every_shape_of_answer(reply: object, tokens: int | None) -> None:
    assert OpenAI.tokens_in(reply) == tokens


def test_version_is_read_from_the_engines_own_field() -> None:
    assert adapter("vllm").version_in({"version": "0.32.0"}) == "0.32.0"
    assert adapter("llamacpp").version_in({"build_info": "b5000-abc"}) == "b5000-abc"
    assert adapter("vllm").version_in({"detail": "Not Found"}) is None
    assert adapter("vllm").version_in(["0.32.0"]) is None


@pytest.mark.parametrize(
    ("reply", "name"),
    [
        ({"data": [{"id": "m", "owned_by": "vllm"}]}, "vllm"),
        ({"data": [{"id": "smollm2:135m", "owned_by": "library"}]}, "ollama"),
        ({"data": [{"id": "gpt", "owned_by": "someone"}]}, None),
        ({"data": [{"id": "m"}]}, None),
        ({"data": []}, None),
        ({"data": [None]}, None),
        ([], None),
    ],
)
def test_an_engine_is_known_by_the_owner_of_its_model(reply: object, name: str | None) -> None:
    assert engine_of(reply) == name
