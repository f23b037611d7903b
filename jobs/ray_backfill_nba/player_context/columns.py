"""The output table as its contract: every column with its formula, its unit, and what NULL means.

H = the player's played games before D in the same season, newest first; T, O = the games of the
row's team and of its opponent before D in the same season. "The newest n" are taken first; games
that lack the figure are left out afterwards. The wording of a description decides no value: this
module is not part of the code version.
"""

from __future__ import annotations

from ray_backfill.job.table import Column, Kind, Table

__all__ = ["OUTPUT"]

_S, _I, _F, _B = Kind.STRING, Kind.INT, Kind.FLOAT, Kind.BOOL


def _always(name: str, kind: Kind, description: str) -> Column:
    return Column(name, kind, description, nullable=False)


_IDENTITY = (
    _always("game_date", Kind.DATE, "D: the US Eastern date of the game."),
    _always(
        "game_id",
        _S,
        "YYYYMMDD_AWAY_HOME, built from the schedule. The game is found by date and "
        "team, never by an id.",
    ),
    Column(
        "nba_game_id",
        _S,
        "The league's id, from the schedule. NULL where it has none or its rows disagree.",
    ),
    _always(
        "season",
        _S,
        "Season, like 2025-26: by the digits of a game id like 0022500001, else the schedule's "
        "label (2025-26 or 2025-2026), else by the date (July to June).",
    ),
    Column(
        "season_type",
        _S,
        "As the schedule states it, else the kind: preseason, regular, allstar, playoffs, playin "
        "or cup_final, by the third digit of the game id, else by is_playoffs and "
        "is_regular_season. NULL where not known; the game then counts.",
    ),
    _always(
        "season_phase",
        _S,
        "playoffs for play-in and playoffs, by the kind (of season_type by its letters, else of "
        "the id, else of the flags); else by month: early Oct–Nov, mid Dec–Feb, late in every "
        "other.",
    ),
    Column(
        "tipoff_at",
        Kind.TIMESTAMP,
        "Tip-off (UTC): the schedule's; the feed's where that is more than 3 hours away or the "
        "schedule has none. The feed's is the median (of an even number the earlier of the middle "
        "two) over the distinct pairs of snapshot and stated start of the game's rows in both "
        "Odds API tables. A time that is not on D in the US East is none. NULL where there is "
        "none.",
    ),
    _always(
        "player_lookup",
        _S,
        "Spelling-proof key of the player, as in the gamebook: trimmed, lower case, and what the "
        "aliases say.",
    ),
    _always("player_name", _S, "Name in the gamebook row; player_lookup where that has none."),
    _always("team_abbr", _S, "The player's team in this game."),
    _always("opponent_team_abbr", _S, "The other team."),
    _always("home_game", _B, "Whether the row's team is the home team, on neutral ground too."),
    _always(
        "population",
        _S,
        "gamebook: the game has gamebook rows. roster: it has none and was not "
        "played; the player's latest row within 30 days before D is for this team.",
    ),
)

_POINTS_LINE = (
    _always("has_prop_line", _B, "Whether current_points_line is known."),
    Column(
        "current_points_line",
        _F,
        "Points. The latest line before tip-off of the first rung of the "
        "cascade that has one (see points_line_rank); above 0 and at most 60. Prices of one line "
        "at one instant belong together (of one side's several, the highest); where the book has "
        "a timed line with both prices, lines that lack one are left out. Several lines at one "
        "instant: both prices known first, then the closest decimal prices, then the nearest to "
        "the median of the current lines of the other books of both sources that have just one "
        "left at their latest instant, then the lowest. NULL without a usable line.",
    ),
    Column(
        "opening_points_line",
        _F,
        "Points. The earliest line of the same source and book; for "
        "BettingPros the usable opening_line of the current line (over side first, of several the "
        "lowest) where present. NULL without a line, and where the line has no time.",
    ),
    Column(
        "line_movement", _F, "Points. current_points_line − opening_points_line; NULL with either."
    ),
    Column(
        "points_line_source",
        _S,
        "ODDS_API or BETTINGPROS. A median of both is ODDS_API. NULL without a line.",
    ),
    Column(
        "points_line_bookmaker",
        _S,
        "draftkings, fanduel or consensus. NULL without a line. Names "
        "are compared by lower-case letters and digits.",
    ),
    Column(
        "points_line_rank",
        _I,
        "1 Odds API DraftKings, 2 BettingPros DraftKings, 3 Odds API "
        "FanDuel, 4 BettingPros FanDuel, 5 BettingPros Consensus, else the median of every other "
        "book's current line (a book once, timed books only where there are any). Rank decides "
        "before time: an untimed DraftKings line goes before a timed FanDuel line. NULL without.",
    ),
    Column(
        "points_line_at",
        Kind.TIMESTAMP,
        "When the current line was seen (UTC), for a median the "
        "latest of its lines; before tip-off. NULL where the line has no time or no line is known.",
    ),
    _always(
        "points_line_books",
        _I,
        "Books with a usable line over both sources, a book once, without "
        "BettingPros Consensus. 0 without.",
    ),
    Column(
        "prop_over_streak",
        _I,
        "Newest consecutive games of H with points above the current line; "
        "a push ends it; games with unknown points are skipped. NULL without a line.",
    ),
    Column(
        "prop_under_streak",
        _I,
        "Newest consecutive games of H with points below the current line, "
        "likewise. NULL without a line.",
    ),
)


def _game_line(word: str, name: str, meaning: str) -> tuple[Column, ...]:
    signed = f"; signed like {name}" if word == "spread" else ""
    return (
        Column(
            name,
            _F,
            f"Points. {meaning} Latest line before tip-off at the Odds API: DraftKings, "
            "else FanDuel, else the median over books. At one instant as for player points, with "
            "the prices of the two sides and the other books of the market. NULL without a usable "
            "line (|spread| up to 40, total 100–350).",
        ),
        Column(
            f"opening_{word}",
            _F,
            "Points. Earliest line of the same book, for a median the median "
            f"of the openings{signed}. NULL without a line or where it has no time.",
        ),
        Column(
            f"{word}_movement", _F, f"Points. {name} − opening_{word}; NULL with either of them."
        ),
        Column(f"{word}_bookmaker", _S, "draftkings, fanduel or consensus. NULL without a line."),
        Column(
            f"{word}_at",
            Kind.TIMESTAMP,
            "When the line was seen (UTC), for a median the latest of "
            "its lines; before tip-off. NULL where it has no time or no line is known.",
        ),
        _always(f"{word}_books", _I, "Books with a usable line of this market. 0 without."),
    )


_GAME_LINES = (
    *_game_line(
        "spread",
        "game_spread",
        "Relative to the row's team: negative means favoured; the two teams have opposite signs.",
    ),
    *_game_line("total", "game_total", "The same for both teams."),
    Column("implied_team_total", _F, "Points. game_total / 2 − game_spread / 2; NULL with either."),
)

_GAP = " NULL for every row with history_gap."

_REST = (
    Column(
        "days_rest",
        _I,
        "Days. D − date of H[0]: 1 is a back-to-back. NULL for the first game of "
        "the season." + _GAP,
    ),
    Column(
        "days_rest_before_last_game",
        _I,
        "Days. Date of H[0] − date of H[1]. NULL with fewer than two games." + _GAP,
    ),
    Column("back_to_back", _B, "days_rest = 1; FALSE for the first game of the season." + _GAP),
    Column(
        "days_since_2_plus_days_rest",
        _I,
        "Days. D − the later date of the newest two neighbours "
        "of H at least 2 days apart. NULL where there are none." + _GAP,
    ),
    Column("games_in_last_7_days", _I, "Games of H dated in [D − 7, D)." + _GAP),
    Column("games_in_last_14_days", _I, "Games of H dated in [D − 14, D)." + _GAP),
    Column(
        "minutes_in_last_7_days",
        _F,
        "Minutes. Known minutes of the games dated in [D − 7, D): 0 "
        "without a game. NULL where none of them has minutes." + _GAP,
    ),
    Column(
        "minutes_in_last_14_days",
        _F,
        "Minutes. Known minutes of the games dated in [D − 14, D): 0 "
        "without a game. NULL where none of them has minutes." + _GAP,
    ),
    Column(
        "avg_minutes_per_game_last_7",
        _F,
        "Minutes. Mean over the games dated in [D − 7, D) whose "
        "minutes are known. NULL where there are none." + _GAP,
    ),
    Column(
        "back_to_backs_last_14_days",
        _I,
        "Neighbours of H one day apart whose later date is in [D − 14, D)." + _GAP,
    ),
)

_FORM = (
    Column(
        "points_avg_last_5",
        _F,
        "Points. Mean of the known points of the newest 5 of H. NULL without any.",
    ),
    Column(
        "points_avg_last_10",
        _F,
        "Points. Mean of the known points of the newest 10 of H. NULL without any.",
    ),
    Column("points_avg_season", _F, "Points. Mean of the known points of H. NULL without any."),
    Column(
        "points_std_last_10",
        _F,
        "Points. Sample standard deviation over the games of "
        "points_avg_last_10. NULL with fewer than 2.",
    ),
    Column(
        "minutes_avg_last_10",
        _F,
        "Minutes. Mean of the known minutes of the newest 10 of H. NULL without any.",
    ),
    Column(
        "ppm_avg_last_10",
        _F,
        "Points per minute. Sum of points ÷ sum of minutes over those of the "
        "newest 10 of H with both known. NULL where the minutes are 0.",
    ),
    Column(
        "usage_rate_last_10",
        _F,
        "Per cent. Mean over the newest 10 of H of 100 · (FGA + 0.44 FTA "
        "+ TOV) · (game minutes / 5) ÷ (minutes · (team FGA + 0.44 team FTA + team TOV)); game "
        "minutes = 240 + 25 · overtimes from the team's sum. A game enters if minutes are above "
        "0, the team's box score is complete and every player of it who played has minutes, "
        "points, FGA, FTA, OREB and TOV. NULL without any.",
    ),
    Column(
        "shooting_pct_decline_last_5",
        _F,
        "Share of shots made (0–1): season − newest 5 of H, each "
        "FGM ÷ FGA of the sums over games with both known. NULL where an attempts sum is 0.",
    ),
    _always("games_played_season", _I, "Games in H."),
    _always("l5_games_used", _I, "Games that entered points_avg_last_5."),
    _always("l10_games_used", _I, "Games that entered points_avg_last_10."),
    Column(
        "avg_points_vs_opponent",
        _F,
        "Points. Mean of the known points of the played games against "
        "this opponent before D, this season and the one before, for whichever team. NULL without.",
    ),
    _always("games_vs_opponent", _I, "Those games, also where the points are not known."),
)

_TEN = (
    "mean over the newest 10 games of the season before D in which both sides have a complete box "
    "score and every player who played has minutes, points, FGA, FTA, OREB and TOV. NULL without "
    "any."
)

_TEAM = (
    Column(
        "team_pace_last_10",
        _F,
        "Possessions per 48 minutes: 48 · (own + opponent possessions) / "
        "(2 · game minutes / 5), possessions = FGA + 0.44 FTA − OREB + TOV; " + _TEN,
    ),
    Column(
        "team_off_rating_last_10",
        _F,
        "Points per 100 own possessions; a game without possessions is left out; " + _TEN,
    ),
    Column("opponent_pace_last_10", _F, "team_pace_last_10 of the opponent."),
    Column("opponent_off_rating_last_10", _F, "team_off_rating_last_10 of the opponent."),
    Column(
        "opponent_def_rating_last_10",
        _F,
        "The opponent's: points allowed per 100 possessions of the other team; " + _TEN,
    ),
    Column("opponent_ft_rate_allowed", _F, "The opponent's: FTA ÷ FGA of the other team; " + _TEN),
    Column("pace_differential", _F, "team_pace_last_10 − opponent_pace_last_10; NULL with either."),
    Column(
        "team_win_pct",
        _F,
        "Share (0–1): wins ÷ played games with a usable score before D in the season, "
        "of any type, from the schedule; a tie is no win. NULL before the first.",
    ),
    Column("opponent_win_pct", _F, "team_win_pct of the opponent."),
)

_LOOK = (
    " Regular-season games only, played or not, off ones never. NULL on play-in and playoff rows."
)

_AHEAD = (
    Column(
        "next_game_days_rest",
        _I,
        "Days from D to the team's next game, of those in (D, D + 14]. "
        "NULL where there is none." + _LOOK,
    ),
    Column("games_in_next_7_days", _I, "Team games in (D, D + 7]; 0 without." + _LOOK),
    Column(
        "next_opponent_win_pct",
        _F,
        "team_win_pct, as of D, of the opponent of that next game. "
        "NULL without a next game or before its first played game." + _LOOK,
    ),
    Column(
        "opponent_days_rest",
        _I,
        "Days. D − the opponent's last game of the season before D, of "
        "any type, off ones never. NULL for its first game.",
    ),
    Column("opponent_games_in_next_7_days", _I, "games_in_next_7_days of the opponent." + _LOOK),
    Column("opponent_next_game_days_rest", _I, "next_game_days_rest of the opponent." + _LOOK),
)

_ARENA = (
    " The arena is the home team's; unknown where neutral_site_flag is TRUE or the team has no "
    "location. The first leg of a season starts at the team's own arena."
)

_TRAVEL = (
    Column(
        "travel_miles",
        _F,
        "Statute miles into this game, great circle from the arena of the "
        "team's game before it (haversine, radius 3,958.7613). NULL where an end is not known, so "
        "also out of a neutral site." + _ARENA,
    ),
    Column(
        "time_zone_changes",
        _F,
        "Hours. Absolute difference of the two arenas' UTC offsets at noon "
        "local time on D. NULL where one is not known." + _ARENA,
    ),
    _always(
        "consecutive_road_games",
        _I,
        "Away games in a row of the season up to and with this one; 0 "
        "at home. The schedule's home team is at home on neutral ground too.",
    ),
    Column(
        "miles_traveled_last_14_days",
        _F,
        "Statute miles: travel_miles of the legs into games "
        "dated in (D − 14, D], this one included. NULL where one of them is.",
    ),
    Column(
        "time_zones_crossed_last_14_days",
        _F,
        "Hours: time_zone_changes of the same legs. NULL where one of them is.",
    ),
)

_PLAYER = (
    Column(
        "player_age",
        _I,
        "Completed years on D (born on 29 February: on 1 March of a common year). "
        "The birth date of the season's registry row, else of the latest other season that has "
        "one. NULL where none is known or the rows disagree.",
    ),
)

_INJURIES = (
    Column(
        "player_status",
        _S,
        "out, doubtful, questionable (day-to-day too), probable or available in the team's latest "
        "report for D before tip-off (before D begins in the US East where the tip-off is not "
        "known); available where the report does not list him. A row without a player or of "
        "another status is no report; one without a team is of the player's team on D, else of "
        "that of his latest gamebook row within 30 days. NULL where his team has no report.",
    ),
    Column("injury_reason", _S, "The reason in that report. NULL where he is not listed."),
    Column(
        "questionable_teammates",
        _I,
        "Other players whom that report puts on the team as "
        "questionable. NULL where the team has no report.",
    ),
    Column(
        "probable_teammates", _I, "Other players in it who are probable. NULL without a report."
    ),
    Column(
        "star_teammates_out",
        _I,
        "Other players in it who are out or doubtful and average at least "
        "18 points, or 28 minutes with 12 points, over 5 or more games of the season before D, for "
        "whichever team (means over known points and known minutes). NULL without a report.",
    ),
)

_QUALITY = (
    _always(
        "missing_box_scores",
        _I,
        "Of the team's games of the season before D that are not off, those without a complete "
        "box score (rows of the team that all agree and whose points sum to its score, of a game "
        "that was played), and its stray dates (5 or more players on a date without a game of "
        "the team). 0 where there is none.",
    ),
    _always(
        "data_quality_tier",
        _S,
        "gold: 10 or more games in H, known minutes in at least 5 of the newest 10, and complete "
        "box scores of the team's newest 10 games of the season before D. silver: 5–9 games in H, "
        "or more that miss one of these. bronze: fewer.",
    ),
    _always(
        "data_quality_issues",
        Kind.STRINGS,
        "What the row lacks, in this order: no_history, "
        "thin_history (1–2 games), history_gap (in [D − 14, D) a game of the team without a "
        "complete box score, also one still to be played, or a stray date), history_incomplete "
        "(missing_box_scores > 0), no_minutes (none of the newest 10 of H has known minutes), "
        "no_tipoff, tipoff_disputed (the schedule states a tip-off that is not used), "
        "overdue_game (D's game is not played although newer ones are), no_game_spread, "
        "no_game_total, no_points_line, unstamped_line (a used line has no time), "
        "uniform_points_line (the book has one line for 10 or more rows of D), no_injury_report, "
        "implausible_spread (|spread| > 30), implausible_total (outside 150–300). Empty where "
        "nothing, never NULL.",
    ),
    Column(
        "known_at_max",
        Kind.TIMESTAMP,
        "Latest of points_line_at, spread_at, total_at and the time "
        "of the injury report used (UTC); before tip-off. NULL where none is used.",
    ),
)

OUTPUT = Table(
    "nba_analytics.upcoming_player_game_context",
    (
        *_IDENTITY,
        *_POINTS_LINE,
        *_GAME_LINES,
        *_REST,
        *_FORM,
        *_TEAM,
        *_AHEAD,
        *_TRAVEL,
        *_PLAYER,
        *_INJURIES,
        *_QUALITY,
    ),
    "What was known about a player before tip-off of his game on a date: one row per player and "
    "date. NULL means not known; averages are not rounded.",
    key=("game_date", "player_lookup"),
    partition="game_date",
    cluster=("player_lookup", "team_abbr"),
)
