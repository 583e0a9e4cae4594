"""How many files a process may have open: a user needs one, its connection."""

import math
from collections.abc import Sequence
from typing import Final

from breakeven.errors import UsageError

RESERVED_FILES: Final = 128
"""For all that is no connection: pipes, logs, the loop, telemetry."""
_MOST: Final = 1 << 20
"""What is asked for at most: where the hard limit is a billion, a program that we start may close them one by one."""


def raise_limit() -> int | None:
    """Raise the soft limit to the hard one, and give what is then allowed; None where there is no limit to know."""
    try:
        import resource
    except ImportError:  # not a POSIX system
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft == resource.RLIM_INFINITY:
        return None
    if soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):  # macOS has a lower limit of its own
            return soft
    return max(soft, wanted)


def check_users(levels: Sequence[int], *, clients: int, replicas: int = 1) -> None:
    """UsageError, before anything is asked, where users would get no connection; it names how many do."""
    limit, most = raise_limit(), max(levels, default=0)
    if limit is None or math.ceil(most / clients) * replicas + RESERVED_FILES <= limit:
        return
    each = max(0, limit - RESERVED_FILES) // replicas
    more = f", --clients {math.ceil(most / each)}" if each else ""
    many = "a connection each" if replicas == 1 else f"{replicas} connections each, one to every replica"
    raise UsageError(
        f"--users {most} needs {many}, and this client may have {limit} files open (ulimit -Hn): at most "
        f"{each * clients} users fit; raise the limit{more}, or measure fewer users"
    )
