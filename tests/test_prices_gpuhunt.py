"""Live prices through gpuhunt: its catalogue read from a local folder, without network."""

import csv
import datetime
import logging
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from breakeven.errors import RunFailedError, UsageError
from breakeven.prices import hunt
from breakeven.prices.hunt import CATALOG_DIR, from_gpuhunt

# gpuhunt does not close the catalogue files that it reads.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

TODAY = datetime.date(2026, 11, 23)


@dataclass
class AnOffer:
    provider: str = "aws"
    location: str = "here"
    price: float = 1.0
    gpu_count: int = 1
    gpu_name: str | None = "RTX4090"
    gpu_memory: float | None = 24.0
    spot: bool = False


def prices(*offers: AnOffer) -> list[tuple[str, str, float]]:
    return [(q.gpu, q.kind, q.usd_per_h_card) for q in from_gpuhunt(offers, today=TODAY).quotes]


def test_the_price_of_an_instance_is_divided_by_its_cards() -> None:
    assert prices(AnOffer(price=8.0, gpu_count=8, gpu_name="H100", gpu_memory=80)) == [("h100-80", "ask", 1.0)]


def test_the_lowest_price_per_card_stands_for_a_provider() -> None:
    offers = (AnOffer(price=1.2), AnOffer(price=4.0, gpu_count=4, location="there"), AnOffer(price=1.1))
    one, four = from_gpuhunt(offers, today=TODAY).quotes
    assert (one.usd_per_h_card, one.cards_at_least, one.region) == (1.1, 1, "here")
    assert (four.usd_per_h_card, four.cards_at_least, four.region) == (1.0, 4, "there")
    assert one.stat == "lowest of 3 offers"
    assert one.as_of == TODAY


def test_spot_prices_and_asks_stay_apart_and_so_do_providers() -> None:
    offers = (AnOffer(), AnOffer(spot=True, price=0.4), AnOffer(provider="gcp", price=2.0))
    assert prices(*offers) == [("rtx4090", "ask", 1.0), ("rtx4090", "spot", 0.4), ("rtx4090", "ask", 2.0)]


def test_memory_decides_between_the_two_a100() -> None:
    offers = (AnOffer(gpu_name="A100", gpu_memory=40), AnOffer(gpu_name="A100", gpu_memory=80, price=2.0))
    assert prices(*offers) == [("a100-40", "ask", 1.0), ("a100-80", "ask", 2.0)]


def test_what_is_unknown_or_has_no_price_is_left_out_and_said() -> None:
    offers = (
        AnOffer(gpu_name="K80"),
        AnOffer(gpu_name="P4"),
        AnOffer(price=0.0),
        AnOffer(price=float("nan")),
        AnOffer(gpu_name=None, gpu_count=0),
    )
    fetched = from_gpuhunt(offers, today=TODAY)
    assert fetched.quotes == ()
    assert fetched.notes == ("left out, not in the GPU table: K80, P4", "left out, without a price: 2 offers")


def test_without_gpuhunt_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpuhunt", None)
    with pytest.raises(UsageError, match=r"--from gpuhunt needs the package gpuhunt: pip install gpuhunt$"):
        hunt.read(today=TODAY)


@pytest.fixture
def catalogue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as gpuhunt reads it, with a file of two offers for one provider."""
    pytest.importorskip("gpuhunt", reason="gpuhunt is an optional extra and is not installed")
    names = ("instance_name", "price", "gpu_count", "gpu_name", "gpu_memory", "spot")
    rows = (
        ("g8", "16.0", "8", "H100", "80.0", "False"),
        ("g1", "0.7", "1", "L4", "24.0", "True"),
        ("c1", "0.1", "0", "", "", "False"),
    )
    fixed = {"location": "here", "cpu": "8", "memory": "64.0", "disk_size": "100.0", "gpu_vendor": "nvidia"}
    rest = {"flags": "", "cpu_arch": "x86", "provider_data": "{}"}
    with (tmp_path / "aws.csv").open("w", newline="") as lines:
        writer = csv.DictWriter(lines, [*names, *fixed, *rest])
        writer.writeheader()
        writer.writerows(dict(zip(names, row, strict=True)) | fixed | rest for row in rows)
    monkeypatch.setenv(CATALOG_DIR, str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("catalogue")
def test_gpuhunt_reads_a_local_catalogue_without_network() -> None:
    fetched = hunt.read(today=TODAY)
    assert [(q.gpu, q.provider, q.kind, q.usd_per_h_card) for q in fetched.quotes] == [
        ("h100-80", "aws", "ask", 2.0),
        ("l4", "aws", "spot", 0.7),
    ]


def test_a_catalogue_that_gpuhunt_cannot_read_is_one_clear_line(catalogue: Path) -> None:
    (catalogue / "nobody.csv").write_text("")
    with pytest.raises(RunFailedError, match="gpuhunt could not read its prices: Unknown provider: nobody"):
        hunt.read(today=TODAY)


def test_an_empty_catalogue_folder_is_one_clear_line(catalogue: Path) -> None:
    (catalogue / "aws.csv").unlink()
    with pytest.raises(UsageError, match=r"GPUHUNT_CATALOG_DIR: .* holds no CSV of gpuhunt"):
        hunt.read(today=TODAY)


def test_what_gpuhunt_complains_of_becomes_a_note_and_not_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with hunt._said() as said:
        logging.getLogger("gpuhunt.catalog").error("Failed to load\n%s", "aws")
    assert said == ["gpuhunt: Failed to load aws"]
    assert capsys.readouterr().err == ""
