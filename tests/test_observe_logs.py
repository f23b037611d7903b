"""Structured logs: each event is told in lines that a follower can fold again."""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from ray_backfill.cli import console
from ray_backfill.errors import RefusedError
from ray_backfill.observe import stream
from ray_backfill.observe.logs import event_of, lines_of, text_of
from ray_backfill.observe.stream import Log, at_span, heard, overheard, to_stderr
from ray_backfill.record.progress import fold

DATES = st.dates().map(str)
TEXTS = st.text(max_size=20)
SPANS = st.sampled_from(["2025-01-01..2025-02-01", "2025-02-02", "2025-03-01..2025-04-01-restamp"])
COUNTS = st.integers(0, 10**6)
TIMES = st.floats(0, 4e9, allow_nan=False)


def of(event: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Events of a kind."""
    return st.fixed_dictionaries({"event": st.just(event), "at": TIMES, **fields})


EVENTS = st.one_of(
    of(
        "run",
        run_id=TEXTS,
        job=TEXTS,
        table=TEXTS,
        workers=COUNTS,
        states=st.dictionaries(TEXTS, COUNTS, max_size=2),
        planned=st.dictionaries(DATES, COUNTS, max_size=5),
    ),
    of("phase", phase=st.sampled_from(["starting Ray", "working"])),
    of("stage", span=SPANS, attempt=st.integers(1, 3), stage=TEXTS),
    of("span_done", span=SPANS),
    # Never of no dates: the driver publishes what was staged, and nothing where nothing was.
    of("published", days=st.dictionaries(DATES, COUNTS, min_size=1, max_size=5)),
    of("published", span=SPANS, days=st.dictionaries(DATES, COUNTS, min_size=1, max_size=5)),
    of("attempt", day=DATES, outcome=st.sampled_from(["failed", "quarantined"]), message=TEXTS),
    of("attempt", day=DATES, outcome=TEXTS, message=TEXTS, carried=st.just(True)),
    of("retry", span=SPANS, attempt=st.integers(1, 3), message=TEXTS, kind=TEXTS),
    of("handover", span=SPANS, seconds=st.dictionaries(TEXTS, TIMES, max_size=2), rows=COUNTS),
    of("queue", waiting=COUNTS, running=COUNTS, slots=COUNTS),
    of("something new", span=SPANS, message=TEXTS, day=DATES),
    of("end", exit_code=st.integers(0, 130), verdict=TEXTS),
)


@given(st.lists(EVENTS, max_size=20))
def test_the_lines_of_events_fold_to_the_progress_of_the_events(
    events: list[dict[str, Any]],
) -> None:
    """Through JSON text and back, nothing that a progress holds is lost, to the last digit."""
    written = [json.dumps(line) for event in events for line in lines_of(event, "r", "j")]
    told = [event_of(json.loads(text)) for text in written]
    assert fold(event for event in told if event) == fold(events)


@given(EVENTS)
def test_every_line_says_when_what_and_whose_it_is(event: dict[str, Any]) -> None:
    """The same first fields in every line, and only known levels."""
    for line in lines_of(event, "r", "j"):
        assert list(line)[:8] == [
            "at",
            "level",
            "event",
            "run",
            "job",
            "span",
            "date",
            "message",
        ]
        assert line["level"] in ("info", "warning", "error")
        assert line["run"] == event.get("run_id", "r")
        assert isinstance(line["message"], str)


def test_a_publication_is_a_line_a_date() -> None:
    """Each date with its rows and the span that it came from."""
    event = {
        "event": "published",
        "at": 0.5,
        "span": "s",
        "days": {"2025-01-01": 5, "2025-01-02": 0},
    }
    lines = lines_of(event, "r", "j")
    assert [(line["date"], line["rows"], line["span"]) for line in lines] == [
        ("2025-01-01", 5, "s"),
        ("2025-01-02", 0, "s"),
    ]
    assert lines[0]["at"] == "1970-01-01T00:00:00.5Z"
    assert lines[0]["message"] == "published 2025-01-01: 5 rows."


def test_other_json_is_no_event() -> None:
    """What a job prints beside the lines is left alone, whatever it looks like."""
    run = {"event": "run", "at": 1.0, "run_id": "r", "job": "j", "table": "t", "workers": 1}
    (good,) = lines_of({**run, "planned": {}}, "r", "j")
    assert event_of(good) is not None
    for other in ({}, {"event": "run"}, {"event": 5, "at": "x"}, good | {"planned": None}):
        assert event_of(other) is None
    assert event_of(good | {"at": "yesterday"}) is None


def test_a_time_is_written_with_all_its_digits() -> None:
    """More digits than a datetime holds, where the clock gave them."""
    assert text_of(1732460117.1234567) == "2024-11-24T14:55:17.1234567Z"
    assert text_of(3) == "1970-01-01T00:00:03.0Z"


class Kept:
    """A log that keeps its lines."""

    def __init__(self, **how: Any) -> None:
        self.texts: list[str] = []
        self.log = Log("j", write=self.texts.append, **how)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.texts]


def test_what_others_say_becomes_lines_of_the_run() -> None:
    """Logging with its traceback and date, warnings, and whatever is printed, span and all."""
    kept = Kept(run="r")
    with heard(kept.log), overheard(kept.log), at_span("s"):
        try:
            raise ValueError("odd")
        except ValueError:
            logging.getLogger("lib").exception("failed", extra={"date": "2025-01-01"})
        warnings.warn("old", stacklevel=1)
        print("\x1b[33m(raylet)\x1b[0m A worker", end="")
        print(" died.\n")
        sys.stderr.write("bare\n")
    logging.getLogger("lib").error("afterwards")
    failed, warned, printed, bare = kept.lines
    assert (failed["level"], failed["logger"], failed["date"]) == ("error", "lib", "2025-01-01")
    assert failed["traceback"].endswith("ValueError: odd\n")
    assert (warned["level"], warned["logger"]) == ("warning", "py.warnings")
    assert (printed["level"], printed["message"]) == ("info", "(raylet) A worker died.")
    assert (bare["level"], bare["message"]) == ("warning", "bare")
    assert {(line["run"], line["job"], line["span"]) for line in kept.lines} == {("r", "j", "s")}


def test_the_error_that_ends_a_command_is_a_line_and_its_exit_code() -> None:
    """Expected ones with what to do, others with their traceback; an exit is left alone."""
    kept = Kept()

    def end(error: Exception) -> int:
        with pytest.raises(typer.Exit) as caught:
            _fail(kept.log, error)
        return int(caught.value.exit_code)

    assert end(RefusedError("no", "do this")) == 3
    assert end(ValueError("odd")) == 1
    assert end(typer.Exit(130)) == 130
    refused, odd = kept.lines
    assert (refused["message"], refused["hint"], refused["exit_code"]) == ("no", "do this", 3)
    assert (odd["message"], odd["level"]) == ("Ended by ValueError: odd", "error")
    assert "raise error" in odd["traceback"]
    assert refused["run"] is None


def _fail(log: Log, error: Exception) -> None:
    with console.in_lines(log):
        raise error


def test_lines_hold_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is secret by its variable's name is named by it, wherever it comes from."""
    monkeypatch.setenv("LAKE_TOKEN", "hush-hush-hush")
    kept = Kept()
    kept.log.note("asked with hush-hush-hush")
    kept.log.failure("oh", ValueError("hush-hush-hush"))
    kept.log.event(
        {"event": "retry", "at": 0, "span": "s", "attempt": 1, "message": "hush-hush-hush"}
    )
    assert "hush" not in "".join(kept.texts)
    assert kept.lines[0]["message"] == "asked with $LAKE_TOKEN"


def test_quiet_keeps_warnings_notes_and_the_end() -> None:
    """What went well is left out."""
    kept = Kept(quiet=True)
    for event in (
        {"event": "phase", "phase": "working"},
        {"event": "retry", "span": "s", "attempt": 1, "message": "m"},
        {"event": "end", "exit_code": 0, "verdict": "all good"},
    ):
        kept.log.event({"at": 0, **event})
    kept.log.note("Stopping.")
    assert [line["event"] for line in kept.lines] == ["retry", "end", "note"]


def test_nobody_reading_any_more_does_not_end_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """`ray-backfill run 2>&1 | head` goes on to its end."""

    def closed(number: int, data: bytes) -> int:
        raise BrokenPipeError

    monkeypatch.setattr(stream.os, "write", closed)
    to_stderr("a line\n")


def test_a_line_is_written_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that takes a part of a long line gets the rest too, in UTF-8."""
    read, write = os.pipe()
    real = os.write
    monkeypatch.setattr(stream.os, "write", lambda _, data: real(write, data[:3]))
    to_stderr("a → b\n")
    monkeypatch.undo()
    os.close(write)
    with os.fdopen(read, "rb") as end:
        assert end.read().decode() == "a → b\n"
