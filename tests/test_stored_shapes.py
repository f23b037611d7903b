"""Objects of the right kind and of another shape: they count as absent, with a warning."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from ray_backfill import untrusted
from ray_backfill.engine.control import find_run
from ray_backfill.plan.sizing import BASE_BYTES
from ray_backfill.record.journal import last_attempts, read_journal, run_ids
from ray_backfill.record.progress import fold
from ray_backfill.record.report import past_memory_factor, past_rate, save_report
from ray_backfill.warehouse import Warehouse, open_warehouse
from tests.conftest import DAYS, environment, sales
from tests.engine import ROLLING, planned, ran
from tests.memory import Memory
from tests.rolling_job import MEANS, SALES
from tests.test_survey_cache import JOB, begun, decisions, known_code, run

VALUES = (None, True, 7, -1.5, float("nan"), "x", [], [[]], {}, {"x": 1})
"""One of each that JSON has; no date, and no digest."""


@pytest.mark.parametrize(
    ("shape", "good", "bad"),
    [
        (str, ["", "x"], [None, 1, ["x"]]),
        (int, [0, -7], [True, 1.0, "1", None]),
        (float, [0, 1.5], [True, float("nan"), float("inf"), "1"]),
        (bool, [True], [1, None]),
        (str | None, ["x", None], [1]),
        (date, ["2025-01-01"], ["2025-02-30", "x", 20250101, None]),
        (datetime | None, ["2025-01-01T10:00:00+00:00", None], ["x", 5]),
        ([int], [[], [1, 2]], [[1, "x"], 1, {}, None]),
        ((str, int), [["a", 1]], [["a"], ["a", 1, 2], ["a", "b"], "ab"]),
        ({str: int}, [{}, {"a": 1}], [{"a": "b"}, [], None]),
        ({date: int}, [{"2025-01-01": 1}], [{"x": 1}, {"2025-01-01": "x"}]),
        ({"a": int, "b?": str}, [{"a": 1}, {"a": 1, "b": "x", "c": []}], [{}, {"a": 1, "b": 2}]),
        ({"a": [{"b": int}]}, [{"a": [{"b": 1}]}], [{"a": [{"b": None}]}, {"a": {"b": 1}}]),
    ],
)
def test_a_shape_says_what_may_stand_where(shape: Any, good: list[Any], bad: list[Any]) -> None:
    """Types, lists of any or of a fixed length, objects by name; nothing is taken for another."""
    assert [value for value in good if not untrusted.shaped(value, shape)] == []
    assert [value for value in bad if untrusted.shaped(value, shape)] == []


def changed(value: Any) -> Iterator[Any]:
    """The same JSON with one value replaced or left out, at each sort of place in it once."""
    yield from VALUES
    if isinstance(value, dict):
        for key in _sorts(value):
            rest = {name: one for name, one in value.items() if name != key}
            yield rest
            yield {**rest, "x": value[key]}
            yield from ({**value, key: one} for one in changed(value[key]))
    elif isinstance(value, list) and value:
        yield value[1:]
        yield from ([one, *value[1:]] for one in changed(value[0]))


def _sorts(value: Mapping[str, Any]) -> list[str]:
    """All names of an object; of one by date, season or view the first alone."""
    by = any(key[:1].isdigit() or key in ("s0", "both") for key in value)
    return list(value)[:1] if by else list(value)


# -- the cache -------------------------------------------------------------------------------------
@pytest.fixture
def house() -> Memory:
    """Tables that were published and planned."""
    house = begun()
    with known_code():
        run(house, JOB)
        decisions(house.seen(), JOB)
    return house


@pytest.mark.parametrize("key", ["cache/totals.json.z", "cache/out.totals-stamps.json.z"])
def test_a_cache_of_another_shape_counts_as_absent(
    house: Memory, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever stands in it where something else should: the plan is that of the tables."""
    data = json.loads(zlib.decompress(house.objects[key]))
    doubted = 0
    with known_code():
        expected = decisions(house.without_cache(), JOB)
        for n, other in enumerate(changed(data)):
            house.objects[key] = zlib.compress(json.dumps(other).encode())
            house.uri = f"memory://{n}"
            caplog.clear()
            found = decisions(house.seen(), JOB)
            if f"The cache {key} in {house.uri} is of another shape" in caplog.text:
                assert found == expected
                doubted += 1
    assert doubted > 60


def test_a_cache_of_other_code_is_no_reason_to_warn(
    house: Memory, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor is one that was emptied: that happens."""
    key = "cache/totals.json.z"
    for data in (b"", zlib.compress(b'{"header": "1/another version", "views": 5}')):
        house.objects[key] = data
        with known_code():
            assert decisions(house.seen(), JOB) == decisions(house.without_cache(), JOB)
    assert caplog.text == ""


# -- journals and reports ----------------------------------------------------------------------
@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Warehouse, list[dict[str, Any]]]:
    """A lake in which a run left every kind of event, and these."""
    house = open_warehouse(str(tmp_path_factory.mktemp("worked") / "lake"))
    house.append(SALES, sales(DAYS[:9]).to_arrow())
    ran(house, [f"raise_on={DAYS[2]}"])
    (run_id,) = run_ids(house)
    return house, read_journal(house, run_id)


def test_an_event_of_another_shape_counts_as_absent(
    worked: tuple[Warehouse, list[dict[str, Any]]], caplog: pytest.LogCaptureFixture
) -> None:
    """Each kind of event with each wrong value: what the others say is read, and the line named."""
    house, events = worked
    last = {event["event"]: n for n, event in enumerate(events)}
    assert last.keys() >= {"run", "phase", "stage", "published", "attempt", "retry", "end"}
    others = [(n, other) for n in last.values() for other in changed(events[n])]
    doubted = 0
    for tried, (n, other) in enumerate(others):
        run_id = f"20990101T{tried:09d}-aaaaaa"
        lines = [json.dumps(other if m == n else event) for m, event in enumerate(events)]
        house.put_object(f"runs/{MEANS.name}/{run_id}.ndjson", "\n".join(lines).encode())
        caplog.clear()
        read = read_journal(house, run_id)
        fold(read)
        last_attempts(house, MEANS.name)
        find_run(house, "no submission")
        if (
            f"runs/{MEANS.name}/{run_id}.ndjson in {house.uri} is of another shape: 1 of its"
            in caplog.text
        ):
            assert read == [event for m, event in enumerate(events) if m != n]
            doubted += 1
        house.delete_object(f"runs/{MEANS.name}/{run_id}.ndjson")
    assert doubted > 100


def test_a_journal_that_was_cut_short_is_no_reason_to_warn(
    worked: tuple[Warehouse, list[dict[str, Any]]], caplog: pytest.LogCaptureFixture
) -> None:
    """A run that is killed while it writes leaves half a line at the end."""
    house, events = worked
    text = "\n".join(map(json.dumps, events))
    house.put_object(f"runs/{MEANS.name}/20990101T000000000-cut.ndjson", text[:-9].encode())
    assert read_journal(house, "20990101T000000000-cut") == events[:-1]
    assert caplog.text == ""
    house.delete_object(f"runs/{MEANS.name}/20990101T000000000-cut.ndjson")


def test_a_report_of_another_shape_counts_as_absent(
    worked: tuple[Warehouse, list[dict[str, Any]]], caplog: pytest.LogCaptureFixture
) -> None:
    """What past runs took is learned from the others."""
    house, _ = worked
    (key,) = house.list_objects(f"reports/{MEANS.name}/")
    report = json.loads(house.get_object(key) or b"")
    rate, doubted = past_rate(house, MEANS.name), 0
    for n, other in enumerate(changed(report)):
        name = f"reports/{MEANS.name}/20990101T{n:09d}-aaaaaa.json"
        house.put_object(name, json.dumps(other).encode())
        caplog.clear()
        found = past_rate(house, MEANS.name), past_memory_factor(house, MEANS.name)
        if f"The report {name} in {house.uri} is of another shape" in caplog.text:
            assert found == (rate, None)
            doubted += 1
        house.delete_object(name)
    assert doubted > 15


def test_every_command_goes_on_beside_objects_of_another_shape(tmp_path: Path) -> None:
    """Plan, run, status and watch: one warning each, no traceback, and the right exit code."""
    house = open_warehouse(str(tmp_path / "lake"))
    house.append(SALES, sales(DAYS[:9]).to_arrow())
    ran(house)
    planned(house)
    (cache,) = [key for key in house.list_objects("cache/") if "stamps" not in key]
    data = json.loads(zlib.decompress(house.get_object(cache) or b""))
    data["views"] = [1]
    house.put_object(cache, zlib.compress(json.dumps(data).encode()))
    house.put_object(
        f"runs/{MEANS.name}/20990101T000000000-aaaaaa.ndjson", b'{"event":"run","table":5}\n{}\n'
    )
    house.put_object(f"reports/{MEANS.name}/20990101T000000000-aaaaaa.json", b'{"rows":"x"}')
    script = Path(sys.executable).parent / "ray-backfill"
    for command in (["plan", ROLLING], ["run", ROLLING, "--no-parallel"], ["status"]):
        done = subprocess.run(
            [script, *command, "-w", house.uri],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert done.stderr.count(f"runs/{MEANS.name}/20990101T000000000-aaaaaa.ndjson") == 1


def test_the_memory_of_one_table_survives_the_runs_of_another(lake: Warehouse) -> None:
    """What a job needed is still known after any number of runs of others."""
    report = ran(lake)
    report.learn_memory(BASE_BYTES + 300 * 2**20, 100 * 2**20)
    save_report(lake, report)
    rate = past_rate(lake, MEANS.name)
    for n in range(12):
        other = replace(report, run_id=f"20990101T{n:09d}-aaaaaa", table="shop.others", rows=1)
        save_report(lake, replace(other, memory_factor=9.0))
    assert past_memory_factor(lake, MEANS.name) == pytest.approx(3.0 * 1.25)
    assert past_rate(lake, MEANS.name) == rate != past_rate(lake, "shop.others")
