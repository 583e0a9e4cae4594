"""`breakeven prices --refresh`: SkyPilot's catalogue over HTTP, with all that its rows do not say plainly."""

import datetime
import functools
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakeven.cli import main
from breakeven.errors import RunFailedError
from breakeven.prices import cached_quotes, keep_quotes, read_quotes, skypilot
from breakeven.prices.cache import cache_path
from breakeven.prices.instances import offers_of
from breakeven.prices.offers import Offer, cheapest
from breakeven.prices.skypilot import CLOUDS, FROM_ENV

TODAY = datetime.date(2026, 11, 28)
HEAD = "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region\n"


def info(name: str, *, count: int = 1, size: float = 24564, total: float | None = None) -> str:
    """GpuInfo as most files write it."""
    gpus = [{"Name": name, "Manufacturer": "NVIDIA", "Count": count, "MemoryInfo": {"SizeInMiB": size}}]
    return str({"Gpus": gpus, "TotalGpuMemoryInMiB": total or size})


def row(
    instance: str,
    name: str,
    count: object = 1,
    *,
    gpu: str,
    price: object = 1.0,
    spot: object = "",
    region: str = "here",
) -> str:
    return f'{instance},{name},{count},8,64,"{gpu.replace(chr(34), chr(34) * 2)}",{price},{spot},"{region}"\n'


def cards(*rows: str, cloud: str = "vast") -> list[tuple[str, int]]:
    """Key and number of cards of every offer."""
    return [(offer.gpu, offer.cards) for offer in offers_of(cloud, (HEAD + "".join(rows)).encode()).offers]


def notes(*rows: str) -> tuple[str, ...]:
    return offers_of("vast", (HEAD + "".join(rows)).encode()).notes


@pytest.mark.parametrize(
    ("size_mib", "key"), [(40960, "a100-40"), (81920, "a100-80"), (40, "a100-40"), (80, "a100-80"), (0, "a100")]
)
def test_a100_is_the_card_of_its_memory(size_mib: int, key: str) -> None:
    assert cards(row("ECS1GPU3", "A100", gpu=info("A100", size=size_mib))) == [(key, 1)]


@pytest.mark.parametrize(
    ("instance", "name", "in_info", "size", "key"),
    [
        ("1x-H100_NVL-32-65536", "H100", "H100", 95830, "h100-nvl"),
        ("1x-H100_SXM-32-65536", "H100", "H100", 81559, "h100-sxm"),
        ("gpu_1x_h100_pcie", "H100", "H100", 81920, "h100-pcie"),
        ("gpu_1x_h100_sxm5", "H100", "H100", 81920, "h100-sxm"),
        ("gpu-h100-sxm_1gpu-16vcpu-200gb", "H100", "H100", 81920, "h100-sxm"),
        ("1x_H100_SECURE", "H100", "H100 PCIe", 80, "h100-pcie"),
        ("1x_A100-80GB_SECURE", "A100-80GB", "A100 PCIe", 80, "a100-80-pcie"),
        ("1x-H100-75-722", "H100", "NVIDIA-H100-80GB-HBM3", 81559, "h100-sxm"),
        ("n3-H100x1", "H100-80G-PCIe", "H100-80G-PCIe", 81920, "h100-pcie"),
        ("1H100.80S.32V", "H100", "H100", 81920, "h100-80"),
        ("ECS1GPU8", "H100", "H100", 81920, "h100-80"),
        ("p5.4xlarge", "H100", "H100", 81920, "h100-80"),
        ("Standard_NC24ads_A100_v4", "A100-80GB", "A100-80GB", 81920, "a100-80"),
        ("VM.GPU.A10.1", "A10", "A10", 24576, "a10"),
        ("2x28v238g_NVIDIA_GeForce_RTX_5090_32G_SECURE", "RTX5090", "RTX5090", 32607, "rtx5090"),
        ("1x_L4_28V_124G", "L4", "L4", 24576, "l4"),
        ("g4dn.xlarge", "T4", "T4", 16384, "t4"),
        ("1x-RTX_4060_Ti-32-65536", "RTX4060", "RTX4060", 16380, "rtx4060ti-16"),
        ("1x-RTX_4070S_Ti-32-65536", "RTX4070", "RTX4070", 16376, "rtx4070tisuper"),
        ("1x-RTX_3060_Ti-32-65536", "RTX3060", "RTX3060", 8192, "rtx3060ti"),
        ("1x-RTX_PRO_6000_S-32-65536", "RTXPRO6000S", "RTXPRO6000S", 97887, "rtxpro6000-server"),
        ("ECS1GPU12", "RTX PRO 6000 96GB", "RTX PRO 6000 96GB", 0, "rtxpro6000"),
        ("1x-RTX_6000Ada-32-65536", "RTX6000-Ada", "RTX6000-Ada", 49140, "rtx6000ada"),
        ("1B300.30V", "B300", "B300", 268288, "b300-sxm"),
        ("gpu_1x_gh200", "GH200", "GH200", 98304, "gh200-96"),
        ("gpu_1x_a100_SXM4_us-central-3", "A100_80G_PCIE", "A100_80G_PCIE", 81920, "a100-80"),
        ("datacrunch__1xRTX6000Ada_48GB__10__60", "RTX6000Ada", "RTX6000Ada", 49152, "rtx6000ada"),
    ],
)
def test_the_card_is_what_instance_info_and_name_say_together(
    instance: str, name: str, in_info: str, size: float, key: str
) -> None:
    assert cards(row(instance, name, gpu=info(in_info, size=size))) == [(key, 1)]


@pytest.mark.parametrize(
    ("instance", "name", "size", "said"),
    [
        ("1x-RTX_4090-32-65536", "RTX4090", 49140, "RTX4090 (1)"),
        ("ECS1GPU", "RTX6000", 24576, "RTX6000 (1)"),
        ("1x-RTX_4090_D-32-65536", "RTX4090D", 24564, "RTX4090D (1)"),
        ("n3-H100x1-NVLink", "H100_NVL", 81920, "H100_NVL (1)"),
        ("cloud-tpu", "tpu-v5", 16384, "tpu-v5 (1)"),
    ],
)
def test_a_card_that_is_another_one_is_left_out_and_named(instance: str, name: str, size: float, said: str) -> None:
    line = row(instance, name, gpu=info(name, size=size))
    assert cards(line) == []
    assert notes(line) == (f"vast: left out, no card of the GPU table: {said}",)


def test_a_number_of_processors_is_not_taken_for_gigabytes() -> None:
    assert cards(row("8x-Tesla_V100-32-65536", "V100", 8, gpu=info("V100", count=8, size=131072))) == [("v100-16", 8)]


def test_memory_is_of_the_set_or_of_a_card_as_the_rest_of_the_file_has_it() -> None:
    h200 = ("2x-H200-32-65536", "H200", 2)
    two = ("2x-A100_SXM4-32-65536", "A100", 2)
    of_set = (
        row(*h200, gpu=info("H200", count=2, size=287542)),
        row(*two, gpu=info("A100", count=2, size=81920)),
    )
    of_card = (
        row(*h200, gpu=info("H200", count=2, size=143771, total=287542)),
        row(*two, gpu=info("A100", count=2, size=81920, total=81920)),
    )
    assert cards(*of_set) == [("h200-sxm", 2), ("a100-40-sxm", 2)]
    assert cards(*of_card) == [("h200-sxm", 2), ("a100-80-sxm", 2)]


@pytest.mark.parametrize(
    "gpu",
    [
        info("B200", size=184320),
        json.dumps({"Gpus": [{"Name": "B200", "Count": 1, "MemoryInfo": {"SizeInMiB": 184320}}]}),
        info("B200", size=184320).replace("'NVIDIA'", "null"),
        "",
        "{[" * 5000,
        "x" * 100_000,
    ],
)
def test_gpu_info_may_be_python_json_neither_or_nothing(gpu: str) -> None:
    assert cards(row("gpu_1x_b200_sxm6", "B200", gpu=gpu)) == [("b200-sxm", 1)]


@pytest.mark.parametrize(
    ("price", "spot", "found"),
    [
        (2.0, 0.0, {"ask": 2.0}),
        (2.0, "", {"ask": 2.0}),
        (2.0, 2.0, {"ask": 2.0}),
        (2.0, 0.7, {"ask": 2.0, "spot": 0.7}),
        ("", 0.7, {"spot": 0.7}),
        ("nan", "inf", {}),
        (-1, -1, {}),
        (0, 0, {}),
        (1e9, "1e308", {}),
        (700.0, 700.0, {}),
        ("cheap", "free", {}),
    ],
)
def test_what_is_no_price_is_none(price: object, spot: object, found: dict[str, float]) -> None:
    line = row("1x-RTX_4090-32-65536", "RTX4090", gpu=info("RTX4090"), price=price, spot=spot)
    offers = offers_of("vast", (HEAD + line).encode())
    assert {offer.kind: offer.usd_per_h for offer in offers.offers} == found
    assert offers.notes == (() if found else ("vast: left out, no price: 1",))


@pytest.mark.parametrize("count", ["0", "0.5", "-1", "nan", "1e99", "many", ""])
def test_a_part_of_a_card_has_no_price(count: str) -> None:
    assert notes(row("g6f.large", "L4", count, gpu=info("L4"))) == ("vast: left out, no whole number of cards: 1",)


def test_a_card_that_is_priced_without_its_machine_has_no_price() -> None:
    line = row("", "A100", gpu=info("A100", size=40960), price=2.93)
    assert notes(line) == ("vast: left out, price of a card without its machine: 1",)


def test_a_machine_without_a_card_is_not_worth_a_note() -> None:
    assert notes("cpu_4x,,,4,16,,0.2,,here\n") == ()


def an_offer(cards: int, usd_per_h: float, *, region: str = "here", gpu: str = "h100-sxm") -> Offer:
    return Offer(gpu=gpu, provider="p", kind="ask", region=region, cards=cards, usd_per_h=usd_per_h)


def quoted(*offers: Offer) -> list[tuple[int, float, str]]:
    found = cheapest(offers, as_of=TODAY, source="x")
    return [(quote.cards_at_least, quote.usd_per_h_card, quote.region) for quote in found]


def test_a_card_that_is_let_in_eights_only_has_no_price_for_one() -> None:
    assert quoted(an_offer(8, 24.0)) == [(8, 3.0, "here")]


def test_the_cheapest_region_of_the_fewest_cards_stands_for_a_market_and_a_discount_for_more_beside_it() -> None:
    one, dear, eight = an_offer(1, 4.0, region="b"), an_offer(1, 5.0, region="a"), an_offer(8, 24.0)
    assert quoted(dear, eight, one) == [(1, 4.0, "b"), (8, 3.0, "here")]
    assert quoted(one, an_offer(8, 31.9)) == [(1, 4.0, "b")]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no catalogue: it lacks the column InstanceType"),
        (b"<!DOCTYPE html><html><body>rate limit", "no catalogue: it lacks the column InstanceType"),
        (b"InstanceType,Price\n1,2\n", "no catalogue: it lacks the column AcceleratorName"),
        (HEAD.encode() + b"a\xff\xfe", "no CSV in UTF-8"),
        (HEAD.encode("utf-16"), "no CSV in UTF-8"),
        (HEAD.encode() + b'"open', "no CSV in UTF-8: unexpected end of data"),
        (HEAD.encode() + b"x" * 200_000, "no CSV in UTF-8: field larger than field limit"),
    ],
)
def test_a_file_that_is_no_catalogue_is_one_clear_line(data: bytes, why: str) -> None:
    with pytest.raises(RunFailedError) as caught:
        offers_of("vast", data)
    assert str(caught.value).startswith(why)
    assert "\n" not in str(caught.value)


@given(st.text(max_size=300))
def test_no_rows_at_all_make_the_reader_fail_in_another_way(text: str) -> None:
    try:
        found = offers_of("x", (HEAD + text).encode("utf-8", errors="surrogatepass"))
    except RunFailedError:
        return
    assert all(0 < offer.usd_per_h_card < 100 for offer in found.offers)


VAST = HEAD + row("1x-RTX_4090-32-65536", "RTX4090", gpu=info("RTX4090"), price=0.4, region="Germany, DE, EU")
LAMBDA = HEAD + row("gpu_8x_h100_sxm5", "H100", 8, gpu=info("H100", count=8, size=81920), price=32.0)

Reply = Callable[[BaseHTTPRequestHandler], None]


def says(body: str | bytes, *, status: int = 200, **headers: str) -> Reply:
    """A plain answer."""
    data = body.encode() if isinstance(body, str) else body

    def reply(asked: BaseHTTPRequestHandler) -> None:
        asked.send_response(status)
        for name, value in headers.items():
            asked.send_header(name, value)
        asked.send_header("Content-Length", str(len(data)))
        asked.end_headers()
        asked.wfile.write(data)

    return reply


def trickles(asked: BaseHTTPRequestHandler, *, status: int = 200, times: int = 100) -> None:
    """A byte now and then, for ever as far as the reader knows."""
    asked.send_response(status)
    asked.send_header("Content-Length", "100000")
    asked.end_headers()
    for _ in range(times):
        asked.wfile.write(b"x")
        asked.wfile.flush()
        time.sleep(0.05)


def fails_and_stalls(asked: BaseHTTPRequestHandler) -> None:
    """A status of no success, and of what it promised to say nothing."""
    asked.send_response(500)
    asked.send_header("Content-Length", "100000")
    asked.end_headers()
    time.sleep(2)


def is_cut(asked: BaseHTTPRequestHandler) -> None:
    """Less than was promised."""
    asked.send_response(200)
    asked.send_header("Content-Length", "100000")
    asked.end_headers()
    asked.wfile.write(VAST.encode())


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Reply]:
    """What the server says of each cloud; 404 for the rest."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return {"vast": says(VAST), "lambda": says(LAMBDA)}


@pytest.fixture
def base(answers: dict[str, Reply]) -> Iterator[str]:
    """Address of a real server with a catalogue."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reply = answers.get(self.path.split("/")[-2]) if self.path.endswith("/vms.csv") else None
            try:
                (reply or says("no", status=404))(self)
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 2 * len(CLOUDS)

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/catalogs/v8"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own."""
    monkeypatch.setenv("BREAKEVEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(FROM_ENV, raising=False)
    return tmp_path / "cache"


def test_every_cloud_is_asked_and_what_each_lets_becomes_quotes(base: str) -> None:
    fetched = skypilot.read(today=TODAY, base=base)
    h100, rtx4090 = sorted(fetched.quotes, key=lambda quote: quote.gpu)
    assert (h100.provider, h100.cards_at_least, h100.usd_per_h_card) == ("lambda", 8, 4.0)
    assert (rtx4090.provider, rtx4090.usd_per_h_card, rtx4090.region) == ("vast", 0.4, "Germany, DE, EU")
    assert {quote.as_of for quote in fetched.quotes} == {TODAY}
    assert rtx4090.source == f"SkyPilot catalogue, vast/vms.csv, from {base}"


def test_a_cloud_that_cannot_be_read_is_one_note_and_does_not_end_the_others(base: str) -> None:
    fetched = skypilot.read(today=TODAY, base=base)
    assert len(fetched.quotes) == 2
    assert len(fetched.notes) == len(CLOUDS) - 2
    assert fetched.notes[0] == "aws: not read: HTTP 404 Not Found"


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (says("<html>", status=200), "no catalogue: it lacks the column InstanceType"),
        (says("", status=302, Location="http://example.org/vms.csv"), "sent elsewhere, to http://example.org"),
        (
            says("", status=302, Location="file:///etc/passwd"),
            "HTTP 302 Found - Redirection to url 'file:///etc/passwd' is not allowed",
        ),
        (says("", status=500), "HTTP 500 Internal Server Error"),
        (says(b"\xff\xfe\x00\x80" * 99), "no CSV in UTF-8"),
        (is_cut, f"cut after {len(VAST)} bytes"),
        (trickles, "not whole within 1 s"),
        (fails_and_stalls, "HTTP 500 Internal Server Error"),
        (functools.partial(trickles, status=500, times=300), "HTTP 500 Internal Server Error"),
    ],
)
def test_a_cloud_that_answers_with_something_else_is_not_believed(
    base: str, answers: dict[str, Reply], reply: Reply, why: str
) -> None:
    answers["runpod"] = reply
    began_s = time.perf_counter()
    fetched = skypilot.read(today=TODAY, base=base, timeout_s=1.0)
    assert time.perf_counter() - began_s < 10
    [note] = [note for note in fetched.notes if note.startswith("runpod:")]
    assert note.startswith(f"runpod: not read: {why}")
    assert "\n" not in note
    assert len(fetched.quotes) == 2


def test_a_redirect_on_the_same_host_is_followed(base: str, answers: dict[str, Reply]) -> None:
    answers["runpod"] = says("", status=302, Location="/elsewhere/vast/vms.csv")
    fetched = skypilot.read(today=TODAY, base=base)
    assert {quote.provider for quote in fetched.quotes} == {"vast", "lambda", "runpod"}


def test_a_file_beyond_the_limit_is_not_read(
    base: str, answers: dict[str, Reply], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(skypilot, "LARGEST_BYTES", 1 << 20)
    answers["runpod"] = says(b"x" * (3 << 20))
    assert "runpod: not read: larger than 1 MiB" in skypilot.read(today=TODAY, base=base).notes


def test_where_nothing_can_be_read_the_command_fails_with_one_line(
    base: str, answers: dict[str, Reply], capsys: pytest.CaptureFixture[str]
) -> None:
    answers.clear()
    assert main(["prices", "--refresh", "--from", base]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (f"breakeven: no prices could be read from {base}; aws: not read: HTTP 404 Not Found\n")
    assert not cache_path().exists()


def test_a_place_where_nobody_listens_is_one_line_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prices", "--refresh", "--from", "http://127.0.0.1:9"]) == 1
    assert "aws: not read: [Errno" in capsys.readouterr().err


def test_a_refresh_is_listed_and_kept_for_the_next_time(base: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prices", "RTX", "4090", "--refresh", "--from", base]) == 0
    said = capsys.readouterr()
    assert "Germany, DE, …" in said.out
    assert f"SkyPilot catalogue, vast/vms.csv, from {base}" in said.out
    assert "h100" not in said.out
    assert len(said.err.splitlines()) == len(CLOUDS) - 2
    assert {quote.gpu for quote in cached_quotes().quotes} == {"rtx4090", "h100-sxm"}
    assert main(["prices", "rtx4090"]) == 0
    assert f"SkyPilot catalogue, vast/vms.csv, from {base}" in capsys.readouterr().out


def test_what_was_saved_is_read_back(base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "saved.csv"
    assert main(["prices", "h100-sxm", "--refresh", "--from", base, "--save", str(saved)]) == 0
    table = capsys.readouterr().out
    quotes = read_quotes(saved.read_text(encoding="utf-8"), where="saved.csv")
    assert (quotes[-1].gpu, "lambda" in {quote.provider for quote in quotes}) == ("h100-sxm", True)
    cache_path().unlink()
    assert main(["prices", "h100-sxm", "--file", str(saved)]) == 0
    assert capsys.readouterr().out == table


def test_the_environment_may_name_the_place(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FROM_ENV, base)
    assert main(["prices", "--refresh"]) == 0
    assert len(cached_quotes().quotes) == 2


def test_a_folder_or_one_file_is_read_in_place_of_the_network(tmp_path: Path) -> None:
    for cloud, text in (("vast", VAST), ("lambda", LAMBDA)):
        (tmp_path / cloud).mkdir()
        (tmp_path / cloud / "vms.csv").write_text(text)
    stamp = datetime.datetime(2026, 10, 1, 12, tzinfo=datetime.UTC).timestamp()
    os.utime(tmp_path / "vast" / "vms.csv", (stamp, stamp))
    assert {quote.provider for quote in skypilot.read(today=TODAY, base=str(tmp_path)).quotes} == {"vast", "lambda"}
    [quote] = skypilot.read(today=TODAY, base=str(tmp_path / "vast" / "vms.csv")).quotes
    assert (quote.provider, quote.as_of) == ("vast", datetime.date(2026, 10, 1))


@pytest.mark.parametrize("place", ["nowhere", "ftp://example.org", "file:///etc"])
def test_a_place_that_is_none_is_wrong_usage(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prices", "--refresh", "--from", place]) == 2
    assert f"{place} is no address, no CSV and no folder" in capsys.readouterr().err


def test_from_without_refresh_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prices", "--from", "gpuhunt"]) == 2
    assert "--from says where --refresh reads; give both" in capsys.readouterr().err


def test_an_unknown_gpu_is_refused_before_anything_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prices", "RTX", "9999", "--refresh", "--from", "http://127.0.0.1:9"]) == 2
    assert "no GPU is called 'RTX 9999'" in capsys.readouterr().err


def test_a_refresh_replaces_a_market_as_a_whole_and_leaves_the_others(base: str, answers: dict[str, Reply]) -> None:
    keep_quotes(skypilot.read(today=TODAY - datetime.timedelta(days=9), base=base).quotes)
    answers["vast"] = says(VAST.replace("RTX_4090", "RTX_5090").replace("RTX4090", "RTX5090").replace("24564", "32607"))
    del answers["lambda"]
    keep_quotes(skypilot.read(today=TODAY, base=base).quotes)
    kept = {(quote.gpu, quote.as_of.day) for quote in cached_quotes().quotes}
    assert kept == {("h100-sxm", 19), ("rtx5090", 28)}


def test_before_the_first_refresh_nothing_is_kept_and_nothing_is_said() -> None:
    assert cached_quotes().quotes == ()
    assert cached_quotes().notes == ()


@pytest.mark.parametrize("data", [b"", b"gpu\n", b"\xff\xfe", b"<html>", b"gpu,provider\nrtx4090"])
def test_a_damaged_cache_is_one_note_and_never_an_error(data: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    cache_path().parent.mkdir(parents=True)
    cache_path().write_bytes(data)
    assert cached_quotes().quotes == ()
    [note] = cached_quotes().notes
    assert "are not used" in note
    assert main(["prices", "rtx4090"]) == 0
    assert capsys.readouterr().err == f"{note}\n"


def test_a_cache_that_cannot_be_written_is_said_and_the_prices_are_listed_all_the_same(
    base: str, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache.write_text("a file where the folder should be")
    assert main(["prices", "--refresh", "--from", base]) == 0
    said = capsys.readouterr()
    assert f"SkyPilot catalogue, vast/vms.csv, from {base}" in said.out
    assert "the prices could not be kept in" in said.err
