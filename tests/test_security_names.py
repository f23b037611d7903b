"""Names become folders, SQL and object keys: none of them is ever more than a name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from ray_backfill import names
from ray_backfill.catalog import load_job
from ray_backfill.cli import build
from ray_backfill.engine.runs import new_run_id
from ray_backfill.errors import BackfillError, UsageError, WarehouseError
from ray_backfill.job.table import Column, Kind, Table
from ray_backfill.record.journal import read_journal, run_ids
from ray_backfill.warehouse import Warehouse
from ray_backfill.warehouse import objects as _objects
from ray_backfill_nba.player_context import JOB
from ray_backfill_nba.raw_tables import RAW_TABLES
from tests.engine import ROLLING

RULES: list[Callable[[str], str]] = [
    names.table_name,
    names.column_name,
    names.field_name,
    names.job_name,
    names.job_spec,
    names.run_id,
]
HOSTILE = [
    "",
    ".",
    "..",
    "../../x",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "a\0b",
    "a\n",
    " a",
    "a b",
    "a`b",
    "a;b",
    "a'b",
    'a"b',
    "a--b\n",
    "$(id)",
    "`id`",
    "a.b; DROP TABLE c",
    "%2e%2e",
    "é.é",
    "a" * 5000,
    "-rf",
    "~",
    "*",
    "\x1b[31m",
]
near = st.text("abAZ09_.-:/\\`'\" ;\n\0%é", max_size=12)
"""Mostly what is nearly a name."""


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:20]))
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_what_is_no_name_is_refused_in_one_printable_line(
    rule: Callable[[str], str], text: str
) -> None:
    with pytest.raises(UsageError) as refused:
        rule(text)
    told = str(refused.value)
    assert refused.value.exit_code == 2
    assert told.isprintable()
    assert len(told) < 400


@given(st.one_of(near, st.text()))
def test_a_table_s_name_is_two_plain_folders(text: str) -> None:
    try:
        folder = _objects.table_folder(text)
    except UsageError:
        return
    assert re.fullmatch(r"\w+\.\w+", text, re.ASCII)
    assert PurePosixPath(folder).parts == tuple(text.split("."))
    assert not text.startswith("_")


@given(st.one_of(near, st.text()))
def test_a_run_s_id_is_one_part_of_a_key(text: str) -> None:
    try:
        names.run_id(text)
    except UsageError:
        return
    key = _objects.object_key(f"runs/a.b/{text}.ndjson")
    assert PurePosixPath(key).parts == (_objects.HOUSE, "runs", "a.b", f"{text}.ndjson")


@given(st.one_of(near, st.text()))
def test_a_column_s_name_is_one_word_of_sql(text: str) -> None:
    try:
        column = Column(text, Kind.INT)
    except UsageError:
        return
    assert re.fullmatch(r"[A-Za-z_]\w*", column.name, re.ASCII)


@given(st.one_of(near, st.text()))
def test_a_key_of_an_object_never_leaves_its_folder(text: str) -> None:
    try:
        key = _objects.object_key(text)
    except UsageError:
        return
    parts = PurePosixPath(key).parts
    assert parts[0] == _objects.HOUSE
    assert not {".", ".."} & set(parts)
    assert key == "/".join(parts)


@given(st.one_of(near, st.text()))
def test_what_is_no_job_s_name_imports_nothing(text: str) -> None:
    """And ends with 2; so does a name that is one and that nobody has."""
    assume(text not in ("player_context", ROLLING))
    with pytest.raises(BackfillError) as refused:
        load_job(text)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda text: Table(text, ()),
        lambda text: Table("a.b", (), partition=text or "`"),
        lambda text: Table("a.b", (), key=(text,)),
        lambda text: Table("a.b", (), cluster=(text,)),
        lambda text: Column(text, Kind.DATE),
        lambda text: replace(JOB, name=text),
        lambda text: replace(JOB, views=(replace(JOB.views[0], name=text),)),
        lambda text: replace(JOB, inputs=(replace(JOB.inputs[0], name=text),)),
    ],
)
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text[:20]))
def test_nothing_is_made_with_a_name_that_is_none(make: Callable[[str], object], text: str) -> None:
    with pytest.raises(UsageError):
        make(text)


@pytest.mark.parametrize("name", ["_TABLE_x", "_partitiontime", "__path__", "_FILE_NAME"])
def test_columns_that_bigquery_keeps_for_itself_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="BigQuery"):
        Column(name, Kind.STRING)


def test_the_names_that_there_are_stay_valid() -> None:
    for name in [*(t.name for t in RAW_TABLES), JOB.output.name, "ds.t", "D1.t_2", "a._b"]:
        assert names.table_name(name) == name
    for name in ["x", "_x", "game_date", "Over18"]:
        assert names.column_name(name) == name
    for name in ["player_context", "a.b:C", "package.module:_ATTR", "weekly-2", ROLLING]:
        assert names.job_spec(name) == name
    for name in [new_run_id(), "run-1", "restore-20250101T000000"]:
        assert names.run_id(name) == name


def journal(lake: Warehouse, name: str) -> None:
    """A file among the journals that no run made."""
    path = Path(lake.uri) / _objects.HOUSE / "runs" / "shop.means" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"event": "run"}\n')


@pytest.mark.parametrize(
    "name", ["a b.ndjson", "a;b.ndjson", "é.ndjson", "x/y.ndjson", "-r.ndjson"]
)
def test_foreign_files_among_the_journals_are_passed_over(lake: Warehouse, name: str) -> None:
    journal(lake, name)
    for folder in ("", "no table/", "_x.y/"):
        other = (
            Path(lake.uri) / _objects.HOUSE / "runs" / folder / "20250101T000000000-abcdef.ndjson"
        )
        other.parent.mkdir(exist_ok=True)
        other.write_bytes(b'{"event": "run"}\n')
    assert run_ids(lake) == []
    assert run_ids(lake, "shop.means") == []


def test_a_file_s_name_does_not_speak_to_the_terminal(lake: Warehouse) -> None:
    """Where the storage itself cannot name it, the message has no control characters."""
    journal(lake, "\x1b[31m.ndjson")
    with pytest.raises(WarehouseError) as refused:
        run_ids(lake)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    "words",
    [
        ["watch", "../../x"],
        ["cancel", "../../x"],
        ["history", "../../x.y"],
        ["history", "a`b.c"],
        ["restore", "../x.y", "--version", "0", "--yes"],
        ["load", "../x.y", __file__],
        ["run", "../../x:JOB"],
        ["plan", "os;x:JOB"],
        ["coverage", "../../x", "--column", "mean"],
        ["describe", "../../x"],
        ["run", ROLLING, "--no-parallel", "--season", "../../x"],
        ["run", ROLLING, "--no-parallel", "--dates", "../../x"],
        ["run", ROLLING, "--no-parallel", "--start-date", "2025-01-01/../x"],
        ["run", ROLLING, "--no-parallel", "-o", "../../x=1"],
        ["coverage", ROLLING, "--column", "mean` FROM x; --"],
    ],
    ids=lambda words: ascii(" ".join(words[:4])),
)
def test_the_command_line_refuses_them_with_2(lake: Warehouse, words: list[str]) -> None:
    result = CliRunner().invoke(build(), [*words, *(["-w", lake.uri] * (words[0] != "describe"))])
    assert isinstance(result.exception, BackfillError | SystemExit), result.output
    code = getattr(result.exception, "exit_code", None) or getattr(result.exception, "code", None)
    assert code == 2, result.exception


def test_no_journal_is_read_outside_of_its_folder(lake: Warehouse) -> None:
    with pytest.raises(UsageError):
        read_journal(lake, "../cache/x")
