"""Who else is busy on this machine: CPU time of processes neither ours nor the engine's, by name, from /proc."""

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

from breakeven.clock import cpu_s, now_s
from breakeven.errors import one_line
from breakeven.telemetry.source import AbsentError, Row

NOTABLE: Final = 0.05
"""Of a core between two looks: from then on a name is told of."""
MOST_NAMES: Final = 50
COST_SHARE: Final = 0.003
"""Of a core, that looking may take: where there are many hundreds of processes, looks are rarer than once a second."""
LONGEST_NAME: Final = 40
_KERNEL: Final = "kthreadd"
"""Parent of the kernel's own threads."""
_LISTENS: Final = b"0A"
_FORWARDERS: Final = ("docker-proxy", "conmon", "rootlessport", "slirp4netns", "pasta")
"""They listen for a container, whose processes are then not known to be the engine's."""
_RAY: Final = "ray::RayClient"
"""Name that Ray gives our actors, which are not our children."""


class _Process(NamedTuple):
    name: str
    parent: int
    cpu_s: float
    key: tuple[int, int]
    """Number and start, since numbers are given again."""


class Company:
    """`others_cpu_s` of all of them, and `cpu_s` of each name that took more than 5 % of a core between two looks.

    Ours are the process that started the sampler and all that it started, the engine with them; the engine's are also
    what listens on `port`, what that started, and parents of its name. `port` is None where the engine is elsewhere.
    """

    every_s: ClassVar[float] = 1.0
    may_wait: ClassVar[bool] = True

    def __init__(
        self,
        *,
        port: int | None,
        in_socket_file: bool = False,
        root: str = "/proc",
        ours: int | None = None,
        ticks_per_s: float | None = None,
    ) -> None:
        self.missing: dict[str, str] = {}
        self._root = Path(root)
        self._ticks_per_s = ticks_per_s or os.sysconf("SC_CLK_TCK")
        if not (self._root / "self" / "stat").is_file():
            raise AbsentError(f"{self._root} is not there; other processes are seen on Linux only")
        if in_socket_file:
            raise AbsentError("the engine listens on a socket file, so that it cannot be told from other processes")
        self._roots = {os.getppid() if ours is None else ours}
        self._roots |= set() if port is None else self._engine(port)
        self._known: set[tuple[int, int]] = set()
        """Ours, once and for all: a parent may end before its child."""
        self._cpu_s: dict[tuple[int, int], float] | None = None
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._told: set[str] = set()
        self._last_s = now_s()
        self._next_s = 0.0

    def rows(self) -> Iterator[Row]:
        """What others have spent since the first look; nothing where the last one was dear and not long ago."""
        at_s, began_cpu_s = now_s(), cpu_s()
        if at_s < self._next_s:
            return
        found = self._processes()
        before = dict(self._spent)
        for pid, process in found.items():
            if self._is_ours(pid, found):
                continue
            # one that was not there at the last look has begun since, so that all its time counts
            seen_s = process.cpu_s if self._cpu_s is None else self._cpu_s.get(process.key, 0.0)
            self._spent[process.name] += process.cpu_s - seen_s
        self._cpu_s = {process.key: process.cpu_s for process in found.values()}
        least_s = NOTABLE * max(at_s - self._last_s, 1e-3)
        for name, spent_s in self._spent.items():
            if name in self._told:
                yield Row(at_s, name, {"cpu_s": spent_s})
            elif spent_s - before.get(name, 0.0) > least_s and len(self._told) < MOST_NAMES:
                self._told.add(name)
                yield Row(self._last_s, name, {"cpu_s": before.get(name, 0.0)})
                yield Row(at_s, name, {"cpu_s": spent_s})
        self._last_s, self._next_s = at_s, at_s + (cpu_s() - began_cpu_s) / COST_SHARE
        yield Row(at_s, None, {"others_cpu_s": sum(self._spent.values())})

    def _processes(self) -> dict[int, _Process]:
        found = {}
        for word in os.listdir(self._root):  # noqa: PTH208  (of hundreds of processes each second, names suffice)
            if word.isdigit() and (process := self._read(int(word))) is not None:
                found[int(word)] = process
        return found

    def _read(self, pid: int) -> _Process | None:
        """None for one that has ended meanwhile, or that we may not see."""
        try:
            with open(f"{self._root}/{pid}/stat", "rb") as file:  # noqa: PTH123  (as above)
                data = file.read()
            head, _, rest = data.rpartition(b")")
            words = rest.split()
            name = one_line(head.partition(b"(")[2].decode("utf-8", "replace"), limit=LONGEST_NAME)
            cpu_s = (int(words[11]) + int(words[12])) / self._ticks_per_s
            return _Process(name or "?", int(words[1]), cpu_s, (pid, int(words[19])))
        except (OSError, ValueError, IndexError):
            return None

    def _is_ours(self, pid: int, found: dict[int, _Process]) -> bool:
        """It, or one that started it, is one of ours; the kernel's threads are nobody's."""
        at, path = pid, []
        while at in found and at not in self._roots and found[at].key not in self._known:
            path.append(found[at].key)
            if found[at].name == _KERNEL or found[at].name.startswith(_RAY):
                break
            at = found[at].parent
        else:
            if at not in found:
                return False
        self._known.update(path)
        return True

    def _engine(self, port: int) -> set[int]:
        """The processes that listen on a port, and their parents of the same name, as a launcher of several has it."""
        found = self._processes()
        sockets = self._sockets(port)
        holders = {pid for pid in found if self._holds(pid, sockets)}
        if not holders or any(found[pid].name in _FORWARDERS for pid in holders):
            raise AbsentError(
                f"what listens on port {port} cannot be seen (another user's, or in a container), so that the engine "
                "cannot be told from other processes"
            )
        for pid in tuple(holders):
            name = found[pid].name
            at = found[pid].parent
            while at in found and found[at].name == name and not name.startswith("python"):
                holders.add(at)
                at = found[at].parent
        return holders

    def _sockets(self, port: int) -> set[str]:
        """What the links of the sockets that listen on a port say."""
        found = set()
        for table in ("tcp", "tcp6"):
            try:
                lines = (self._root / "net" / table).read_bytes().splitlines()[1:]
            except OSError:
                continue
            for words in map(bytes.split, lines):
                if words[3] == _LISTENS and int(words[1].rpartition(b":")[2], 16) == port:
                    found.add(f"socket:[{words[9].decode()}]")
        return found

    def _holds(self, pid: int, sockets: set[str]) -> bool:
        folder = self._root / str(pid) / "fd"
        try:
            return any(_link(one) in sockets for one in folder.iterdir())
        except OSError:
            return False


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""
