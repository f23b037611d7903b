"""Game lines and points lines of one date: candidates, one line a book, the cascade."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmarks.by_pandas.tables import Tables

__all__ = ["game_lines", "points_lines"]

_GAME = ["home_team", "away_team", "market_key"]
_RANKS = {
    ("ODDS_API", "draftkings"): 1,
    ("BETTINGPROS", "draftkings"): 2,
    ("ODDS_API", "fanduel"): 3,
    ("BETTINGPROS", "fanduel"): 4,
    ("BETTINGPROS", "bettingprosconsensus"): 5,
}


def _book(names: pd.Series) -> pd.Series:
    return names.str.lower().str.replace("[^a-z0-9]", "", regex=True)


def _timed(rows: pd.DataFrame, time: str, tipoff: pd.Series) -> pd.DataFrame:
    """Without what was quoted at tip-off or later; `at` is NaT where the time is not known."""
    sure = rows[time].notna() & tipoff.notna()
    rows = rows.assign(at=rows[time].where(sure))
    return rows[~sure | (rows[time] < tipoff)]


def _by_book(rows: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Current and opening line of each book: the latest and the earliest of its timed lines."""
    if "hint" not in rows:
        rows = rows.assign(hint=np.nan)
    current = rows.sort_values(["at", "gap", "line"], ascending=[False, True, True])
    current = current.drop_duplicates(by)
    opening = rows.sort_values(["at", "gap", "line"]).drop_duplicates(by)
    found = current.merge(opening[[*by, "line"]].rename(columns={"line": "opening"}), on=by)
    found["opening"] = found["hint"].fillna(found["opening"]).where(found["at"].notna())
    return found[[*by, "line", "opening", "at"]]


def _consensus(books: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Median over the books, of the timed ones where there is one."""
    if books.empty:
        return books.reindex(columns=[*by, "line", "opening", "at"])
    timed = books["at"].notna()
    any_timed = timed.groupby([books[name] for name in by]).transform("any")
    kept = books[timed | ~any_timed]
    return kept.groupby(by, as_index=False).agg(
        line=("line", "median"), opening=("opening", "median"), at=("at", "max")
    )


def game_lines(day: pd.Timestamp, games: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """The columns *Game lines*, one row per side in `games`."""
    chosen = _game_cascade(_by_book(_game_quotes(day, games, tables), [*_GAME, "book"]))
    found = games[["team_abbr", "home_team", "away_team", "is_home"]]
    for market, word in (("spreads", "spread"), ("totals", "total")):
        one = chosen[chosen["market_key"] == market].drop(columns="market_key")
        one = found[["home_team", "away_team"]].merge(
            one, on=["home_team", "away_team"], how="left"
        )
        sign = np.where(found["is_home"], 1, -1) if word == "spread" else 1
        found = found.assign(
            **{
                f"game_{word}": one["line"].to_numpy() * sign,
                f"opening_{word}": one["opening"].to_numpy() * sign,
                f"{word}_movement": (one["line"] - one["opening"]).to_numpy() * sign,
                f"{word}_bookmaker": one["bookmaker"].to_numpy(),
                f"{word}_at": one["at"].array,
                f"{word}_books": one["books"].fillna(0).to_numpy(),
            }
        )
    found["implied_team_total"] = found["game_total"] / 2 - found["game_spread"] / 2
    return found.drop(columns=["home_team", "away_team", "is_home"])


def _game_quotes(day: pd.Timestamp, games: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """A row per book, instant and line, home-relative, with the gap of its two prices."""
    rows = tables.lines[tables.lines["game_date"] == day]
    spread = rows["market_key"] == "spreads"
    name = rows["outcome_name"]
    first = (spread & (name == rows["home_team"])) | (~spread & (name == "Over"))
    second = (spread & (name == rows["away_team"])) | (~spread & (name == "Under"))
    market = rows["market_key"].isin(["spreads", "totals"]) & rows["bookmaker_key"].notna()
    rows = rows.assign(
        first=first, line=rows["outcome_point"].where(~(second & spread), -rows["outcome_point"])
    )
    rows = rows[market & (first | second) & rows["outcome_point"].notna()]
    rows = rows.drop(columns=["home_team", "away_team"]).rename(
        columns={"home_team_abbr": "home_team", "away_team_abbr": "away_team"}
    )
    tipoffs = games[games["is_home"]][["home_team", "away_team", "tipoff_at"]]
    rows = rows.merge(tipoffs, on=["home_team", "away_team"])
    rows = _timed(rows, "snapshot_timestamp", rows["tipoff_at"].fillna(rows["commence_time"]))
    rows = rows.assign(
        book=_book(rows["bookmaker_key"]),
        one=rows["outcome_price"].where(rows["first"]),
        other=rows["outcome_price"].where(~rows["first"]),
    )
    by = [*_GAME, "book", "at", "snapshot_timestamp", "line"]
    pairs = rows.groupby(by, dropna=False, as_index=False)[["one", "other"]].max()
    return pairs.assign(gap=(pairs["one"] - pairs["other"]).abs())


def _game_cascade(books: pd.DataFrame) -> pd.DataFrame:
    counts = books.groupby(_GAME, as_index=False).agg(books=("book", "size"))
    rank = books["book"].map({"draftkings": 0, "fanduel": 1})
    named = books.assign(rank=rank).dropna(subset="rank").sort_values("rank")
    named = named.drop_duplicates(_GAME).assign(bookmaker=lambda rows: rows["book"])
    named = named[[*_GAME, "line", "opening", "at", "bookmaker"]]
    left = books.merge(named[_GAME], on=_GAME, how="left", indicator=True)
    left = left[left["_merge"] == "left_only"].drop(columns="_merge")
    rest = _consensus(left, _GAME).assign(bookmaker="consensus")
    parts = [part for part in (named, rest) if not part.empty] or [named]
    return pd.concat(parts).merge(counts, on=_GAME)


def points_lines(day: pd.Timestamp, people: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """The columns *Points line* but the streaks, one row per player of `people`."""
    who = people[["player_lookup", "team_abbr", "tipoff_at"]]
    known = set(who["player_lookup"])
    parts = [_odds_api(day, who, known, tables), _bettingpros(day, who, known, tables)]
    parts = [part for part in parts if not part.empty]
    columns = ["line", "opening", "at", "source", "bookmaker", "rank", "books"]
    if parts:
        books = _by_book(pd.concat(parts), ["player_lookup", "source", "book"])
        lines = who[["player_lookup"]].merge(_points_cascade(books), how="left", on="player_lookup")
    else:
        lines = who[["player_lookup"]].reindex(columns=["player_lookup", *columns])
    return pd.DataFrame(
        {
            "player_lookup": lines["player_lookup"],
            "has_prop_line": lines["line"].notna(),
            "current_points_line": lines["line"],
            "opening_points_line": lines["opening"],
            "line_movement": lines["line"] - lines["opening"],
            "points_line_source": lines["source"],
            "points_line_bookmaker": lines["bookmaker"],
            "points_line_rank": lines["rank"],
            "points_line_at": pd.to_datetime(lines["at"], utc=True),
            "points_line_books": lines["books"].fillna(0),
        }
    )


def _named(rows: pd.DataFrame, known: set[str], aliases: dict[str, str]) -> pd.DataFrame:
    """The rows with a spelling that is nobody of the date replaced by whom it means."""
    lookup = rows["player_lookup"]
    return rows.assign(player_lookup=lookup.where(lookup.isin(known), lookup.map(aliases)))


def _odds_api(
    day: pd.Timestamp, who: pd.DataFrame, known: set[str], tables: Tables
) -> pd.DataFrame:
    rows = tables.props[tables.props["game_date"] == day]
    if rows.empty:
        return rows
    rows = _named(rows, known, tables.aliases).merge(who, on="player_lookup")
    plays = (rows["team_abbr"] == rows["home_team_abbr"]) | (
        rows["team_abbr"] == rows["away_team_abbr"]
    )
    rows = rows[plays & rows["points_line"].notna() & rows["bookmaker"].notna()]
    rows = _timed(rows, "snapshot_timestamp", rows["tipoff_at"].fillna(rows["game_start_time"]))
    return pd.DataFrame(
        {
            "player_lookup": rows["player_lookup"],
            "source": "ODDS_API",
            "book": _book(rows["bookmaker"]),
            "line": rows["points_line"],
            "at": rows["at"],
            "gap": (rows["over_price"] - rows["under_price"]).abs(),
            "hint": np.nan,
        }
    )


def _bettingpros(
    day: pd.Timestamp, who: pd.DataFrame, known: set[str], tables: Tables
) -> pd.DataFrame:
    rows = tables.bettingpros[tables.bettingpros["game_date"] == day]
    if rows.empty:
        return rows
    rows = rows[(rows["market_type"] == "points") & rows["is_active"].fillna(True).astype(bool)]
    rows = rows[rows["bet_side"].isin(["over", "under"]) & rows["points_line"].notna()]
    rows = _named(rows, known, tables.aliases).merge(who, on="player_lookup")
    rows = _timed(rows, "bookmaker_last_update", rows["tipoff_at"])
    odds, over = rows["odds_american"].astype(float), rows["bet_side"] == "over"
    price = (1 + odds / 100).where(odds > 0, 1 - 100 / odds)
    rows = rows.assign(
        source="BETTINGPROS",
        book=_book(rows["bookmaker"]),
        line=rows["points_line"],
        one=price.where(over),
        other=price.where(~over),
        one_hint=rows["opening_line"].where(over),
        other_hint=rows["opening_line"].where(~over),
    )
    by = ["player_lookup", "source", "book", "line", "at", "bookmaker_last_update"]
    pairs = rows.groupby(by, dropna=False, as_index=False).agg(
        one=("one", "max"),
        other=("other", "max"),
        one_hint=("one_hint", "min"),
        other_hint=("other_hint", "min"),
    )
    pairs["gap"] = (pairs["one"] - pairs["other"]).abs()
    pairs["hint"] = pairs["one_hint"].fillna(pairs["other_hint"])
    return pairs[["player_lookup", "source", "book", "line", "at", "gap", "hint"]]


def _points_cascade(books: pd.DataFrame) -> pd.DataFrame:
    """The chosen line of each player, and how many books have one."""
    ranks = [_RANKS.get(pair) for pair in zip(books["source"], books["book"], strict=True)]
    books = books.assign(rank=pd.array(ranks, dtype="float64"))
    named = books.dropna(subset="rank").sort_values("rank").drop_duplicates("player_lookup")
    bookmaker = named["book"].where(named["rank"] < 5, "consensus")
    named = named.assign(bookmaker=bookmaker)
    rest = books[~books["player_lookup"].isin(named["player_lookup"])]
    rest = rest.assign(untimed=rest["at"].isna(), second=rest["source"] != "ODDS_API")
    rest = rest.sort_values(["untimed", "second"]).drop_duplicates(["player_lookup", "book"])
    sources = rest.groupby("player_lookup")["second"].all()
    median = _consensus(rest, ["player_lookup"]).assign(bookmaker="consensus", rank=5)
    from_bettingpros = median["player_lookup"].map(sources).eq(True)
    median["source"] = np.where(from_bettingpros, "BETTINGPROS", "ODDS_API")
    parts = [part for part in (named, median) if not part.empty] or [named]
    chosen = pd.concat(parts)[
        ["player_lookup", "source", "bookmaker", "rank", "line", "opening", "at"]
    ]
    own = books[books["book"] != "bettingprosconsensus"]
    counts = own.groupby("player_lookup")["book"].nunique()
    return chosen.assign(books=chosen["player_lookup"].map(counts))
