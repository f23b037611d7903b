"""Play-in and playoffs: who goes through is decided by the results of the games before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta

import polars as pl

from ray_backfill_nba.demo_league.people import teams
from ray_backfill_nba.demo_league.spec import LeagueSpec

__all__ = ["postseason"]

Play = Callable[[pl.DataFrame], pl.DataFrame]
"""Adds the results to a frame of games."""

_HOSTS = (True, True, False, False, True, False, True)
"""The games of a series that the better team hosts."""


def postseason(
    spec: LeagueSpec, year: int, regular: pl.DataFrame, last: date, play: Play
) -> list[pl.DataFrame]:
    """Games after `last`, for leagues of six teams and more; a play-in for twenty and more."""
    size = 16 if spec.teams >= 20 else 8 if spec.teams >= 12 else 4 if spec.teams >= 6 else 0
    if not size:
        return []
    table = _standings(spec, year, regular)
    start = last + timedelta(2)
    out: list[pl.DataFrame] = []
    if size == 16:
        first, table = _play_in(table, start, play)
        out += first
        start += timedelta(4)
    seeds = size // 2
    pairs = _pairs(
        table.filter(pl.col("seed") <= seeds), [(s, seeds + 1 - s) for s in _bracket(seeds)]
    )
    while True:
        games, winners = _series(pairs, start, play)
        out.append(games)
        start += timedelta(15)
        if pairs.height == spec.scale:
            return out
        pairs = _next_round(winners)


def _bracket(seeds: int) -> Sequence[int]:
    """Better seeds in the order in which neighbours meet in the next round."""
    return {2: (1,), 4: (1, 2), 8: (1, 4, 2, 3)}[seeds]


def _standings(spec: LeagueSpec, year: int, regular: pl.DataFrame) -> pl.DataFrame:
    """`copy`, `east`, `team`, `seed`: by wins, then by points."""
    home_won = pl.col("home_score") > pl.col("away_score")
    counted = regular.filter(pl.col("kind") == "regular")
    sides = [
        counted.select(team="home", won=home_won, points=pl.col("home_score")),
        counted.select(team="away", won=~home_won, points=pl.col("away_score")),
    ]
    record = pl.concat(sides).group_by("team").agg(pl.col("won").sum(), pl.col("points").sum())
    order = ["copy", "east", "won", "points", "team"]
    down = [False, True, True, True, False]
    return (
        teams(spec, year)
        .select("copy", "east", "team")
        .join(record, on="team", how="left")
        .sort(order, descending=down)
        .with_columns(seed=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("copy", "east"))
    )


def _pairs(table: pl.DataFrame, meetings: Sequence[tuple[int, int]]) -> pl.DataFrame:
    """`copy`, `bracket`, `better`, `worse`: who meets, east before west."""
    frames = []
    for at, (high, low) in enumerate(meetings):
        better = table.filter(pl.col("seed") == high).select("copy", "east", better="team")
        worse = table.filter(pl.col("seed") == low).select("copy", "east", worse="team")
        half = pl.when("east").then(0).otherwise(len(meetings))
        frames.append(
            better.join(worse, on=["copy", "east"])
            .with_columns(bracket=half.cast(pl.Int64) + at)
            .drop("east")
        )
    return pl.concat(frames).sort("copy", "bracket")


def _games(pairs: pl.DataFrame, day: pl.Expr, kind: str, hosted: pl.Expr) -> pl.DataFrame:
    better, worse = pl.col("better"), pl.col("worse")
    return pairs.with_columns(
        day=day,
        kind=pl.lit(kind),
        neutral=pl.lit(False),
        first_date=pl.lit(None, dtype=pl.Date),
        home=pl.when(hosted).then(better).otherwise(worse),
        away=pl.when(hosted).then(worse).otherwise(better),
    )


def _winner() -> pl.Expr:
    return pl.when(pl.col("home_score") > pl.col("away_score")).then("home").otherwise("away")


def _loser() -> pl.Expr:
    return pl.when(pl.col("home_score") > pl.col("away_score")).then("away").otherwise("home")


def _play_in(
    table: pl.DataFrame, start: date, play: Play
) -> tuple[list[pl.DataFrame], pl.DataFrame]:
    """7 meets 8 and 9 meets 10; the loser of the first meets the winner of the second."""
    first = play(_games(_pairs(table, [(7, 8), (9, 10)]), pl.lit(start), "playin", pl.lit(True)))
    place = pl.col("bracket") % 2
    sides = first.with_columns(half=pl.col("bracket") // 2, place=place)
    seventh = sides.filter(pl.col("place") == 0).select("copy", "half", _winner().alias("seventh"))
    losers = sides.filter(pl.col("place") == 0).select("copy", "half", _loser().alias("better"))
    others = sides.filter(pl.col("place") == 1).select("copy", "half", _winner().alias("worse"))
    last_pairs = losers.join(others, on=["copy", "half"]).with_columns(bracket=pl.col("half"))
    day = pl.lit(start + timedelta(2))
    second = play(_games(last_pairs.sort("copy", "half"), day, "playin", pl.lit(True)))
    eighth = second.select("copy", "half", _winner().alias("eighth"))
    through = seventh.join(eighth, on=["copy", "half"]).with_columns(east=pl.col("half") == 0)
    seeds = [
        through.select("copy", "east", team="seventh", seed=pl.lit(7, dtype=pl.Int64)),
        through.select("copy", "east", team="eighth", seed=pl.lit(8, dtype=pl.Int64)),
    ]
    top = table.filter(pl.col("seed") <= 6).select("copy", "east", "team", "seed")
    return [first, second], pl.concat([top, *seeds])


def _series(pairs: pl.DataFrame, start: date, play: Play) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All series of a round: best of seven, every other day; winners as `copy`, `bracket`, `team`.

    All seven games are played out and those after the fourth win are then left away.
    """
    numbers = pl.DataFrame({"nth": range(7), "hosted": _HOSTS})
    day = pl.lit(start) + pl.duration(days=pl.col("nth") * 2)
    games = play(_games(pairs.join(numbers, how="cross"), day, "playoffs", pl.col("hosted"))).sort(
        "copy", "bracket", "nth"
    )
    series = ["copy", "bracket"]
    won = (_winner() == pl.col("better")).cast(pl.Int64)
    games = games.with_columns(won_better=won, won_worse=1 - won).with_columns(
        pl.col("won_better", "won_worse").cum_sum().over(series)
    )
    before = pl.max_horizontal(pl.col("won_better") - won, pl.col("won_worse") - (1 - won))
    games = games.filter(before < 4)
    winners = games.group_by(series).agg(
        team=pl.when(pl.col("won_better").max() == 4)
        .then(pl.col("better").first())
        .otherwise(pl.col("worse").first())
    )
    return games, winners.sort(series)


def _next_round(winners: pl.DataFrame) -> pl.DataFrame:
    """Neighbours in the bracket meet; the lower team number counts as the better."""
    return (
        winners.with_columns(pl.col("bracket") // 2)
        .group_by("copy", "bracket")
        .agg(better=pl.col("team").min(), worse=pl.col("team").max())
        .sort("copy", "bracket")
    )
