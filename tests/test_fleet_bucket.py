"""A set in a bucket, over a real S3 server on this machine (moto's); skipped where it, or obstore, is not installed."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from breakeven.errors import RunFailedError, UsageError
from breakeven.fleet.places import place_of
from breakeven.fleet.rows import make_rows
from breakeven.fleet.store import Added, add, read_set

SERVER = os.environ.get("MOTO_SERVER") or shutil.which("moto_server", path=str(Path(sys.executable).parent))


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    pytest.importorskip("obstore", reason="needs breakeven[grid]: pip install obstore 'moto[server]'")
    if SERVER is None:
        pytest.skip("needs an S3 server: pip install 'moto[server]', or let MOTO_SERVER name its moto_server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        [SERVER, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            _wait(url)
            urllib.request.urlopen(urllib.request.Request(f"{url}/grid", method="PUT")).close()
            told = {"ENDPOINT": url, "ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "b", "REGION": "us-east-1"}
            for name, value in told.items():
                monkeypatch.setenv(f"AWS_{name}", value)
            monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
            yield "s3://grid/fleets/one"
        finally:
            server.terminate()


def _wait(url: str) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(f"{url}/moto-api/").close()
            return
        except urllib.error.URLError:
            time.sleep(0.1)
    raise TimeoutError(url)


def test_a_set_in_a_bucket_is_as_one_in_a_folder(bucket: str) -> None:
    rows = make_rows(
        [{"id": name, "digest": i, "levels": {1: {"output_tok_per_s": 50.0 + i}}} for i, name in enumerate("ab")],
        users=[1],
    )
    with pytest.raises(UsageError, match="no set of results is here"):
        read_set(bucket)
    assert add(bucket, rows) == Added(new=2)
    assert add(bucket, rows) == Added(same=2)
    assert read_set(bucket).output_tok_per_s[:, 0].tolist() == [50, 51]
    assert place_of("s3://grid/fleets").names() == []
    place = place_of(bucket)
    place.remove("never there")
    assert place.names() == ["jobs-00001.parquet"]


def test_a_bucket_that_is_not_there_is_one_line(bucket: str) -> None:
    with pytest.raises(RunFailedError, match=r"^s3://other/x: .*404") as told:
        read_set(bucket.replace("grid/fleets/one", "other/x"))
    assert "\n" not in str(told.value)
