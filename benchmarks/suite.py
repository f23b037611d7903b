"""The whole benchmark: every measurement, its medians, and the ratios of the same run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import measures
from benchmarks.lakes import DataSet, clear_output, sample_days

__all__ = ["Settings", "of_data", "startup"]


@dataclass(frozen=True)
class Settings:
    """`days`: how many dates the pandas scripts get; `say` hears what is being measured."""

    repeats: int
    days: int
    work: Path
    say: Callable[[str], None]


def startup(settings: Settings) -> dict[str, Any]:
    """What a command costs before it does anything."""
    settings.say("--help, import ray, Ray's start")
    helps = [measures.help_seconds() for _ in range(settings.repeats + 2)]
    rays = [measures.ray_start() for _ in range(settings.repeats)]
    return {"help": median(helps), **_medians(rays)}


def of_data(data: DataSet, settings: Settings) -> dict[str, Any]:
    """Every measurement of one data set.

    A repeat does each thing once, one after another, so that a busy minute of the machine falls
    on the engine and on the baselines alike.
    """
    rounds = [_round(data, settings, number) for number in range(settings.repeats)]
    runs = {mode: _medians([r["runs"][mode] for r in rounds]) for mode in measures.MODES}
    found: dict[str, Any] = {
        "name": data.name,
        "dates": runs["no-parallel"]["dates"],
        "rows": runs["no-parallel"]["rows"],
        "load_average": [round(value, 1) for value in os.getloadavg()],
        "plan": _medians([r["plan"] for r in rounds]),
        "runs": runs,
        "plain_polars": _medians([r["plain"] for r in rounds]),
        "pandas": {style: _numbers(rounds, style) for style in rounds[0]["pandas"]},
    }
    if data.seasons > 1:
        found["memory"] = _memory(data, settings, runs)
    return {**found, **_ratios(rounds, found)}


def _round(data: DataSet, settings: Settings, number: int) -> dict[str, Any]:
    told = f"{data.name}, round {number + 1} of {settings.repeats}"
    settings.say(f"{told}: plain Polars")
    plain = measures.plain_polars(data, settings.work)
    runs = {}
    for mode in measures.MODES:
        settings.say(f"{told}: run, {mode}")
        runs[mode] = measures.engine_run(data, mode)
    if plain["dates"] != runs["no-parallel"]["dates"]:
        settings.say(f"note: the script wrote {plain['dates']} dates")
    settings.say(f"{told}: plan")
    plan = measures.plan_seconds(data)
    return {"plain": plain, "runs": runs, "plan": plan, "pandas": _pandas(data, settings, told)}


def _pandas(data: DataSet, settings: Settings, told: str) -> dict[str, Any]:
    """Both pandas scripts, over the output of the last run."""
    days = sample_days(data, settings.days)
    found: dict[str, Any] = {}
    for style, by_groups in (("player by player", False), ("groupby", True)):
        settings.say(f"{told}: pandas, {style}, {len(days)} dates")
        found[style] = measures.pandas_pool(data, settings.work, days, by_groups=by_groups)
    return found


def _memory(data: DataSet, settings: Settings, runs: dict[str, Any]) -> dict[str, Any]:
    """Peaks of a run over one season beside those over all."""
    found = {}
    for mode in ("no-parallel", "2 workers"):
        settings.say(f"{data.name}: memory of one season, {mode}")
        one = measures.engine_run(data, mode, data.season)
        found[mode] = {
            name: {"one season": one[name], "all seasons": runs[mode][name]}
            for name in ("driver_peak", "worker_peak")
        }
    clear_output(data)
    return found


def _ratios(rounds: Sequence[dict[str, Any]], found: dict[str, Any]) -> dict[str, Any]:
    """Ratios within a round, then their median: both sides had the same machine."""
    plain = [r["plain"]["wall"] for r in rounds]
    against, overhead = {}, {}
    for mode in measures.MODES:
        runs = [r["runs"][mode] for r in rounds]
        pairs = list(zip(runs, plain, strict=True))
        against[mode] = median((one["wall"] - one["ray_start"]) / wall for one, wall in pairs)
        overhead[mode] = median(
            (one["wall"] - one["ray_start"] - wall) / one["dates"] for one, wall in pairs
        )
    pandas = {
        style: {
            mode: median(_faster(r["pandas"][style], r["runs"][mode]) for r in rounds)
            for mode in measures.MODES
        }
        for style in found["pandas"]
    }
    return {
        "against_plain": against,
        "overhead_per_date": overhead,
        "against_pandas": pandas,
    }


def _numbers(rounds: Sequence[dict[str, Any]], style: str) -> dict[str, Any]:
    """Medians of a pandas script; what it computed is the same in every round."""
    results = [r["pandas"][style] for r in rounds]
    numbers = [{k: v for k, v in one.items() if k != "same_work"} for one in results]
    return {**_medians(numbers), "same_work": results[0]["same_work"]}


def _faster(pandas: dict[str, Any], run: dict[str, Any]) -> float:
    """How many times faster a date of the run is, its start and plan and Ray's start included."""
    return float(pandas["per_date"] / (run["wall"] / run["dates"]))


def _medians(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The median of each number, also within the stages."""
    first = results[0]
    return {
        name: _medians([r[name] for r in results])
        if isinstance(value, dict)
        else median(r[name] for r in results)
        for name, value in first.items()
    }
