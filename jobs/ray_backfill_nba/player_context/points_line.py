"""Columns *Points line*: the player's line through the cascade, and his streaks against it."""

from __future__ import annotations

import polars as pl

from ray_backfill_nba.history import Track, past
from ray_backfill_nba.player_context.cascade import (
    BETTINGPROS,
    CONSENSUS,
    CONSENSUS_BOOK,
    CONSENSUS_RANK,
    ODDS_API,
    POINTS_CASCADE,
)
from ray_backfill_nba.player_context.lines import by_book, consensus
from ray_backfill_nba.player_context.props import bettingpros, odds_api

__all__ = ["columns"]

_SHORT_STREAK = 8
_BOOK = ["row", "source", "book"]
_UNIFORM_ROWS = 10


def columns(
    people: pl.DataFrame,
    games: Track,
    points_props: pl.DataFrame,
    bettingpros_props: pl.DataFrame,
    *,
    strict: bool,
) -> pl.DataFrame:
    """The columns of the group and `is_uniform`, one row per row of `people`.

    `people`: `row` (0, 1, …), `game_date`, `player_lookup`. The props are normalised rows with
    the `row`, `team_abbr` and `tipoff_at` of the player. `games`: games played, by player, with
    `points`.
    """
    who = people.select("row", "game_date", "player_lookup")
    candidates = pl.concat(
        [
            odds_api(points_props, strict=strict),
            bettingpros(bettingpros_props, strict=strict),
        ]
    )
    books = by_book(candidates, ["row"], _BOOK)
    chosen = pl.concat([_named(books, _uniform(who, books)), _median(books)])
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
        pl.col("is_uniform").fill_null(False),
    )
    streaks = _streaks(who, lines["current_points_line"], games)
    return pl.concat([lines, streaks], how="horizontal")


def _uniform(who: pl.DataFrame, books: pl.DataFrame) -> pl.DataFrame:
    """`row`, `source`, `book` of the books that have one line for 10 or more rows of a date."""
    dated = books.join(who.select("row", "game_date"), on="row")
    lines = dated.group_by("game_date", "source", "book").agg(
        pl.len().alias("rows"), (pl.col("line").min() == pl.col("line").max()).alias("is_one")
    )
    one = lines.filter(pl.col("is_one") & (pl.col("rows") >= _UNIFORM_ROWS))
    return dated.join(one, on=["game_date", "source", "book"], how="semi").select(_BOOK)


def _named(books: pl.DataFrame, uniform: pl.DataFrame) -> pl.DataFrame:
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
    best = ranked.filter(pl.col("rank") == pl.col("rank").min().over("row"))
    flagged = uniform.with_columns(pl.lit(True).alias("is_uniform"))
    return best.join(flagged, on=_BOOK, how="left").select(
        "row", "source", "bookmaker", "rank", "line", "opening", "at", "is_uniform"
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
        pl.lit(False).alias("is_uniform"),
    )


def _streaks(who: pl.DataFrame, line: pl.Series, games: Track) -> pl.DataFrame:
    """How many of the newest games in a row went over, or under, the line (Int64).

    A streak is the games with known points after the newest one that ends it.
    """
    history = past(games, who)
    asked = pl.DataFrame(
        {
            "row": who["row"],
            "line": line,
            "first": history.first,
            "end": history.first + history.n,
        }
    ).drop_nulls("line")
    points = games.rows["points"]
    # Few streaks are long: all of the history is looked at only for those that are.
    ends = asked.join(_ends(asked, points, _SHORT_STREAK), on="row", how="left")
    open_ends = pl.col("over").is_null() | pl.col("under").is_null()
    is_long = open_ends & (pl.col("end") - pl.col("first") > _SHORT_STREAK)
    long = ends.filter(is_long).drop("over", "under")
    ends = pl.concat(
        [ends.filter(~is_long), long.join(_ends(long, points, None), on="row", how="left")]
    )
    known = pl.concat(
        [pl.Series([0], dtype=pl.Int64), points.is_not_null().cast(pl.Int64).cum_sum()]
    )
    last = known.gather(ends["end"])
    streaks = ends.select(
        "row",
        *(
            (last - known.gather(ends[side].fill_null(ends["first"] - 1) + 1)).alias(
                f"prop_{side}_streak"
            )
            for side in ("over", "under")
        ),
    )
    return who.select("row").join(streaks, on="row", how="left", maintain_order="left").drop("row")


def _ends(asked: pl.DataFrame, points: pl.Series, newest: int | None) -> pl.DataFrame:
    """Where in `points` the newest game stands that ends a streak over, and under, the line.

    Looks at the `newest` positions in [first, end), or at all; NULL where none ends it.
    """
    low = pl.col("first")
    if newest is not None:
        low = pl.max_horizontal(low, pl.col("end") - newest)
    games = asked.select("row", "line", pl.int_ranges(low, "end").alias("at")).explode("at")
    games = games.drop_nulls("at")
    score, at = pl.lit(points.gather(games["at"])), pl.col("at")
    return (
        games.with_columns(
            pl.when(score <= pl.col("line")).then(at).alias("over"),
            pl.when(score >= pl.col("line")).then(at).alias("under"),
        )
        .group_by("row")
        .agg(pl.col("over").max(), pl.col("under").max())
    )
