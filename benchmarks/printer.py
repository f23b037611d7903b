"""Prints the results as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

__all__ = ["show", "table"]

_STAGES = ("read", "digest", "compute", "stage", "commit")
_MIB = 2**20
_WIDTH = 150


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Text in the first column, numbers to the right."""
    out = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(columns):
        out.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        out.add_row(*row)
    # A table that does not fit is better wrapped by the terminal than cut.
    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, _WIDTH)
    console.print(out)


def show(results: dict[str, Any]) -> None:
    """Everything that one run of the benchmark found."""
    machine, startup = results["machine"], results["startup"]
    load = ", ".join(map(str, machine["load_average"]))
    table(
        f"{machine['cores']} cores, {machine['cpu']}, "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB, load {load}; "
        f"medians of {results['repeats']}",
        ["start", "seconds", "goal"],
        [
            ("--help", _seconds(startup["help"]), "0.4"),
            ("import ray", _seconds(startup["import_seconds"]), ""),
            ("Ray's start, two workers", _seconds(startup["start_seconds"]), ""),
        ],
    )
    for data in results["data"]:
        _show_data(data)
    for reason in results["skipped"]:
        Console(highlight=False, soft_wrap=True).print(f"Skipped: {reason}")


def _show_data(data: dict[str, Any]) -> None:
    name = f"{data['name']}: {data['dates']:,.0f} dates, {data['rows']:,.0f} rows"
    table(
        f"{name}: plan of all dates",
        ["cache", "seconds", "goal"],
        [
            (key, _seconds(value), "2.0" if key == "warm" else "")
            for key, value in data["plan"].items()
        ],
    )
    _show_runs(name, data)
    _show_ratios(name, data)
    if "memory" in data:
        _show_memory(data)


def _show_runs(name: str, data: dict[str, Any]) -> None:
    rows = [
        (
            mode,
            *(_seconds(run[part]) for part in ("wall", "plan", "ray_start", "work")),
            *(_seconds(run["stages"].get(stage, 0.0)) for stage in _STAGES),
            *(_mib(run[part]) for part in ("driver_peak", "worker_peak")),
        )
        for mode, run in data["runs"].items()
    ]
    plain = data["plain_polars"]
    stages = plain["stages"]
    blank = ("–",)
    rows.append(
        (
            "plain Polars", _seconds(plain["wall"]), *blank * 3,
            _seconds(stages["read"]), *blank, _seconds(stages["compute"]),
            _seconds(stages["write"]), *blank, _mib(plain["peak_bytes"]), *blank,
        )
    )  # fmt: skip
    table(
        f"{name}: a backfill from nothing, seconds (stages add up over the workers) and MiB",
        ["", "wall", "plan", "Ray", "work", *_STAGES, "driver", "a worker"],
        rows,
    )


def _show_ratios(name: str, data: dict[str, Any]) -> None:
    rows = []
    for mode, ratio in data["against_plain"].items():
        pandas = [f"{ratios[mode]:.0f}" for ratios in data["against_pandas"].values()]
        overhead = data["overhead_per_date"][mode] * 1000
        rows.append((mode, f"{ratio:.2f}", f"{overhead:.1f} ms", *pandas))
    table(
        f"{name}: against the baselines (goals: at most 2.5; at least 20 ×)",
        [
            "",
            "(run − Ray) ÷ plain",
            "overhead a date",
            *(f"× faster than pandas, {style}" for style in data["against_pandas"]),
        ],
        rows,
    )
    rows = []
    for style, found in data["pandas"].items():
        same = found["same_work"]
        rows.append(
            (
                style, f"{same['dates']}", f"{found['per_date'] * 1000:.0f} ms",
                _seconds(found["load_seconds"]), _mib(found["worker_peak"]),
                f"{same['columns']}", f"{same['values']:,}", f"{sum(same['differing'].values()):,}",
            )
        )  # fmt: skip
    table(
        "The pandas scripts, two processes; loading is not counted in the time of a date",
        ["", "dates", "a date", "loading", "MiB each", "columns", "values compared", "differ"],
        rows,
    )


def _show_memory(data: dict[str, Any]) -> None:
    table(
        f"{data['name']}: peak MiB of one season and of all",
        ["", "driver", "driver, all", "worker", "worker, all"],
        [
            (
                mode,
                *(
                    _mib(peak[who][span])
                    for who in ("driver_peak", "worker_peak")
                    for span in ("one season", "all seasons")
                ),
            )
            for mode, peak in data["memory"].items()
        ],
    )


def _seconds(value: float) -> str:
    return f"{value:.2f}"


def _mib(value: float) -> str:
    return f"{value / _MIB:,.0f}"
