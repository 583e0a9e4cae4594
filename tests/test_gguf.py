"""The embedded engine's quantization: which GGUF file of a folder is taken, and what is said where there is none."""

import struct
from pathlib import Path

import pytest

from breakeven.cli import main
from breakeven.errors import UsageError
from breakeven.launch.gguf import chosen_file, files_in, quantization_of
from breakeven.launch.models import EMBEDDED, fetch_embedded_model
from breakeven.session.summary import summarise
from breakeven.store.folder import RunFolder
from commands import run_folder


def header(file_type: int | None) -> bytes:
    """A GGUF header with a text, a number and perhaps a file type."""

    def text(said: bytes) -> bytes:
        return struct.pack("<Q", len(said)) + said

    keys = [text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama")]
    keys += [text(b"general.quantization_version") + struct.pack("<II", 4, 2)]
    keys += [text(b"general.big") + struct.pack("<IQ", 10, 7)]
    keys += [text(b"general.tags") + struct.pack("<IIQ", 9, 8, 2) + text(b"a") + text(b"bc")]
    keys += [text(b"general.sizes") + struct.pack("<IIQII", 9, 4, 2, 5, 6)]
    if file_type is not None:
        keys += [text(b"general.file_type") + struct.pack("<II", 4, file_type)]
    keys += [text(b"tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 1 << 40) + text(b"a")]
    return struct.pack("<4sIQQ", b"GGUF", 3, 0, len(keys)) + b"".join(keys)


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("SmolLM2.Q4_1.gguf", b"", "q4_1"),
        ("m-q5_k_m.gguf", b"", "q5_k_m"),
        ("m-Q4_K.gguf", header(15), "q4_k_m"),  # `Q4_K` is not the name of a file's type
        ("IQ4_XS-00001-of-00002.gguf", b"", "iq4_xs"),
        ("BF16.gguf", header(1), "bf16"),
        ("m.Q4_1.q8_0.gguf", b"", "q8_0"),
        ("plain.gguf", header(7), "q8_0"),
        ("plain.gguf", header(None), None),
        ("plain.gguf", header(999), None),
        ("plain.gguf", b"GGUF", None),
        ("plain.gguf", b"GGML" + header(7)[4:], None),
        ("plain.gguf", struct.pack("<4sIQQQ", b"GGUF", 3, 0, 1, 1 << 60), None),
    ],
)
def test_a_file_says_its_quantization_by_name_or_header(
    tmp_path: Path, name: str, data: bytes, kind: str | None
) -> None:
    (tmp_path / name).write_bytes(data)
    assert quantization_of(tmp_path / name) == kind


def test_the_models_brought_file_is_what_its_name_and_its_header_say(tmp_path: Path) -> None:
    assert quantization_of(Path(EMBEDDED.name)) == "q4_1"
    nameless = tmp_path / "model.gguf"
    nameless.symlink_to(fetch_embedded_model())
    assert quantization_of(nameless) == "q4_1"


def folder_of(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).write_bytes(b"")
    return path


def test_of_a_folder_the_file_in_that_quantization_is_taken(tmp_path: Path) -> None:
    parts = ("big.Q8_0-00001-of-00002.gguf", "big.Q8_0-00002-of-00002.gguf")
    folder = folder_of(tmp_path, "m.Q4_1.gguf", *parts, "mmproj.Q8_0.gguf", "notes.txt")
    assert [path.name for path in files_in(folder)] == [parts[0], "m.Q4_1.gguf"]
    assert chosen_file(folder, "q8_0").name == parts[0]
    assert chosen_file(folder / "m.Q4_1.gguf", None).name == "m.Q4_1.gguf"


@pytest.mark.parametrize(
    ("names", "wanted", "said"),
    [
        (
            ("m.Q4_1.gguf",),
            "q8_0",
            "holds q4_1, and no q8_0; llama.cpp's `llama-quantize m.Q4_1.gguf m.Q8_0.gguf q8_0`",
        ),
        (("m.Q4_1.gguf",), "q9", "(q9 is no quantization that llama.cpp names)"),
        (("m.Q4_1.gguf", "m.Q8_0.gguf"), None, "holds q4_1, q8_0; choose one by --set quantization=q4_1"),
        (("a.Q8_0.gguf", "b.Q8_0.gguf"), "q8_0", "holds several files in q8_0: a.Q8_0.gguf, b.Q8_0.gguf"),
        (("notes.txt",), "q8_0", "holds no GGUF file"),
    ],
)
def test_where_no_file_or_more_than_one_fits_the_line_says_which_are_there(
    tmp_path: Path, names: tuple[str, ...], wanted: str | None, said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        chosen_file(folder_of(tmp_path, *names), wanted)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_named_is_not_another_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"quantization: m\.Q4_1\.gguf is q4_1; leave it out"):
        chosen_file(folder_of(tmp_path, "m.Q4_1.gguf") / "m.Q4_1.gguf", "q8_0")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "org/model"], "needs --engine NAME to start, or --url URL"),
        (["--set", "quantization=q9"], "quantization: "),
        (["--set", "quantisation=q8_0"], "did you mean 'quantization'?"),
    ],
)
def test_wrong_words_are_one_line(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def two_models(path: Path) -> Path:
    """Two names of one file: what is tested is which is taken."""
    for kind in ("Q4_1", "Q8_0"):
        (path / f"small.{kind}.gguf").symlink_to(fetch_embedded_model())
    return path


@pytest.mark.engine
def test_a_file_of_the_users_own_is_served_by_the_embedded_engine(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    folder = two_models(tmp_path / "models")
    words = ["run", "--model", str(folder), "--set", "quantization=Q8_0", "--users", "1", "--duration", "1"]
    assert main([*words, "--warmup", "0", "--output-tokens", "8", "--out", str(tmp_path / "runs")]) == 0
    path = run_folder(tmp_path / "runs")
    assert path.name.endswith("llamacpp-small.q8-0")
    run = summarise(RunFolder.open(path)).run
    assert run.model == "small.Q8_0"
    assert run.engine["settings"]["quantization"] == "q8_0"


def test_quantizations_can_be_searched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = two_models(tmp_path)
    words = [
        "tune",
        "--model",
        str(folder),
        "--vary",
        "quantization=q4_1,q8_0",
        "--vary",
        "threads=1,2",
        "--users",
        "2",
    ]
    assert main([*words, "--dry-run"]) == 0
    plan = tmp_path / "plan.toml"
    plan.write_text(capsys.readouterr().out)
    assert main(["run", str(plan), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "the embedded llama.cpp with small.Q8_0.gguf" in said
    assert "the embedded llama.cpp with small.Q4_1.gguf" in said
    assert main([*words[:3], "--vary", "quantization=q4_1,q5_0", "--users", "2", "--dry-run"]) == 2
    assert "no q5_0" in capsys.readouterr().err
