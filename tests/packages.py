"""Writes small job packages, for tests in which code is edited."""

from __future__ import annotations

from pathlib import Path
from secrets import token_hex

_JOB = '''"""A job of its own."""

from dataclasses import replace

from ray_backfill.job import NoOptions
from tests.rolling_job import JOB as ROLLING
from {name} import gates, values

JOB = replace(
    ROLLING,
    name="{name}",
    compute=values.compute,
    modules=("{name}.values",),
    options=NoOptions,
    gates=(gates.gate,),
)
'''

_VALUES = """import polars as pl

from ray_backfill.job import Computed

FACTOR = 1.0


def compute(frames, dates, context):
    sold = frames["sales"].unique().filter(pl.col("day").is_in(list(dates)))
    mean = pl.col("amount").fill_null(0).cast(pl.Float64) * FACTOR
    return Computed(sold.select("day", "shop", mean.alias("mean")))
"""

_GATES = """from {name}.limits import HIGHEST


def gate(rows, day):
    high = rows.filter(rows["mean"] > HIGHEST)
    return None if high.is_empty() else f"{{high.height}} means are too high"
"""


class Package:
    """A package with a job that sums up sales, whose values and gates are modules of their own."""

    def __init__(self, folder: Path) -> None:
        self.name = f"edited_{token_hex(4)}"
        self.job = f"{self.name}:JOB"
        self._folder = folder / self.name
        self._folder.mkdir(parents=True)
        self.write("__init__", _JOB.format(name=self.name))
        self.write("values", _VALUES)
        self.write("gates", _GATES.format(name=self.name))
        self.write("limits", "HIGHEST = 1e9\n")

    def path(self, module: str) -> Path:
        """The file of a module."""
        return self._folder / f"{module}.py"

    def write(self, module: str, text: str) -> None:
        """Make a module hold this text."""
        self.path(module).write_text(text)

    def edit(self, module: str, old: str, new: str) -> None:
        """Replace a part of a module, which it holds."""
        text = self.path(module).read_text()
        assert old in text
        self.write(module, text.replace(old, new))
