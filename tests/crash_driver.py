"""Runs the command line with a fault: `python -m tests.crash_driver WHERE NTH ARGS…`.

WHERE is `before-commit`, `after-commit`, `after-stage` or `in-compute`; the process kills
itself with SIGKILL at the NTH time that it gets there.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any


def _dies(real: Callable[..., Any], nth: int, *, first: bool) -> Callable[..., Any]:
    calls = 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if first and calls == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **kwargs)
        if calls == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return wrapped


def _arm(where: str, nth: int) -> None:
    from ray_backfill.engine import worker
    from ray_backfill.warehouse.lake.warehouse import Lake

    if where == "after-stage":
        Lake.stage = _dies(Lake.stage, nth, first=False)  # type: ignore[method-assign]
    elif where == "in-compute":
        worker.compute_span = _dies(worker.compute_span, nth, first=True)
    else:
        before = where == "before-commit"
        Lake.publish = _dies(Lake.publish, nth, first=before)  # type: ignore[method-assign]


def main() -> None:
    """Arm the fault, then be `ray-backfill`."""
    from ray_backfill.cli import main as cli

    _arm(sys.argv[1], int(sys.argv[2]))
    sys.argv = ["ray-backfill", *sys.argv[3:]]
    cli()


if __name__ == "__main__":
    main()
