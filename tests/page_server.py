"""A real HTTP server of one page for a test, and the page of a DCGM exporter."""

import contextlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


@contextlib.contextmanager
def serving(page: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Its address on this machine, until the end."""
    with HTTPServer(("127.0.0.1", 0), page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class TwoGpus(BaseHTTPRequestHandler):
    """DCGM's page of two GPUs that draw 120 and 30 W, the counter renewed every half second."""

    def do_GET(self) -> None:
        if self.path != "/metrics":
            self.send_error(404)
            return
        now_s = time.monotonic() // 0.5 * 0.5
        lines = [
            f'{name}{{gpu="{gpu}",modelName="NVIDIA L40S",pod="p{gpu}"}} {value}\n'
            for gpu, watts in enumerate((120.0, 30.0))
            for name, value in (
                ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", now_s * watts * 1e3),
                ("DCGM_FI_DEV_GPU_UTIL", 80),
            )
        ]
        self.send_response(200)
        self.end_headers()
        self.wfile.write("".join(lines).encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""
