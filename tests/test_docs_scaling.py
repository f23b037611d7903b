"""docs/scaling.md computes what it says: its predictions from its constants, its constants ours."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import pytest

from benchmarks.scaling_model import TERMS, predict
from ray_backfill.cli.run import run
from ray_backfill.plan.sizing import BASE_BYTES, FACTOR
from ray_backfill.plan.spans import _SHORTEST_SPAN, _SPANS_PER_WORKER, WORKER_MEMORY
from ray_backfill.warehouse.bigquery.cost import PRICES
from ray_backfill.warehouse.bigquery.publish import MOST_DATES
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "scaling.md").read_text("utf-8")
MIB = 2**20
OURS = {
    "BASE_BYTES": BASE_BYTES / MIB,
    "FACTOR": FACTOR,
    "WORKER_MEMORY": WORKER_MEMORY / MIB,
    "_SHORTEST_SPAN": _SHORTEST_SPAN,
    "_SPANS_PER_WORKER": _SPANS_PER_WORKER,
    "--batch": inspect.signature(run).parameters["batch"].default,
    "MOST_DATES": MOST_DATES,
    "query_tib": PRICES.query_tib,
    "read_tib": PRICES.read_tib,
    "write_gib": PRICES.write_gib,
}


def rows(first: str) -> Iterator[dict[str, str]]:
    """The rows of the table whose first column has this title, each by its columns' titles."""
    lines = iter(PAGE.splitlines())
    titles = next(_cells(line) for line in lines if line.startswith(f"| {first} |"))
    next(lines)
    for line in lines:
        if not line.startswith("|"):
            return
        yield dict(zip(titles, _cells(line), strict=True))


def _cells(line: str) -> list[str]:
    return [cell.strip().strip("`") for cell in line.strip("|").split("|")]


def number(text: str) -> float:
    """The first number of a cell: `4,096 MiB`, `$6.25`."""
    found = re.search(r"\d[\d,]*(\.\d+)?", text)
    assert found, text
    return float(found[0].replace(",", ""))


CONSTANTS = {row["constant"]: number(row["value"]) for row in rows("constant")}
SPANS = list(rows("data"))


@pytest.mark.parametrize("name", OURS)
def test_constants_of_the_code_are_those_of_the_page(name: str) -> None:
    """In MiB where they are bytes in the code."""
    named = {row["name"]: number(row["value"]) for row in rows("name")}
    assert set(named) == set(OURS)
    assert named[name] == pytest.approx(OURS[name])


def test_the_model_has_the_constants_that_the_page_names() -> None:
    """Each term of the formulas has its constant, and the page no other."""
    assert set(CONSTANTS) == {name for terms in TERMS.values() for name in terms}


@pytest.mark.parametrize("row", SPANS, ids=lambda row: f"{row['data']}, {row['dates']}")
def test_what_the_page_predicts_follows_from_its_constants(row: dict[str, str]) -> None:
    """CPU seconds of every span from its sizes, and the planner's estimate of its memory."""
    known = {
        "one": 1.0,
        "dates": number(row["dates"]),
        "files": number(row["files"]),
        "look_mib": number(row["look-back MiB"]),
        "near_mib": number(row["near MiB"]),
        "out_mib": number(row["out MiB"]),
    }
    known["in_mib"] = known["look_mib"] + known["near_mib"]
    assert sum(predict(CONSTANTS, known).values()) == pytest.approx(number(row["model s"]), abs=0.1)
    need = BASE_BYTES / MIB + FACTOR * (known["in_mib"] + known["out_mib"])
    assert need == pytest.approx(number(row["estimate MiB"]), abs=2)
    assert number(row["peak MiB"]) <= need


def test_the_residual_that_the_page_states_is_that_of_its_table() -> None:
    """The median of |model ÷ measured - 1| over all rows, and the farthest."""
    apart = sorted(abs(number(row["model s"]) / number(row["CPU s"]) - 1) for row in SPANS)
    stated = re.search(r"median \*\*(\d+) %\*\*, at most \*\*(\d+) %\*\*", PAGE)
    assert stated
    assert round(apart[len(apart) // 2] * 100) == pytest.approx(int(stated[1]), abs=2)
    assert round(apart[-1] * 100) == pytest.approx(int(stated[2]), abs=2)
