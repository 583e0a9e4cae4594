"""At which service runs are read: floors, limits on latency, loads, and what the runs stand for."""

from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from breakeven.metrics.slo import Slo


class Level(Struct, frozen=True, kw_only=True):
    """At which service two runs are compared."""

    floors: tuple[float, ...] = ()
    slo: str | None = None
    users: tuple[float, ...] = ()
    scope: Literal["machines", "gpu_type"] = "machines"
    between_node_sd_log: float | None = None
    seed: int = 0

    def limits(self) -> "Slo | None":
        """The SLO, read."""
        from breakeven.metrics.slo import parse_slo

        return None if self.slo is None else parse_slo(self.slo)


ANY_LEVEL: Final = Level()
