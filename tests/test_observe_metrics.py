"""Metrics of a real run on a real cluster, as Prometheus reads them; its workers' own logs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from ray_backfill.observe.metrics import SPECS, exported
from ray_backfill.warehouse import open_warehouse
from tests.conftest import DAYS, environment, sales
from tests.nodes import Cluster, until
from tests.observing import queried
from tests.rolling_job import SALES

TALKING = "tests.talking_job:JOB"
SCRIPT = Path(sys.executable).parent / "ray-backfill"
POISONED, DEADLY = DAYS[8], DAYS[30]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@dataclass(frozen=True)
class Observed:
    """A run with a poisoned date and a killed worker, and all that was seen of it."""

    report: dict[str, Any]
    lines: list[dict[str, Any]]
    """Of the driver's stderr."""
    worker_lines: list[dict[str, Any]]
    samples: Samples
    """Right after the run's end: metric and own labels -> value."""
    everything: set[str]
    """Names of all metrics that the nodes export."""

    def value(self, name: str, **labels: str) -> float:
        of = {"backfill_job": TALKING, "table": "shop.means"}
        return self.samples[(name, frozenset((of | labels).items()))]


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    """One run, started and ended through the command line."""
    place = tmp_path_factory.mktemp("observed")
    house = open_warehouse(str(place / "lake"))
    house.append(SALES, sales().to_arrow())
    options = [f"raise_on={POISONED}", f"die_on={DEADLY}", f"die_once={place / 'died'}"]
    command = [SCRIPT, "run", TALKING, "-w", house.uri, "--json", "--workers", "2"]
    with Cluster() as cluster:
        cluster.add_node(cpus=2)
        done = subprocess.run(
            [*command, "--address", cluster.address, *(a for o in options for a in ("-o", o))],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1, done.stderr
        urls = [node.metrics for node in [cluster.head, *cluster.nodes]]
        until(
            lambda: is_exported(urls, "runs_total", "exit_code", "1"), "the run's end is exported"
        )
        samples, everything = scraped(urls)
        worker_logs = [path for path in cluster.logs() if path.name.startswith("worker-")]
        yield Observed(
            report=json.loads(done.stdout),
            lines=parsed(done.stderr.splitlines()),
            worker_lines=parsed(t for p in worker_logs for t in p.read_text().splitlines()),
            samples=samples,
            everything=everything,
        )


def parsed(texts: Iterable[str]) -> list[dict[str, Any]]:
    """The lines that are JSON objects; Ray writes others of its own into its workers' logs."""
    return [json.loads(text) for text in texts if text.startswith("{")]


def is_exported(urls: list[str], name: str, label: str, value: str) -> bool:
    """Whether there is a sample of ours with that label."""
    samples, _ = scraped(urls)
    return any(n == f"ray_backfill_{name}" and (label, value) in found for n, found in samples)


def scraped(urls: list[str]) -> tuple[Samples, set[str]]:
    """Our samples with the labels that are ours, and the names of all there are."""
    of_ray = {"Component", "NodeAddress", "SessionName", "Version", "WorkerId"}
    samples, names = {}, set()
    for url in urls:
        for family in text_string_to_metric_families(requests.get(url, timeout=10).text):
            for name, labels, value, *_ in family.samples:
                names.add(name)
                if name.startswith("ray_backfill_"):
                    own = {k: v for k, v in labels.items() if not k.startswith("otel_")}
                    kept = frozenset((k, v) for k, v in own.items() if k not in of_ray)
                    samples[(name, kept)] = value
    return samples, names


def test_every_metric_is_exported_under_its_documented_name(observed: Observed) -> None:
    """Exactly those that the module lists, with the labels that it lists."""
    listed = {name for spec in SPECS for name in exported(spec)}
    assert {name for name, _ in observed.samples} == listed
    for spec in SPECS:
        labels = {"backfill_job", "table", *spec.labels}
        for name, found in observed.samples:
            if name in exported(spec):
                assert {key for key, _ in found} - {"le"} == labels


def test_dates_and_rows_are_those_of_the_report(observed: Observed) -> None:
    """States of the dates, rows and outcomes; also the run's end, and who it was."""
    report = observed.report
    assert (report["planned"], list(report["failed"])) == (len(DAYS), [str(POISONED)])
    states = {
        "planned": report["planned"],
        "published": len(report["published"]),
        "failed": 1,
        "quarantined": 0,
        "blocked": 0,
        "waiting": 0,
    }
    for state, count in states.items():
        assert observed.value("ray_backfill_dates", state=state) == count
    outcomes = "ray_backfill_settled_dates_total"
    assert observed.value(outcomes, outcome="published") == len(report["published"])
    assert observed.value(outcomes, outcome="failed") == 1
    assert observed.value("ray_backfill_published_rows_total") == report["rows"]
    assert observed.value("ray_backfill_run_info", run=report["run_id"]) == 1
    assert observed.value("ray_backfill_runs_total", exit_code="1") == 1
    assert observed.value("ray_backfill_last_exit_code") == 1
    assert observed.value("ray_backfill_eta_seconds") == 0
    assert observed.value("ray_backfill_worker_peak_bytes") == report["peak_worker_bytes"]


def test_retries_are_counted_by_kind(observed: Observed) -> None:
    """A worker that was killed is infrastructure, a date that raises is code."""
    told = Counter(retry["kind"] for retry in observed.report["retries"])
    assert told["infrastructure"] >= 1
    assert told["code"] >= 1
    for kind, count in told.items():
        assert observed.value("ray_backfill_retries_total", kind=kind) == count


def test_stages_and_bytes_are_those_of_the_handovers(observed: Observed) -> None:
    """As many observations of a stage as handovers that spent time in it; all of their bytes."""
    handovers = [line for line in observed.lines if line["event"] == "handover"]
    stages = Counter(stage for line in handovers for stage in line["seconds"])
    assert {"read", "compute", "stage", "commit"} <= stages.keys()
    for stage, count in stages.items():
        assert observed.value("ray_backfill_stage_seconds_count", stage=stage) == count
    staged = sum(line["bytes"] for line in handovers)
    assert observed.value("ray_backfill_staged_bytes_total") == staged > 0


def test_the_queue_is_empty_at_the_end(observed: Observed) -> None:
    """Nothing waits and nothing runs when all is done."""
    for state in ("waiting", "running"):
        assert observed.value("ray_backfill_spans", state=state) == 0


def test_what_the_dashboard_asks_of_ray_is_there(observed: Observed) -> None:
    """Ray's own metrics of nodes and CPUs have the names that the dashboard uses."""
    assert {name for name, _ in queried() if not name.startswith("ray_backfill_")} <= (
        observed.everything
    )


def test_workers_write_lines_with_run_span_and_date(observed: Observed) -> None:
    """Their stages, what a job logs, Python's warnings and errors that end a span."""
    run, job = observed.report["run_id"], observed.report["job"]
    assert observed.worker_lines
    assert {(line["run"], line["job"]) for line in observed.worker_lines} == {(run, job)}
    assert all(line["span"] for line in observed.worker_lines)
    kinds = {line["event"] for line in observed.worker_lines}
    assert {"stage", "log", "error"} <= kinds
    said = [line for line in observed.worker_lines if line["message"] == "a thin day"]
    assert all(line["span"].startswith(line["date"]) for line in said)
    assert any(line.get("logger") == "py.warnings" for line in observed.worker_lines)
    poisoned = [line for line in observed.worker_lines if line["event"] == "error"]
    assert all("this date is poisoned" in line["traceback"] for line in poisoned)


def test_the_driver_writes_nothing_but_lines(observed: Observed) -> None:
    """From the run's first line to its last, each names the run; failed dates are errors."""
    assert [observed.lines[0]["event"], observed.lines[-1]["event"]] == ["run", "end"]
    assert {line["run"] for line in observed.lines} == {observed.report["run_id"]}
    errors = [line["date"] for line in observed.lines if line["level"] == "error"]
    assert errors == [str(POISONED), None]
    assert all(line["span"] for line in observed.lines if line["date"])
