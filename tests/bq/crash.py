"""Runs the command line with a fault: `python -m tests.bq.crash ARGS…`.

The process kills itself with SIGKILL between the commit of its first streams and the statement
that would publish them.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any


def main() -> None:
    """Arm the fault, then be `ray-backfill`."""
    from ray_backfill.cli import main as cli
    from ray_backfill.warehouse.bigquery import publish as _bq_publish

    def die(*_: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    _bq_publish.replace = die
    sys.argv = ["ray-backfill", *sys.argv[1:]]
    cli()


if __name__ == "__main__":
    main()
