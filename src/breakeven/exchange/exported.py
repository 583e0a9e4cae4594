"""How the writers of other tools' formats call a level."""

from breakeven.metrics.summary import LevelSummary


def level_name(level: LevelSummary) -> str:
    """`users-50`, `rate-2.5`, `users-50-repeat-1`: the load, for names of files and series."""
    load = f"users-{level.users}" if level.users is not None else f"rate-{level.req_per_s_offered or 0:g}"
    return load + (f"-repeat-{level.repeat}" if level.repeat else "")
