"""`python -m benchmarks`: measure, print, and keep the result as JSON."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import lakes, machine, printer, scaling, upkeep
from benchmarks.profiling import profile
from benchmarks.suite import Settings, of_data, startup

_RESULTS = Path(__file__).parent / "results"


_SCALING = {"scaling": [], "memory": ["--only", "spans", "--only", "model"]}
"""Commands of `benchmarks.scaling`, which has options of its own."""


def main() -> None:
    if sys.argv[1:2] == ["upkeep"]:
        upkeep.main(sys.argv[2:])
        return
    if sys.argv[1:2] and sys.argv[1] in _SCALING:
        scaling.main([*_SCALING[sys.argv[1]], *sys.argv[2:]])
        return
    given = _parser().parse_args()
    if given.command == "profile":
        _profile(given)
        return
    repeats = given.repeats or (1 if given.quick else 3)
    scale = given.scale or (2 if given.quick else 10)
    work = Path(tempfile.mkdtemp(prefix="ray-backfill-benchmark-", dir=given.work))
    console = Console(stderr=True, highlight=False)

    def say(text: str) -> None:
        console.print(f"[dim]{datetime.now(UTC):%H:%M:%S}[/dim] {text}")

    try:
        results = _measure(
            given.only, scale, Settings(repeats, 8 if given.quick else 24, work, say)
        )
    finally:
        shutil.rmtree(work, ignore_errors=True)
    printer.show(results)
    path = _save(results)
    say(f"kept as {path}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="once each, and a league of scale 2")
    parser.add_argument("--repeats", type=int, help="medians of this many [default: 3]")
    parser.add_argument("--scale", type=int, help="leagues side by side [default: 10]")
    parser.add_argument("--only", choices=["real", "league"], help="one of the two data sets")
    parser.add_argument("--work", help="where the lakes are made [default: the temporary folder]")
    commands = parser.add_subparsers(dest="command")
    one = commands.add_parser("profile", help="where the time of one season goes, in this process")
    one.add_argument("--lake", help="a lake with raw tables [default: the real seasons]")
    one.add_argument("--season", help="like 2024-25 [default: the last one]")
    one.add_argument("--functions", type=int, default=0, help="list this many of cProfile too")
    commands.add_parser("scaling", help="everything that docs/scaling.md is made of")
    commands.add_parser("upkeep", help="what grows with history, and what `tidy` does about it")
    commands.add_parser("memory", help="of that: single spans, their memory and their stages")
    return parser


def _measure(only: str | None, scale: int, settings: Settings) -> dict[str, Any]:
    results: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "repeats": settings.repeats,
        "startup": startup(settings),
        "data": [],
        "skipped": [],
    }
    if only != "league":
        absent = lakes.why_absent()
        if absent:
            results["skipped"].append(absent)
        else:
            settings.say("loading the real seasons")
            results["data"].append(of_data(lakes.real(settings.work), settings))
    if only != "real":
        settings.say(f"making a league × {scale}")
        few = Settings(settings.repeats, max(2, settings.days // 4), settings.work, settings.say)
        results["data"].append(of_data(lakes.league(settings.work, scale), few))
    return results


def _profile(given: argparse.Namespace) -> None:
    if given.lake:
        profile(given.lake, given.season, functions=given.functions)
        return
    absent = lakes.why_absent()
    if absent:
        sys.exit(f"{absent}; or give a lake with --lake")
    with tempfile.TemporaryDirectory(prefix="ray-backfill-profile-") as folder:
        data = lakes.real(Path(folder))
        profile(str(data.lake), given.season, functions=given.functions)


def _save(results: dict[str, Any]) -> Path:
    _RESULTS.mkdir(exist_ok=True)
    name = results["at"].replace(":", "").replace("-", "").removesuffix("+0000")
    path = _RESULTS / f"{name}.json"
    path.write_text(json.dumps(results, indent=1, default=str) + "\n")
    return path


if __name__ == "__main__":
    main()
