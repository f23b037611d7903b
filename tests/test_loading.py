"""Loading files: every value is checked, all or nothing is written, and the report says what."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ray_backfill.errors import BackfillError, ContractError, DataError, UsageError
from ray_backfill.job.table import Column, Kind, Table
from ray_backfill.loading.load import LoadReport, load_files
from ray_backfill.warehouse.bigquery.warehouse import BigQuery
from ray_backfill.warehouse.lake.warehouse import Lake
from tests.lakes import D1, D2, PLAIN

GAMES = Table(
    "raw.games",
    (
        Column("game_date", Kind.DATE, nullable=False),
        Column("game_id", Kind.STRING, nullable=False),
        Column("points", Kind.INT),
        Column("line", Kind.FLOAT),
        Column("final", Kind.BOOL),
        Column("tipoff", Kind.TIMESTAMP),
        Column("status", Kind.STRING, known_values=frozenset({"out", "available"})),
        Column("notes", Kind.STRINGS, optional=True),
        Column("scraped", Kind.TIMESTAMP, optional=True),
    ),
    partition="game_date",
)
GOOD: dict[str, Any] = {
    "game_date": "2025-01-01",
    "game_id": "0022500001",
    "points": 7,
    "line": 21.5,
    "final": True,
    "tipoff": "2025-01-02T00:30:00Z",
    "status": "out",
}
ROW = (D1, "0022500001", 7, 21.5, True, datetime(2025, 1, 2, 0, 30, tzinfo=UTC), "out", None, None)


@pytest.fixture
def house(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def rows_of(lake: Lake) -> list[tuple[Any, ...]]:
    if not lake.exists(GAMES.name):
        return []
    got = pl.from_arrow(lake.read(GAMES, [c.name for c in GAMES.columns]))
    assert isinstance(got, pl.DataFrame)
    return got.sort("game_date", "game_id").rows()


def csv_file(path: Path, *changes: dict[str, Any], drop: str = "") -> Path:
    """A CSV of rows that are good but for the changes."""
    names = [name for name in GOOD if name != drop]
    lines = [",".join(names)]
    for change in changes:
        values = GOOD | change
        lines.append(",".join("" if values[n] is None else str(values[n]) for n in names))
    path.write_text("\n".join(lines) + "\n")
    return path


def json_file(path: Path, *changes: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(GOOD | change) + "\n" for change in changes))
    return path


def parquet_file(path: Path, **columns: pl.Series) -> Path:
    """A Parquet file of three rows that are good but for these columns."""
    good = pl.DataFrame([ROW] * 3, schema=dict(GAMES.schema()), orient="row")
    good.with_columns(**columns).write_parquet(path)
    return path


def refused(lake: Lake, *files: Path, kind: type[BackfillError] = ContractError) -> str:
    """The message of a load that must fail and write nothing."""
    with pytest.raises(kind) as caught:
        load_files(lake, GAMES, files)
    assert not lake.exists(GAMES.name)
    return caught.value.message


# -- what is loaded ----------------------------------------------------------------------------
def test_each_format_gives_the_same_rows(house: Lake, tmp_path: Path) -> None:
    packed = tmp_path / "d.csv.gz"
    packed.write_bytes(gzip.compress(csv_file(tmp_path / "x", {}).read_bytes()))
    lines = tmp_path / "e.ndjson.gz"
    lines.write_bytes(gzip.compress(json_file(tmp_path / "y", {}).read_bytes()))
    files = [
        csv_file(tmp_path / "a.csv", {}),
        json_file(tmp_path / "b.ndjson", {}),
        json_file(tmp_path / "c.jsonl", {}),
        packed,
        lines,
        parquet_file(tmp_path / "f.parquet"),
    ]
    report = load_files(house, GAMES, files)
    assert rows_of(house) == [ROW] * 8
    assert [f.rows for f in report.files] == [1, 1, 1, 1, 1, 3]
    assert (report.rows, report.dates, report.first, report.last) == (8, 1, D1, D1)
    assert (report.version, report.replaced, report.sentences()) == ("0", False, [])
    assert len(house.history(GAMES.name)) == 1


def test_csv_as_spreadsheets_write_it(house: Lake, tmp_path: Path) -> None:
    """A byte order mark, CRLF, quotes, commas and line breaks inside, blank lines, any order."""
    text = (
        "\ufeffgame_id,game_date,points,line,final,tipoff,status,notes,scraped\r\n"
        '"a, ""b""\r\nc",2025-01-01 00:00:00,7.0,-.5,FALSE,2025-01-01 19:30:00,out,"[""x""]",\r\n'
        "\r\n"
        "z,2025-01-02,,,0,2025-01-01T19:30:00.123456789-05:00,,[],2025-01-01 10:00:00.5 UTC\r\n"
    )
    (tmp_path / "a.csv").write_bytes(text.encode())
    load_files(house, GAMES, [tmp_path / "a.csv"])
    at = datetime(2025, 1, 1, 19, 30, tzinfo=UTC)
    later = datetime(2025, 1, 2, 0, 30, 0, 123456, tzinfo=UTC)
    seen = datetime(2025, 1, 1, 10, 0, 0, 500000, tzinfo=UTC)
    assert rows_of(house) == [
        (D1, 'a, "b"\r\nc', 7, -0.5, False, at, "out", ["x"], None),
        (D2, "z", None, None, False, later, None, [], seen),
    ]


def test_json_as_bigquery_writes_it(house: Lake, tmp_path: Path) -> None:
    """Whole numbers as text, NULLs left out, ` UTC` in timestamps."""
    row = GOOD | {"points": "7", "line": "21.5", "tipoff": "2025-01-02 00:30:00 UTC"}
    del row["status"]
    text = json.dumps(row) + "\n\n" + json.dumps(GOOD | {"points": 7.0, "line": 21}) + "\n"
    (tmp_path / "a.ndjson").write_text(text)
    load_files(house, GAMES, [tmp_path / "a.ndjson"])
    first, second = sorted(rows_of(house), key=lambda row: row[3])
    assert first == (*ROW[:3], 21.0, *ROW[4:])
    assert second == (*ROW[:6], None, None, None)


@pytest.mark.parametrize(
    ("name", "values", "gives"),
    [
        ("points", pl.Series([1, 2, None], dtype=pl.Int8), [1, 2, None]),
        ("points", pl.Series([1.0, float("nan"), None]), [1, None, None]),
        ("points", pl.Series([Decimal("1.0"), Decimal(2), None]), [1, 2, None]),
        ("line", pl.Series([1, 2, None], dtype=pl.UInt64), [1.0, 2.0, None]),
        ("line", pl.Series([0.5, float("nan"), None], dtype=pl.Float32), [0.5, None, None]),
        ("line", pl.Series([Decimal("0.5"), None, None]), [0.5, None, None]),
        ("game_date", pl.Series([datetime(2025, 1, 1)] * 3), [D1] * 3),
        ("game_id", pl.Series(["a", "b", "c"], dtype=pl.Categorical), ["a", "b", "c"]),
        ("game_date", pl.Series(["2025-01-01", "2025-01-01 00:00:00", " 2025-01-01"]), [D1] * 3),
        ("game_date", pl.Series(["2025-01-01"] * 3, dtype=pl.Categorical), [D1] * 3),
        (
            "tipoff",
            pl.Series(["2025-01-01T12:00:00Z", "2025-01-01 07:00:00-05:00", None]),
            [datetime(2025, 1, 1, 12, tzinfo=UTC)] * 2 + [None],
        ),
        ("tipoff", pl.Series([D1] * 3), [datetime(2025, 1, 1, tzinfo=UTC)] * 3),
        ("status", pl.Series([None, None, None]), [None] * 3),
        ("notes", pl.Series([[], [], []]), [[]] * 3),
        (
            "tipoff",
            pl.Series([datetime(2025, 1, 1, 12)] * 3, dtype=pl.Datetime("ns")),
            [datetime(2025, 1, 1, 12, tzinfo=UTC)] * 3,
        ),
        (
            "tipoff",
            pl.Series([datetime(2025, 1, 1, 12)] * 3).dt.replace_time_zone("America/New_York"),
            [datetime(2025, 1, 1, 17, tzinfo=UTC)] * 3,
        ),
    ],
)
def test_types_that_lose_nothing_are_cast(
    house: Lake, tmp_path: Path, name: str, values: pl.Series, gives: list[Any]
) -> None:
    load_files(house, GAMES, [parquet_file(tmp_path / "a.parquet", **{name: values})])
    got = house.read(GAMES, [name, "game_id"]).sort_by("game_id")[name].to_pylist()
    assert sorted(map(str, got)) == sorted(map(str, gives))


def test_nan_is_null_and_is_counted(house: Lake, tmp_path: Path) -> None:
    path = parquet_file(tmp_path / "a.parquet", line=pl.Series([float("nan"), 1.0, float("nan")]))
    report = load_files(house, GAMES, [path])
    assert report.sentences() == [f"{path}: 2 NaN loaded as NULL."]
    assert sum(row[3] is None for row in rows_of(house)) == 2


def test_extra_columns_and_unknown_values_are_named(house: Lake, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"status": "suspended", "more": 1},
        {"status": "suspended"},
        {"status": "gtd"},
    ]
    path = json_file(tmp_path / "a.ndjson", *rows)
    report = load_files(house, GAMES, [path])
    assert report.files[0].extra == ("more",)
    assert report.unknown == {"status": {"gtd": 1, "suspended": 2}}
    assert report.sentences() == [
        f"{path}: left out more.",
        "status: loaded values that no job knows: 'gtd' (1 rows), 'suspended' (2 rows).",
    ]
    assert len(rows_of(house)) == 3


def test_loading_again_adds_and_replacing_replaces(house: Lake, tmp_path: Path) -> None:
    both = csv_file(tmp_path / "a.csv", {}, {"game_date": "2025-01-02", "game_id": "b"})
    load_files(house, GAMES, [both])
    load_files(house, GAMES, [both])
    assert len(rows_of(house)) == 4
    one = csv_file(tmp_path / "b.csv", {"points": 9})
    report = load_files(house, GAMES, [one], replace_dates=True)
    assert report.replaced
    assert [(row[0], row[2]) for row in rows_of(house)] == [(D1, 9), (D2, 7), (D2, 7)]


def test_folders_and_globs_are_taken_whole(house: Lake, tmp_path: Path) -> None:
    """The date of a `game_date=…` folder counts where the files lack the column."""
    for day in ("2025-01-01", "2025-01-02"):
        folder = tmp_path / "export" / f"game_date={day}"
        folder.mkdir(parents=True)
        frame = pl.DataFrame([ROW], schema=dict(GAMES.schema()), orient="row")
        frame.drop("game_date").write_parquet(folder / "part-0.parquet")
        csv_file(folder / "part-1.csv", {"line": 1}, drop="game_date")
        (folder / "_SUCCESS").write_text("")
    report = load_files(house, GAMES, [tmp_path / "export"])
    assert report.rows == 4
    assert [row[0] for row in rows_of(house)] == [D1, D1, D2, D2]
    load_files(house, GAMES, [str(tmp_path / "export/*/*.csv")], replace_dates=True)
    assert [(row[0], row[3]) for row in rows_of(house)] == [(D1, 1.0), (D2, 1.0)]


def test_a_file_without_rows_loads_nothing_and_says_so(house: Lake, tmp_path: Path) -> None:
    empty = csv_file(tmp_path / "a.csv")
    GAMES.empty().write_parquet(tmp_path / "b.parquet")
    report = load_files(house, GAMES, [empty, tmp_path / "b.parquet"])
    assert (report.rows, report.version, report.first) == (0, "", None)
    assert report.sentences()[0] == f"{empty} has no rows: nothing to load."
    assert not house.exists(GAMES.name)


def test_a_table_without_partition(house: Lake, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("code,n\nx,1\n")
    report: LoadReport = load_files(house, PLAIN, [tmp_path / "a.csv"])
    assert (report.rows, report.dates, report.first) == (1, 0, None)


@pytest.mark.parametrize("ending", [".csv", ".CSV", ".Csv.GZ", ".tsv", ".TSV.gz", ".csv.ndjson"])
@pytest.mark.parametrize("folder", [False, True])
def test_an_ending_says_what_a_file_is_in_any_case(
    house: Lake, tmp_path: Path, ending: str, folder: bool
) -> None:
    """And only the last one: what stands before it is part of the name."""
    if ending.endswith("json"):
        written = json_file(tmp_path / "x", {}).read_bytes()
    else:
        written = csv_file(tmp_path / "x", {}).read_bytes()
    if ending.lower().startswith(".tsv"):
        written = written.replace(b",", b"\t")
    inside = tmp_path / "in"
    inside.mkdir()
    path = inside / f"data{ending}"
    path.write_bytes(gzip.compress(written) if ending.lower().endswith("gz") else written)
    report = load_files(house, GAMES, [inside if folder else path])
    assert rows_of(house) == [ROW]
    assert report.sentences() == []
    with pytest.raises(UsageError, match="is of no kind"):
        load_files(house, GAMES, [csv_file(tmp_path / "x.csv.zip", {})])


@pytest.mark.parametrize(
    ("separator", "said"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")]
)
def test_other_separators_are_found_by_the_header_and_said(
    house: Lake, tmp_path: Path, separator: str, said: str
) -> None:
    """As spreadsheets of other countries write them; commas within a field are no separators."""
    text = csv_file(tmp_path / "x", {}, {"game_id": '"a,b"'}).read_text().split("\n")
    lines = [line.replace('"a,b"', "@").replace(",", separator) for line in text]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(lines).replace("@", "a,b"))
    report = load_files(house, GAMES, [path])
    assert {row[1] for row in rows_of(house)} == {ROW[1], "a,b"}
    assert report.sentences() == [f"{path}: read as fields between {said}."]


def test_a_separator_that_the_file_states_is_taken(house: Lake, tmp_path: Path) -> None:
    """`sep=;` is how a spreadsheet says it; lines are counted with that one."""
    text = csv_file(tmp_path / "x", {}, {"points": "x"}).read_text().replace(",", ";")
    path = tmp_path / "a.csv"
    path.write_text("sep=;\n" + text)
    assert f"{path}, line 4, column points: text 'x'" in refused(house, path)
    path.write_text("sep=;\n" + text.replace(";x;", ";7;"))
    assert load_files(house, GAMES, [path]).sentences() == []
    assert rows_of(house) == [ROW] * 2


def test_a_comma_in_a_number_is_not_guessed_at(house: Lake, tmp_path: Path) -> None:
    """1,234 is one or a thousand: what to write is said instead."""
    for value in ("21,5", "1,234", "1.234,5"):
        path = tmp_path / "a.csv"
        path.write_text(csv_file(tmp_path / "x", {"line": "@"}).read_text().replace(",", ";"))
        path.write_text(path.read_text().replace("@", value))
        message = refused(house, path)
        assert f"column line: text '{value}' is not a number: decimals are written with" in message


@pytest.mark.parametrize("ending", ["csv", "ndjson", "parquet"])
def test_dates_that_no_partition_can_have_are_refused_by_name(
    house: Lake, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would find them again; a column that is no partition holds any date."""
    path, frame = (
        tmp_path / f"a.{ending}",
        pl.DataFrame([ROW] * 3, schema=GAMES.schema(), orient="row"),
    )
    days = pl.Series("game_date", [D1, date.max, date.max])
    frame = frame.with_columns(days, tipoff=pl.lit(datetime(9999, 12, 31, 23, tzinfo=UTC)))
    write = {
        "csv": lambda: frame.drop("notes").write_csv(path),
        "ndjson": lambda: frame.write_ndjson(path),
        "parquet": lambda: frame.write_parquet(path),
    }
    write[ending]()
    said = (
        f"{path}, column game_date: 9999-12-31 and the like, in 2 rows, are outside of 0001-01-01"
    )
    assert said in refused(house, path)
    frame = frame.with_columns(days.replace(date.max, date(2160, 1, 1)))
    write[ending]()
    monkeypatch.setattr(Lake, "partition_range", BigQuery.partition_range)
    assert "outside of 1960-01-01 … 2159-12-31" in refused(house, path)
    monkeypatch.undo()
    load_files(house, GAMES, [path])
    assert len(rows_of(house)) == 3


# -- what is refused ---------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"points": "7.5"}, "column points: text '7.5' is not a whole number"),
        ({"points": "99999999999999999999"}, "column points: text '99999999999999999999' is not"),
        ({"line": "1;5"}, "column line: text '1;5' is not a number"),
        ({"final": "yes"}, "column final: text 'yes' is not true or false"),
        (
            {"tipoff": "2025-01-01T25:00:00"},
            "column tipoff: text '2025-01-01T25:00:00' is not a ti",
        ),
        ({"game_date": "01/02/2025"}, "column game_date: text '01/02/2025' is not a date"),
        ({"game_date": "2025-02-30"}, "column game_date: text '2025-02-30' is not a date"),
        ({"game_date": "0000-01-01"}, "column game_date: text '0000-01-01' is not a date"),
        (
            {"tipoff": "0001-01-01T00:00:00+05:00"},
            "column tipoff: text '0001-01-01T00:00:00+05:00' is not a timestamp",
        ),
        ({"game_date": None}, "column game_date: NULL, where there must be a date"),
        ({"game_id": None}, "column game_id: NULL, where there must be text"),
    ],
)
def test_a_wrong_value_in_csv_is_named(
    house: Lake, tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    """By file, line, column and value; the first of the file."""
    path = csv_file(tmp_path / "a.csv", {}, {"game_id": '"x\ny"'}, change, {"points": "later"})
    good = csv_file(tmp_path / "0.csv", {})
    assert f"{path}, line 5, {says}" in refused(house, good, path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"game_id": 22500001}, "column game_id: '22500001' is not text"),
        ({"points": 7.5}, "column points: '7.5' is not a whole number"),
        ({"points": True}, "column points: 'true' is not a whole number"),
        ({"points": 2**63}, f"column points: '{2**63}' is not a whole number"),
        ({"line": "high"}, "column line: text 'high' is not a number"),
        ({"line": [1.5]}, "column line: '[1.5]' is not a number"),
        ({"final": 1}, "column final: '1' is not true or false"),
        ({"tipoff": 1735689600}, "column tipoff: '1735689600' is not a timestamp"),
        ({"notes": "x"}, "column notes: text 'x' is not a list of texts"),
        ({"notes": [1]}, "column notes: '[1]' is not a list of texts"),
        ({"game_date": None}, "column game_date: NULL, where there must be a date"),
    ],
)
def test_a_wrong_value_in_json_is_named(
    house: Lake, tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    path = json_file(tmp_path / "a.ndjson", {}, {}, change, {})
    assert f"{path}, line 3, {says}" in refused(house, path)


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("points", pl.Series([1.0, 2.5, 3.5]), "row 2, column points: '2.5' is not a whole number"),
        ("points", pl.Series([0, 2**63, 0], dtype=pl.UInt64), f"row 2, column points: '{2**63}'"),
        ("points", pl.Series([None, "7", "8"]), "row 2, column points: text '7' is not a whole"),
        ("line", pl.Series([1, 2, 2**53 + 1]), f"row 3, column line: '{2**53 + 1}' is not a num"),
        ("game_id", pl.Series([1, 2, 3]), "row 1, column game_id: '1' is not text"),
        (
            "game_date",
            pl.Series([datetime(2025, 1, 1), datetime(2025, 1, 1, 1), None]),
            "row 2, column game_date: '2025-01-01T01:00:00' is not a date",
        ),
        (
            "game_date",
            pl.Series(["2025-01-01", "1.1.", "x"]),
            "row 2, column game_date: text '1.1.'",
        ),
        (
            "game_date",
            pl.Series(["2025-01-01", "", "x"]),
            "row 2, column game_date: text '' is not",
        ),
        (
            "tipoff",
            pl.Series([None, "at noon", "x"]),
            "row 2, column tipoff: text 'at noon' is not",
        ),
        (
            "game_date",
            pl.Series([0, 4_000_000, 0], dtype=pl.Int32).cast(pl.Date),
            "row 2, column game_date: text '+12921-08-18' is not a date",
        ),
        (
            "tipoff",
            pl.Series([0, 2**62, 0]).cast(pl.Datetime("us")),
            "row 2, column tipoff: text '+148108-07-06",
        ),
        ("game_date", pl.Series([D1, D1, None]), "row 3, column game_date: NULL"),
        ("final", pl.Series([0, 1, 1]), "row 1, column final: '0' is not true or false"),
    ],
)
def test_a_wrong_value_in_parquet_is_named(
    house: Lake, tmp_path: Path, name: str, values: pl.Series, says: str
) -> None:
    path = parquet_file(tmp_path / "a.parquet", **{name: values})
    assert f"{path}, {says}" in refused(house, path)


def test_a_missing_column_is_named(house: Lake, tmp_path: Path) -> None:
    path = csv_file(tmp_path / "a.csv", {}, drop="tipoff")
    assert f"{path} has no column tipoff, which raw.games needs" in refused(house, path)
    lines = tmp_path / "b.ndjson"
    lines.write_text('{"game_date": "2025-01-01", "points": 1}\n')
    assert f"{lines} has no column game_id" in refused(house, lines)
    lines.write_text('{"game_date": "2025-01-01", "game_id": "a"}\n')
    assert "has no column points, line, final, tipoff, status" in refused(house, lines)
    pl.DataFrame({"game_id": ["a"]}).write_parquet(tmp_path / "c.parquet")
    assert "has no column game_date, points" in refused(house, tmp_path / "c.parquet")


def test_a_broken_line_is_named(house: Lake, tmp_path: Path) -> None:
    path = csv_file(tmp_path / "a.csv", {}, {})
    path.write_text(path.read_text() + "2025-01-01,x,1\n")
    assert f"{path}, line 4: 3 fields, and the header has 7" in refused(house, path)
    path.write_text("game_id,game_id\n")
    assert "column game_id stands there twice" in refused(house, path)
    lines = json_file(tmp_path / "a.ndjson", {})
    lines.write_text(lines.read_text() + '{"game_id": ')
    assert f"{lines}, line 2: not JSON" in refused(house, lines)
    lines.write_text("[1]\n")
    assert f"{lines}, line 1: not a JSON object" in refused(house, lines)


def test_files_that_cannot_be_read_are_named(house: Lake, tmp_path: Path) -> None:
    whole = parquet_file(tmp_path / "a.parquet")
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(whole.read_bytes()[:-20])
    assert f"{cut} cannot be read" in refused(house, whole, cut, kind=DataError)
    packed = tmp_path / "a.csv.gz"
    packed.write_bytes(gzip.compress(csv_file(tmp_path / "x", *[{}] * 999).read_bytes())[:-30])
    assert f"{packed} cannot be read" in refused(house, packed, kind=DataError)
    packed.write_bytes(b"no gzip at all")
    assert "cannot be read" in refused(house, packed, kind=DataError)
    empty = tmp_path / "empty.csv"
    empty.write_bytes(b"")
    assert f"{empty} is empty (0 bytes)" in refused(house, empty, kind=DataError)
    latin = tmp_path / "latin.csv"
    latin.write_bytes(csv_file(tmp_path / "y", {"game_id": "José"}).read_text().encode("latin-1"))
    assert "not UTF-8" in refused(house, latin, kind=DataError)
    quote = csv_file(tmp_path / "quote.csv", {"game_id": '"open'})
    assert f"{quote} cannot be read" in refused(house, quote, kind=DataError)


def test_paths_without_files_are_named(house: Lake, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/readme.txt").write_text("x")
    for given_path, says in {
        "folder": "has no files to load",
        "none*.csv": "Nothing matches",
        "none.csv": "There is no file",
        "folder/readme.txt": "is of no kind that can be loaded",
    }.items():
        message = refused(house, tmp_path / given_path, kind=UsageError)
        assert says in message
        assert str(tmp_path / given_path) in message


VALUES = st.fixed_dictionaries(
    {
        "game_date": st.dates(date(1990, 1, 1), date(2050, 1, 1)),
        "game_id": st.text(min_size=1).filter(lambda t: t.isprintable()),
        "points": st.none() | st.integers(-(2**63), 2**63 - 1),
        "line": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "final": st.none() | st.booleans(),
        "tipoff": st.none() | st.datetimes(datetime(1990, 1, 1), timezones=st.just(UTC)),
        "status": st.none() | st.text(min_size=1).filter(lambda t: t.isprintable()),
        "notes": st.none() | st.lists(st.text(), max_size=3),
    }
)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.lists(VALUES, min_size=1, max_size=6))
def test_every_format_carries_every_value(
    tmp_path_factory: pytest.TempPathFactory, values: list[dict[str, Any]]
) -> None:
    """What Polars writes as CSV, NDJSON or Parquet is read back equal."""
    from ray_backfill.loading.formats import read_file

    folder = tmp_path_factory.mktemp("any")
    frame = pl.DataFrame(values, schema=dict(list(GAMES.schema().items())[:8]))
    frame.write_parquet(folder / "a.parquet")
    frame.write_ndjson(folder / "a.ndjson")
    texts = pl.Series(
        "notes",
        [None if v is None else json.dumps(v) for v in frame["notes"].to_list()],
        dtype=pl.String,
    )
    frame.with_columns(texts).write_csv(folder / "a.csv")
    for name in ("a.parquet", "a.ndjson", "a.csv"):
        assert read_file(GAMES, folder / name).rows.drop("scraped").equals(frame), name
