"""`ray-backfill` that begins its last spans only when a file exists: `… patient_run ARGS FILE`.

Until then it goes on needing as many machines as it has workers, however soon it does the rest.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ray_backfill.cli import main
from ray_backfill.engine import on_ray
from ray_backfill.engine.task import Task


class Patient(on_ray.RayExecutor):
    """Keeps back as many tasks as there are workers."""

    gate: Path
    """The file."""

    def fitting(self, ready: Sequence[Task], later: Sequence[Task]) -> list[Task]:
        found = super().fitting(ready, later)
        if self.gate.exists():
            return found
        return found[: max(0, len(ready) + len(later) - self._workers)]


if __name__ == "__main__":
    Patient.gate = Path(sys.argv.pop())
    on_ray.RayExecutor = Patient
    main()
