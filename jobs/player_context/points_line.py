"""Columns *Points line*: the player's line through the cascade, and his streaks against it."""

from __future__ import annotations

import polars as pl

from jobs.player_context.cascade import (
    BETTINGPROS,
    CONSENSUS,
    CONSENSUS_BOOK,
    CONSENSUS_RANK,
    ODDS_API,
    POINTS_CASCADE,
)
from jobs.player_context.history import past, track
from jobs.player_context.lines import by_book, consensus
from jobs.player_context.props import bettingpros, odds_api

__all__ = ["columns"]


def columns(
    people: pl.DataFrame,
    played: pl.DataFrame,
    points_props: pl.DataFrame,
    bettingpros_props: pl.DataFrame,
    *,
    strict: bool,
) -> pl.DataFrame:
    """The columns of the group, one row per row of `people`.

    `people`: `row` (0, 1, …), `game_date`, `player_lookup`, `team_abbr`, `tipoff_at`. The props'
    lookups have been through the aliases. `played`: games played (`player_lookup`, `points`).
    """
    who = people.select("row", "game_date", "player_lookup", "team_abbr", "tipoff_at")
    candidates = pl.concat(
        [
            odds_api(who, points_props, strict=strict),
            bettingpros(who, bettingpros_props, strict=strict),
        ]
    )
    books = by_book(candidates, ["row", "source", "book"])
    chosen = pl.concat([_named(books), _median(books)])
    lines = who.select("row").join(chosen, on="row", how="left", maintain_order="left")
    counts = (
        books.filter(pl.col("book") != CONSENSUS_BOOK)
        .group_by("row")
        .agg(pl.col("book").n_unique().cast(pl.Int64).alias("count"))
    )
    lines = lines.join(counts, on="row", how="left", maintain_order="left").select(
        pl.col("line").is_not_null().alias("has_prop_line"),
        pl.col("line").alias("current_points_line"),
        pl.col("opening").alias("opening_points_line"),
        (pl.col("line") - pl.col("opening")).alias("line_movement"),
        pl.col("source").alias("points_line_source"),
        pl.col("bookmaker").alias("points_line_bookmaker"),
        pl.col("rank").alias("points_line_rank"),
        pl.col("at").alias("points_line_at"),
        pl.col("count").fill_null(0).alias("points_line_books"),
    )
    streaks = _streaks(who, lines["current_points_line"], played)
    return pl.concat([lines, streaks], how="horizontal")


def _named(books: pl.DataFrame) -> pl.DataFrame:
    """Per row the line of the highest rung that is a book's own."""
    rungs = pl.DataFrame(
        {
            "source": [rung.source for rung in POINTS_CASCADE],
            "book": [rung.book for rung in POINTS_CASCADE],
            "bookmaker": [rung.bookmaker for rung in POINTS_CASCADE],
            "rank": [rung.rank for rung in POINTS_CASCADE],
        },
        schema_overrides={"rank": pl.Int64},
    )
    ranked = books.join(rungs, on=["source", "book"])
    return ranked.filter(pl.col("rank") == pl.col("rank").min().over("row")).select(
        "row", "source", "bookmaker", "rank", "line", "opening", "at"
    )


def _median(books: pl.DataFrame) -> pl.DataFrame:
    """The median of the other books, for the rows that no rung has a line for.

    A book counts once: with its line at The Odds API, unless only the other one is timed.
    """
    named = pl.DataFrame(
        [(rung.source, rung.book) for rung in POINTS_CASCADE], ["source", "book"], orient="row"
    )
    done = books.join(named, on=["source", "book"], how="semi").select("row")
    once = (
        books.join(done, on="row", how="anti")
        .sort(pl.col("at").is_null(), pl.col("source") != ODDS_API)
        .unique(["row", "book"], keep="first", maintain_order=True)
    )
    any_odds = (pl.col("source") == ODDS_API).any()
    source = pl.when(any_odds).then(pl.lit(ODDS_API)).otherwise(pl.lit(BETTINGPROS))
    return consensus(once, ["row"], source.alias("source")).select(
        "row",
        "source",
        pl.lit(CONSENSUS).alias("bookmaker"),
        pl.lit(CONSENSUS_RANK, dtype=pl.Int64).alias("rank"),
        "line",
        "opening",
        "at",
    )


def _streaks(who: pl.DataFrame, line: pl.Series, played: pl.DataFrame) -> pl.DataFrame:
    """How many of the newest games in a row went over, or under, the line (Int64).

    One step back per turn, for the rows whose streak has not ended.
    """
    known = track(played.filter(pl.col("points").is_not_null()), "player_lookup")
    history = past(known, who)
    points = known.rows["points"]
    asked = pl.DataFrame(
        {"row": who["row"], "line": line, "newest": history.first + history.n - 1, "n": history.n}
    ).drop_nulls("line")
    counts = {"over": asked.select("row").clear(), "under": asked.select("row").clear()}
    for side in counts:
        alive, ends = asked, []
        back = 0
        while not alive.is_empty():
            alive = alive.filter(pl.col("n") > back)
            score = points.gather(alive["newest"] - back)
            alive = alive.filter(score > alive["line"] if side == "over" else score < alive["line"])
            ends.append(alive.select("row"))
            back += 1
        counts[side] = pl.concat(ends) if ends else counts[side]
    streaks = [
        _times(asked, counts[side]).alias(f"prop_{side}_streak") for side in ("over", "under")
    ]
    found = asked.select("row").with_columns(streaks)
    return who.select("row").join(found, on="row", how="left", maintain_order="left").drop("row")


def _times(asked: pl.DataFrame, rows: pl.DataFrame) -> pl.Series:
    """How often each asked row stands in `rows`."""
    times = rows.group_by("row").agg(pl.len().cast(pl.Int64).alias("times"))
    found = asked.join(times, on="row", how="left", maintain_order="left")
    return found["times"].fill_null(0)
