"""What the README shows is what the program prints."""

from pathlib import Path

import pytest

from breakeven.cli import main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
STUDY = "examples/cpu-llamacpp-vs-vllm"
RUNS = f"{STUDY}/smollm2-135m-llamacpp-chat {STUDY}/smollm2-135m-vllm-chat"


def test_the_readme_shows_the_real_markdown_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    words = f"report {RUNS} --scenario {STUDY}/prices.toml --floor 12 --md -"
    assert f"breakeven {words}" in README
    assert main(words.split()) == 0
    shown = README.partition("<!-- report -->\n")[2].partition("\n<!-- end of report -->")[0]
    assert capsys.readouterr().out.startswith(shown + "\n")


def test_the_readme_shows_how_cost_answers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BREAKEVEN_CACHE", str(tmp_path))
    shown = README.partition("<!-- cost -->\n```\n")[2].partition("\n```\n<!-- end of cost -->")[0]
    printed = []
    for preset in ("nosana-2024", "self-host"):
        assert main(["cost", "--preset", preset, "--ranges", "default"]) == 0
        printed.append(capsys.readouterr().out.partition("\n\n")[0])
    commands = [f"$ breakeven cost --preset {preset} --ranges default" for preset in ("nosana-2024", "self-host")]
    assert shown == "\n".join(f"{command}\n{answer}" for command, answer in zip(commands, printed, strict=True))


def test_every_file_that_the_documents_point_to_is_there() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in document.read_text().split("](")[1:]:
            name = target.partition(")")[0].partition("#")[0]
            if name and "://" not in name:
                assert (document.parent / name).exists(), (document.name, name)


def test_the_readme_shows_the_real_comparison(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    words = f"compare {RUNS} --floor 12"
    assert f"breakeven {words}" in README
    assert main(words.split()) == 0
    shown = README.partition("<!-- compare -->\n```\n")[2].partition("\n```\n<!-- end of compare -->")[0]
    assert capsys.readouterr().out.startswith(shown + "\n")
