"""Structured logs: each event is told in lines that a follower can fold again."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ray_backfill.engine.progress import fold
from ray_backfill.observe.logs import event_of, lines_of, text_of

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
