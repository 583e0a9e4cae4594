"""What the README shows is what the program prints."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def made() -> ModuleType:
    spec = spec_from_file_location("make_readme", ROOT / "docs" / "make_readme.py")
    assert spec is not None
    assert spec.loader is not None
    found = module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.mark.parametrize("name", made().BLOCKS)
def test_the_readme_shows_what_the_command_prints(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("BREAKEVEN_CACHE", str(tmp_path))
    block = made().BLOCKS[name]
    shown = README.partition(f"<!-- {name} -->\n")[2].partition(f"\n<!-- end of {name} -->")[0]
    assert shown == made().printed(block), "python docs/make_readme.py renews it"
    for command in block.commands:
        assert f"breakeven {command}" in README


def test_every_file_that_the_documents_point_to_is_there() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in document.read_text().split("](")[1:]:
            name = target.partition(")")[0].partition("#")[0]
            if name and "://" not in name:
                assert (document.parent / name).exists(), (document.name, name)
