"""`ray-backfill` whose demand on a cluster is forgotten soon: `python -m tests.quick_demand …`."""

from __future__ import annotations

from ray_backfill.cli import main
from ray_backfill.engine import demand

if __name__ == "__main__":
    demand.FORGET_SECONDS = 4.0
    main()
