"""`python -m ray_backfill` is `ray-backfill`."""

from ray_backfill.cli import main

main()
