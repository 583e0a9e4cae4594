"""At which service runs are read: floors, limits on latency, loads, and what the runs stand for."""

from typing import TYPE_CHECKING, Final, Literal

from msgspec import Struct

from breakeven.errors import UsageError

if TYPE_CHECKING:
    from breakeven.metrics.slo import ServiceLevel, Slo


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

    def service(self, command: str) -> "ServiceLevel":
        """The one service level that a command asks for, a floor, limits, or both; UsageError for none or several."""
        from breakeven.metrics.slo import ServiceLevel, service_levels

        if len(self.floors) > 1:
            raise UsageError(f"{command}: give one --floor, at which every card is read")
        if not service_levels(floors=self.floors, slo=self.limits()):
            raise UsageError(
                f"{command}: say what a user must get, such as --floor 25, or --slo ttft_p50=1s,tpot_p50=50ms"
            )
        return ServiceLevel(floor_tok_per_s_per_user=self.floors[0] if self.floors else None, slo=self.limits())


ANY_LEVEL: Final = Level()
