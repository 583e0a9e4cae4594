"""A stand-in for docker, which is the boundary of this program: a command that takes docker's words, and a daemon.

The command records its words and behaves as docker's client does: `run` waits for the container and passes TERM on;
killed, it leaves the container running, since that is the daemon's child. The daemon is a thread here; a container is
a reference server on the published port.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

DIGEST = "sha256:" + "ab" * 32
COMMAND = f"""#!{sys.executable} -ES
import json, os, signal, sys, time
state, words = {{state!r}}, sys.argv[1:]
with open(state + "/calls", "a") as calls:
    calls.write(json.dumps(words) + "\\n")

def pid_of(name):
    try:
        return int(open(f"{{{{state}}}}/{{{{name}}}}.pid").read())
    except (OSError, ValueError):
        return None

def alive(name):
    return os.path.exists(f"{{{{state}}}}/{{{{name}}}}.pid")

if words[:2] == ["image", "inspect"]:
    if not os.path.exists(state + "/pulled"):
        sys.exit("Error: No such image: " + words[-1])
    repository = words[-1].rpartition(":")[0]
    digests = ["other/name@sha256:00", repository + "@{DIGEST}"]
    print(json.dumps([{{{{"RepoDigests": digests, "Id": "sha256:1", "Size": 1}}}}]))
elif words[0] == "pull":
    if words[1].startswith("no/"):
        sys.exit("Error response from daemon: pull access denied for no/image, repository does not exist")
    open(state + "/pulled", "w").close()
elif words[0] == "run":
    name = words[words.index("--name") + 1]
    if "bad/oom" in " ".join(words):
        sys.exit("torch.OutOfMemoryError: CUDA out of memory.")
    signal.signal(signal.SIGTERM, lambda *_: os.kill(pid_of(name), signal.SIGTERM))
    with open(state + "/tmp", "w") as request:
        json.dump(words, request)
    os.rename(state + "/tmp", f"{{{{state}}}}/{{{{name}}}}.wanted")
    while not alive(name):
        time.sleep(0.01)
    while alive(name):
        time.sleep(0.02)
elif words[0] == "rm":
    name = words[-1]
    if not alive(name):
        sys.exit("Error response from daemon: No such container: " + name)
    os.kill(pid_of(name), signal.SIGKILL)
    while alive(name):
        time.sleep(0.01)
elif words[0] == "version":
    print("99.1")
"""
DEAF = "import signal, sys, time; signal.signal(15, signal.SIG_IGN); open(sys.argv[1], 'w'); time.sleep(100)"


class FakeDocker:
    """The daemon, and what was said to the command."""

    def __init__(self, folder: Path, *, is_deaf: bool = False) -> None:
        self.state, self.path = folder / "state", folder / "bin"
        self.is_deaf = is_deaf
        """Containers serve nothing and do not listen to TERM."""
        self._over = threading.Event()
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._thread = threading.Thread(target=self._serve)
        self.state.mkdir()
        self.path.mkdir()
        command = self.path / "docker"
        command.write_text(COMMAND.format(state=str(self.state)))
        command.chmod(0o755)

    def calls(self) -> list[list[str]]:
        """The words of every call, in order."""
        return [json.loads(line) for line in (self.state / "calls").read_text().splitlines()]

    def containers(self) -> list[str]:
        """Names of the containers that run."""
        return [path.stem for path in self.state.glob("*.pid")]

    def _serve(self) -> None:
        while not self._over.is_set():
            for wanted in self.state.glob("*.wanted"):
                self._start(wanted.stem, json.loads(wanted.read_text()))
                wanted.unlink()
            for name in [name for name, process in self._running.items() if process.poll() is not None]:
                del self._running[name]
                (self.state / f"{name}.pid").unlink()
            time.sleep(0.01)

    def _start(self, name: str, words: list[str]) -> None:
        port = words[words.index("--publish") + 1].split(":")[1]
        serve = ["-m", "breakeven.client.reference", "--port", port, "--model", "m"]
        argv = [sys.executable, *(["-c", DEAF, str(self.state / "deaf")] if self.is_deaf else serve)]
        self._running[name] = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        pid = self.state / f"{name}.starting"
        pid.write_text(str(self._running[name].pid))
        pid.rename(self.state / f"{name}.pid")

    def __enter__(self) -> "FakeDocker":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for process in self._running.values():
            process.kill()
            process.wait()


def fake_docker(folder: Path) -> Iterator[FakeDocker]:
    """For a fixture."""
    with FakeDocker(folder) as docker:
        yield docker
