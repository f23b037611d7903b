"""Who plays whom on which date: one template a season, which every league copy follows.

Plain Python and small (1,230 games): the copies differ in which team takes which slot.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache
from random import Random

from ray_backfill_nba.demo_league.dice import seeded
from ray_backfill_nba.demo_league.spec import LeagueSpec

__all__ = ["Fixture", "Fixtures", "fixtures", "opening_day"]


@dataclass(frozen=True, slots=True)
class Fixture:
    """One game of the template. `first_date`: where it stood before it was postponed."""

    day: date
    home: int
    away: int
    neutral: bool = False
    first_date: date | None = None


@dataclass(frozen=True, slots=True)
class Fixtures:
    """A regular season, in order of dates, and the days around it."""

    games: tuple[Fixture, ...]
    all_star: date | None
    cup_day: date | None

    @property
    def opening(self) -> date:
        return self.games[0].day

    @property
    def last(self) -> date:
        return self.games[-1].day


def opening_day(year: int) -> date:
    """The Tuesday from 18 to 24 October."""
    start = date(year, 10, 18)
    return start + timedelta((1 - start.weekday()) % 7)


def _friday_from(start: date) -> date:
    return start + timedelta((4 - start.weekday()) % 7)


def _playing_days(year: int, count: int) -> list[date]:
    """The first `count` days from the opening on that are not free for the whole league."""
    thanksgiving = date(year, 11, 22) + timedelta((3 - date(year, 11, 22).weekday()) % 7)
    break_start = _friday_from(date(year + 1, 2, 12))
    free = {thanksgiving, date(year, 12, 16), date(year, 12, 24)}
    free |= {break_start + timedelta(n) for n in range(6)}
    days: list[date] = []
    day = opening_day(year)
    while len(days) < count:
        if day not in free:
            days.append(day)
        day += timedelta(1)
    return days


def _rounds(rng: Random, teams: int, games: int) -> list[list[tuple[int, int]]]:
    """`games` rounds in which everybody plays once, by the circle method."""
    rounds: list[list[tuple[int, int]]] = []
    while len(rounds) < games:
        ring = rng.sample(range(teams), teams)
        cycle = []
        for _ in range(teams - 1):
            cycle.append([(ring[i], ring[-1 - i]) for i in range(teams // 2)])
            ring = [ring[0], ring[-1], *ring[1:-1]]
        rng.shuffle(cycle)
        rounds += cycle
    return rounds[:games]


class _Diary:
    """Which days each team plays on."""

    def __init__(self, teams: int, days: list[date]) -> None:
        self.days = days
        self.taken: list[set[date]] = [set() for _ in range(teams)]
        self.load = [0] * len(days)

    def free(self, at: int, pair: tuple[int, int], strict: bool = True) -> bool:
        """Both are idle, and it is nobody's third day in a row."""
        day = self.days[at]
        if any(day in self.taken[team] for team in pair):
            return False
        return not (strict and any(self._third_in_a_row(team, day) for team in pair))

    def _third_in_a_row(self, team: int, day: date) -> bool:
        taken = self.taken[team]
        near = [day + timedelta(n) in taken for n in (-2, -1, 1, 2)]
        return (near[0] and near[1]) or (near[1] and near[2]) or (near[2] and near[3])

    def hurry(self, at: int, pair: tuple[int, int]) -> int:
        """How many games the two have on the days beside."""
        day = self.days[at]
        beside = (day - timedelta(1), day + timedelta(1))
        return sum(d in self.taken[team] for team in pair for d in beside)

    def put(self, at: int, pair: tuple[int, int]) -> None:
        for team in pair:
            self.taken[team].add(self.days[at])
        self.load[at] += 1


_BUSY = (0.0, 0.9, -0.8, 1.6, -0.9, -0.2, 0.0)
"""How unpopular a weekday is: Wednesdays and Fridays are full, Thursdays are thin."""


def _placed(rng: Random, teams: int, games: int, days: list[date]) -> list[tuple[int, int, int]]:
    """(index of the day, team, team), each game near where its round belongs."""
    diary = _Diary(teams, days)
    out = []
    step = (len(days) - 1) / max(games - 1, 1)
    for number, pairs in enumerate(_rounds(rng, teams, games)):
        middle = round(number * step)
        for pair in pairs:
            at = _best_day(rng, diary, middle, pair, 8.0 / teams)
            diary.put(at, pair)
            out.append((at, *pair))
    return sorted(out)


def _best_day(rng: Random, diary: _Diary, middle: int, pair: tuple[int, int], crowd: float) -> int:
    count = len(diary.days)
    near = range(max(0, middle - 3), min(count, middle + 4))
    fit = [at for at in near if diary.free(at, pair)]
    if not fit:
        by_distance = sorted(range(count), key=lambda at: (abs(at - middle), at))
        fit = [at for at in by_distance if diary.free(at, pair)][:1]
        fit = fit or [at for at in by_distance if diary.free(at, pair, strict=False)][:1]

    def cost(at: int) -> float:
        mood = _BUSY[diary.days[at].weekday()] + rng.random() * 2
        return abs(at - middle) + mood + diary.load[at] * crowd + 1.2 * diary.hurry(at, pair)

    return min(fit, key=cost)


def _with_homes(
    rng: Random, teams: int, placed: list[tuple[int, int, int]]
) -> list[tuple[int, int, int]]:
    """(day, home, away): stands at home and trips on the road, then evened out."""
    at_home = [rng.random() < 0.5 for _ in range(teams)]
    left = [rng.randint(1, 4) for _ in range(teams)]
    out = []
    for day, a, b in placed:
        home, away = (a, b) if at_home[a] and not at_home[b] else (b, a)
        if at_home[a] == at_home[b] and rng.random() < 0.5:
            home, away = away, home
        out.append((day, home, away))
        for team, was_home in ((home, True), (away, False)):
            left[team] -= at_home[team] == was_home
            if left[team] <= 0:
                at_home[team], left[team] = not at_home[team], rng.randint(1, 5)
    return _evened(teams, out)


def _evened(teams: int, games: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Swap homes along a chain of games until no team has two more home games than another."""
    games = list(games)
    count = [0] * teams
    for _, home, _ in games:
        count[home] += 1
    while max(count) - min(count) > 1:
        rich, poor = count.index(max(count)), count.index(min(count))
        for at in _chain(teams, games, rich, poor):
            day, home, away = games[at]
            games[at] = (day, away, home)
        count[rich] -= 1
        count[poor] += 1
    return games


def _chain(teams: int, games: list[tuple[int, int, int]], start: int, goal: int) -> list[int]:
    """Games that lead from `start` at home to `goal` away, each from host to guest."""
    hosted: list[list[int]] = [[] for _ in range(teams)]
    for at, (_, home, _) in enumerate(games):
        hosted[home].append(at)
    reached: dict[int, tuple[int, int] | None] = {start: None}
    queue = deque([start])
    while queue and goal not in reached:
        team = queue.popleft()
        for at in hosted[team]:
            guest = games[at][2]
            if guest not in reached:
                reached[guest] = (team, at)
                queue.append(guest)
    chain: list[int] = []
    step = reached.get(goal)
    while step is not None:
        chain.append(step[1])
        step = reached[step[0]]
    return chain


def _postponed(rng: Random, games: list[Fixture], teams: int) -> list[Fixture]:
    """Give a few games an earlier first date, on which both teams are idle."""
    taken: list[set[date]] = [set() for _ in range(teams)]
    for game in games:
        taken[game.home].add(game.day)
        taken[game.away].add(game.day)
    days = sorted({game.day for game in games})
    out = list(games)
    wanted = max(1, teams // 10)
    for at in rng.sample(range(len(out)), len(out)):
        game = out[at]
        back = days[: bisect_left(days, game.day - timedelta(6))][-20:]
        idle = [d for d in back if d not in taken[game.home] and d not in taken[game.away]]
        if idle:
            first = rng.choice(idle)
            out[at] = replace(game, first_date=first)
            taken[game.home].add(first)
            taken[game.away].add(first)
            wanted -= 1
        if not wanted:
            break
    return out


@lru_cache(maxsize=8)
def fixtures(spec: LeagueSpec, year: int) -> Fixtures:
    """The template of the season that begins in `year`."""
    rng = Random(seeded(spec.seed, "fixtures", year))
    days = _playing_days(year, max(round(spec.games * 2.01), 4))
    placed = _with_homes(rng, spec.teams, _placed(rng, spec.teams, spec.games, days))
    games = [Fixture(days[at], home, away) for at, home, away in placed]
    for at in rng.sample(range(len(games)), min(2, len(games) // 20)):
        games[at] = replace(games[at], neutral=True)
    if spec.defects:
        games = _postponed(rng, games, spec.teams)
    opening, last = games[0].day, games[-1].day
    star = _friday_from(date(year + 1, 2, 12)) + timedelta(2)
    cup = date(year, 12, 16)
    return Fixtures(
        tuple(games),
        star if opening < star < last else None,
        cup if opening < cup < last and spec.teams >= 8 else None,
    )
