"""Games out of a schedule that is scraped many times: of which season, kind and state each is.

The state comes from evidence, since a status is often early, late or wrong:

`played`  status 3 with a usable score, or without one while both teams have gamebook rows on that
          date; also a usable score without any status. Usable: both sides known and not 0–0.
`off`     any other status 3 of the past, and every status that is not 1, 2, 3 or NULL.
`open`    the rest; of the past it is overdue.

The past is what is dated before the newest played game, and every season but the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import polars as pl

from ray_backfill_nba.clean import Resolved, keep_best, resolve
from ray_backfill_nba.names import normalised

__all__ = [
    "GAME",
    "is_known_type",
    "is_postseason",
    "is_read_label",
    "settle_games",
    "sides_of",
    "standing",
]

GAME = ("game_date", "home_team", "away_team")
_SCORES = ("home_score", "away_score")

_RENAMED = {
    "game_id": "nba_game_id",
    "game_date_est": "tipoff_at",
    "game_status": "status",
    "home_team_tricode": "home_team",
    "away_team_tricode": "away_team",
    "is_regular_season": "is_regular",
    "neutral_site_flag": "is_neutral",
    "home_team_score": "home_score",
    "away_team_score": "away_score",
}
_ID = r"^00(\d)(\d\d)\d{5}$"
_LABEL = r"^(\d{4})-\d{2}$"
_FIRST_YEAR = 1946  # of the league: ids hold the last two digits of a year
_FINAL = 3
_JULY = 7
_KIND_OF_TYPE = {
    "preseason": "preseason",
    "regular": "regular",
    "allstar": "allstar",
    "risingstars": "allstar",
    "playoff": "playoffs",
    "playin": "playin",
    "cupfinal": "cup_final",
}
"""How a season type begins, by its letters, and the kind that it is."""
_KIND_OF_ID = {
    "1": "preseason",
    "2": "regular",
    "3": "allstar",
    "4": "playoffs",
    "5": "playin",
    "6": "cup_final",
}
_STATES = ("off", "open", "played")


def settle_games(schedule: pl.DataFrame, teams: pl.DataFrame) -> Resolved:
    """One row per date, home and away team out of raw rows, with its season and kind.

    `teams`: `game_date`, `team_abbr` of gamebook rows. Rows without two teams are left out. Of
    several rows a played one stands, then the latest scrape, then the highest status. Gives the
    renamed columns of the schedule with scores only where they are usable, and: `label` (the
    schedule's own season), `season`, `kind`, `is_regular`, `counts` (neither preseason nor
    All-Star), `is_played`, `is_disputed` (its rows disagree), `is_score_disputed` (on a score).
    """
    rows = normalised(schedule).rename(_RENAMED).drop_nulls(["home_team", "away_team"])
    rows = rows.filter(pl.col("home_team") != pl.col("away_team"))
    games = resolve(_with_played(rows, teams), GAME, ["is_played", "processed_at", "status"])
    usable = _is_scored()
    scores = pl.struct(pl.when(usable).then(name).alias(name) for name in _SCORES)
    torn = games.ties.group_by(GAME).agg(
        pl.lit(True).alias("is_disputed"), (scores.n_unique() > 1).alias("is_score_disputed")
    )
    settled = (
        games.rows.rename({"season": "label"})
        .join(torn, on=GAME, how="left")
        .with_columns(
            pl.col("is_disputed", "is_score_disputed").fill_null(False),
            *(pl.when(usable).then(name).alias(name) for name in _SCORES),
            *_season_and_kind(),
        )
        .with_columns(
            pl.coalesce("is_regular", pl.col("kind") == "regular").fill_null(False),
            _counts().alias("counts"),
        )
    )
    return Resolved(settled.drop("t"), games.ties)


def _is_scored() -> pl.Expr:
    home, away = pl.col("home_score"), pl.col("away_score")
    return (home.is_not_null() & away.is_not_null() & ((home != 0) | (away != 0))).fill_null(False)


def _with_played(rows: pl.DataFrame, teams: pl.DataFrame) -> pl.DataFrame:
    """The rows with `is_played`. Few finals lack a score: only theirs are looked for in boxes."""
    status, scored = pl.col("status"), _is_scored()
    sure = (scored & (status.is_null() | (status == _FINAL))).alias("is_played")
    rows = rows.with_columns(sure).with_row_index("at")
    bare = rows.filter((status == _FINAL) & ~scored)
    for side in ("home_team", "away_team"):
        bare = bare.join(
            teams, left_on=["game_date", side], right_on=["game_date", "team_abbr"], how="semi"
        )
    proven = pl.col("is_played") | pl.col("at").is_in(bare["at"].implode())
    return rows.with_columns(proven.alias("is_played")).drop("at")


def _season_and_kind() -> list[pl.Expr]:
    """`season`, `kind` and `t`, of the id, the label, the type, the flags and the date."""
    number, day = pl.col("nba_game_id"), pl.col("game_date")
    digits = number.str.extract(_ID, 2).cast(pl.Int32)
    first = pl.when(digits < _FIRST_YEAR % 100).then(digits + 2000).otherwise(digits + 1900)
    t = number.str.extract(_ID, 1)
    by_flag = (
        pl.when(pl.col("is_playoffs"))
        .then(pl.lit("playoffs"))
        .when(pl.col("is_regular"))
        .then(pl.lit("regular"))
    )
    by_date = day.dt.year() - (day.dt.month() < _JULY).cast(pl.Int32)
    stated = pl.when(is_read_label()).then("label")
    by_id = t.replace_strict(_KIND_OF_ID, default=None, return_dtype=pl.String)
    return [
        pl.coalesce(_named(first), stated, _named(by_date)).alias("season"),
        pl.coalesce(_by_type(), by_id, by_flag).alias("kind"),
        t.alias("t"),
    ]


def _by_type() -> pl.Expr:
    letters = pl.col("season_type").str.to_lowercase().str.replace_all("[^a-z]", "")
    return pl.coalesce(
        pl.when(letters.str.starts_with(begins)).then(pl.lit(kind))
        for begins, kind in _KIND_OF_TYPE.items()
    )


def is_known_type() -> pl.Expr:
    """Whether the `season_type` of a game is understood; NULL where it states none."""
    return pl.when(pl.col("season_type").is_not_null()).then(_by_type().is_not_null())


def is_read_label() -> pl.Expr:
    """Whether the `label` of a game is a season like 2025-26; NULL where it states none."""
    label = pl.col("label")
    read = label == _named(label.str.extract(_LABEL, 1).cast(pl.Int32))
    return pl.when(label.is_not_null()).then(read.fill_null(False))


def _named(year: pl.Expr) -> pl.Expr:
    """A season's name, like 2025-26, of the year that it starts in."""
    return pl.concat_str(
        year.cast(pl.String),
        pl.lit("-"),
        ((year + 1) % 100).cast(pl.String).str.zfill(2),
    )


def _counts() -> pl.Expr:
    never = pl.col("kind").is_in(["preseason", "allstar"]) | pl.col("t").is_in(["1", "3"])
    return ~never.fill_null(False)


def standing(games: pl.DataFrame, earlier: Sequence[str] = ()) -> pl.DataFrame:
    """The games with `state`, `is_overdue` and `stands`, each id on one date alone.

    `games`: as `settle_games` gives them; `earlier`: the names of all seasons but the last. Of
    one id on several dates a played game stands, then an open one, then the later date. A game
    `stands` unless one of its teams has a better one on its date: by the same order, then the
    first by (home, away).
    """
    newest = games.filter(pl.col("is_played") & pl.col("counts"))["game_date"].max()
    older = pl.col("game_date") < pl.lit(newest, dtype=pl.Date)
    past = pl.col("season").is_in(list(earlier)) | older.fill_null(False)
    status = pl.col("status")
    off = pl.when(status == _FINAL).then(past).otherwise(~status.is_in([1, 2]))
    rank = pl.when("is_played").then(2).when(off.fill_null(False)).then(0).otherwise(1)
    placed = games.with_columns(rank.alias("rank"), past.alias("is_past"))
    best = keep_best(placed.drop_nulls("nba_game_id"), ["nba_game_id"], ["rank", "game_date"])
    dates = best.select("nba_game_id", pl.col("game_date").alias("its_date")).unique()
    elsewhere = pl.col("its_date") != pl.col("game_date")
    found = placed.join(dates, on="nba_game_id", how="left").filter(~elsewhere.fill_null(False))
    state = pl.col("rank").replace_strict(dict(enumerate(_STATES)), return_dtype=pl.String)
    beaten = pl.struct(GAME).is_in(_beaten(found).implode())
    return found.drop("its_date").select(
        pl.exclude("rank", "is_past"),
        state.alias("state"),
        ((pl.col("rank") == 1) & pl.col("is_past")).alias("is_overdue"),
        (~(pl.col("counts") & beaten)).alias("stands"),
    )


def _beaten(games: pl.DataFrame) -> pl.Series:
    """The games, as structs of `GAME`, of which a team has a better one on its date."""
    held = games.filter("counts").select(*GAME, "rank")
    sides = [held.select("game_date", pl.col(name).alias("team")) for name in GAME[1:]]
    crowded = pl.concat(sides).filter(pl.struct("game_date", "team").is_duplicated())
    on = held.join(crowded, on="game_date", how="semi")
    taken: set[tuple[date, str]] = set()
    beaten = []
    for row in on.sort(pl.col("rank"), *GAME, descending=[True, False, False, False]).rows():
        day, home, away, _ = row
        if {(day, home), (day, away)} & taken:
            beaten.append(dict(zip(GAME, row, strict=False)))
        else:
            taken |= {(day, home), (day, away)}
    return pl.Series(beaten, dtype=pl.Struct({name: held.schema[name] for name in GAME}))


def sides_of(games: pl.DataFrame) -> pl.DataFrame:
    """Two rows per game, one per team, sorted by team and date.

    `own_score` and `their_score` as the row's team sees them. `games`: of each team one a date.
    """
    sides = [
        games.select(
            pl.all(),
            pl.col(f"{own}_team").alias("team_abbr"),
            pl.col(f"{other}_team").alias("opponent"),
            pl.lit(own == "home").alias("is_home"),
            pl.col(f"{own}_score").alias("own_score"),
            pl.col(f"{other}_score").alias("their_score"),
        )
        for own, other in (("home", "away"), ("away", "home"))
    ]
    return pl.concat(sides).sort("team_abbr", "game_date")


def is_postseason() -> pl.Expr:
    """Whether a game is of the play-in or the playoffs."""
    return pl.col("kind").is_in(["playin", "playoffs"]).fill_null(False)
