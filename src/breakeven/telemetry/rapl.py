"""Energy of the CPU packages, by the kernel's RAPL counters (Intel and AMD share the tree under `powercap`)."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final

from breakeven.clock import now_s
from breakeven.telemetry.source import SAMPLE_EVERY_S, AbsentError, Row

POWERCAP: Final = "/sys/class/powercap"
UJ_PER_J: Final = 1_000_000


class Rapl:
    """Joules since the first reading, one device a package. Zones inside a package, memory and psys are left out."""

    every_s: ClassVar[float] = SAMPLE_EVERY_S
    may_wait: ClassVar[bool] = False

    def __init__(self, *, root: str = POWERCAP) -> None:
        zones = sorted(Path(root).glob("intel-rapl:*"))
        packages = [zone for zone in zones if zone.name.count(":") == 1 and _text(zone / "name").startswith("package")]
        if not packages:
            raise AbsentError(f"no CPU package under {root}: the kernel or the virtual machine shows no RAPL counters")
        self.missing: dict[str, str] = {}
        self._counters = [counter for zone in packages if (counter := self._open(zone)) is not None]
        if not self._counters:
            raise AbsentError(next(iter(self.missing.values())))

    def _open(self, zone: Path) -> "_Counter | None":
        name = _text(zone / "name")
        try:
            return _Counter(name, zone)
        except PermissionError:
            why = f"{zone / 'energy_uj'} may be read by root only; run as root, or chmod a+r it"
        except (OSError, ValueError) as error:
            why = f"{zone}: {error}"
        self.missing[f"{name}.energy_j"] = why
        return None

    def rows(self) -> Iterator[Row]:
        """The counters now."""
        for counter in self._counters:
            try:
                yield Row(now_s(), counter.name, {"energy_j": counter.energy_j()})
            except (OSError, ValueError) as error:
                self.missing[f"{counter.name}.energy_j"] = str(error)


class _Counter:
    """One package's counter without its wrap-around: at `max_energy_range_uj`, some minutes of full load, it starts
    again at 0. A counter is read often enough never to wrap twice between two readings."""

    def __init__(self, name: str, zone: Path) -> None:
        self.name = name
        self._path = zone / "energy_uj"
        self._range_uj = int(_text(zone / "max_energy_range_uj"))
        self._last_uj = self._read()
        self._sum_uj = 0

    def _read(self) -> int:
        return int(self._path.read_text(encoding="ascii"))

    def energy_j(self) -> float:
        """Joules since the first reading."""
        read_uj = self._read()
        step_uj = read_uj - self._last_uj
        self._sum_uj += step_uj if step_uj >= 0 else step_uj + self._range_uj
        self._last_uj = read_uj
        return self._sum_uj / UJ_PER_J


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return ""
