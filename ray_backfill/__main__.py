"""`python -m ray_backfill` is the command line."""

from __future__ import annotations

import sys

try:
    from ray_backfill.cli import main
except ModuleNotFoundError as error:
    # Typer is the first that another Python lacks. Nothing else can be said without it.
    if (error.name or "").startswith("ray_backfill"):
        raise
    from ray_backfill.job.blame import lacking

    refused = lacking(error)
    sys.stderr.write(f"error: {refused.message}\n  {refused.hint}\n")
    sys.exit(refused.exit_code)

main()
