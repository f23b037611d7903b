"""The digests of a season's input views: those that the cache knows, and the others read.

A digest is kept under a token of the partitions that it was made from; and only where these are
still the same after the reading, so that what another writes meanwhile is never kept as what was
there before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from ray_backfill.errors import WarehouseError
from ray_backfill.job import Context, Frames, Input, Job, View
from ray_backfill.job.calendar import DateRange, hull
from ray_backfill.staleness.digest import text_digest
from ray_backfill.staleness.fingerprint import fingerprints, seen_by_views, view_digests
from ray_backfill.survey.cache import Cache, Digests, Tokens
from ray_backfill.survey.reading import read_frame
from ray_backfill.warehouse import Warehouse

__all__ = ["InputTokens", "SeasonDigests"]

UNREADABLE = "unreadable"
"""The digest of a date whose file cannot be read: it differs from every other."""

InputTokens = Mapping[str, Tokens]
"""Input name -> partition -> token of its metadata."""


class SeasonDigests:
    """The view digests of one season's due dates."""

    def __init__(
        self, job: Job, days: Sequence[date], context: Context, tokens: InputTokens, cache: Cache
    ) -> None:
        self._job = job
        self._days = days
        self._context = context
        self._cache = cache
        self._season = context.season.name
        # The options are in the cache's header already.
        self._seen = text_digest(repr(seen_by_views(context).seasons))
        self._tokens = self._tokens_of(tokens)
        self._found: dict[str, Digests] = {
            name: cache.digests(self._season, self._seen, name, of)
            for name, of in self._tokens.items()
        }
        self._fresh: dict[str, Digests] = {}

    def prints(self, warehouse: Warehouse) -> dict[date, str]:
        """Fingerprint of each date; reads only what the cache does not know."""
        lacking = {
            name: [day for day in tokens if day not in self._found[name]]
            for name, tokens in self._tokens.items()
        }
        frames, broken = self._frames(warehouse, lacking)
        for view in self._job.views:
            if days := lacking[view.name]:
                made = view_digests(self._job, view, frames, self._context)
                bad = {day for name in view.inputs for day in broken.get(name, ())}
                fresh = {day: made.get(day) for day in days}
                self._found[view.name] = {
                    **self._found[view.name],
                    **fresh,
                    **dict.fromkeys(bad, UNREADABLE),
                }
                # The file may be put back: nothing that rests on its absence is kept.
                good = fresh if not bad or view.local else {}
                self._fresh[view.name] = {d: one for d, one in good.items() if d not in bad}
        digests = {
            name: {day: digest for day, digest in found.items() if digest is not None}
            for name, found in self._found.items()
        }
        return fingerprints(self._job, digests, self._days, self._context.seasons)

    @property
    def read(self) -> set[str]:
        """The inputs that digests to keep were made from."""
        views = (view for view in self._job.views if self._fresh.get(view.name))
        return {name for view in views for name in view.inputs}

    def keep(self, tokens: InputTokens) -> None:
        """Give what was read to the cache, where its tokens are still those of the beginning."""
        now = self._tokens_of(tokens)
        for view, fresh in self._fresh.items():
            before, after = self._tokens[view], now[view]
            same = {day: digest for day, digest in fresh.items() if before[day] == after.get(day)}
            self._cache.put_digests(self._season, self._seen, view, before, same)

    # -- tokens ----------------------------------------------------------------------------
    def _tokens_of(self, tokens: InputTokens) -> dict[str, Tokens]:
        return {view.name: self._view_tokens(view, tokens) for view in self._job.views}

    def _view_tokens(self, view: View, tokens: InputTokens) -> Tokens:
        """The cache keys of a view: a token by date; one for all dates where it is not local."""
        inputs = [self._job.input(name) for name in view.inputs]
        window = self._window(view)
        if window is None:
            whole = [_within(tokens[i.name], None) for i in inputs]
            return {None: text_digest(repr(whole))}
        if not view.local:
            parts = [
                _within(tokens[i.name], i.extent(self._days, self._context.seasons)) for i in inputs
            ]
            return dict.fromkeys(window.days(), text_digest(repr(parts)))
        if all(i.table.partition for i in inputs):
            held = {d for i in inputs for d in tokens[i.name] if d is not None}
            days = sorted(d for d in held if d in window)
        else:
            days = window.days()  # any date may have rows of a table without dates
        return {
            d: "|".join(tokens[i.name].get(d if i.table.partition else None, "-") for i in inputs)
            for d in days
        }

    def _window(self, view: View) -> DateRange | None:
        """The dates whose digests enter the fingerprints; None for a view without dates."""
        if view.window.kind == "always":
            return None
        bounds = (view.window.bounds(d, self._context.seasons) for d in self._days)
        return hull(b for b in bounds if b is not None) or DateRange(self._days[0], self._days[0])

    # -- reading ---------------------------------------------------------------------------
    def _frames(
        self, warehouse: Warehouse, lacking: Mapping[str, Sequence[date | None]]
    ) -> tuple[Frames, Mapping[str, Sequence[date]]]:
        """Frames of the inputs of the views that lack digests; others come empty.

        An input that only local views ask for is read on the lacking dates alone. Beside them,
        the dates of each input that cannot be read: a plan names them, and goes on with the others.
        """
        frames: dict[str, pl.DataFrame] = {}
        broken: dict[str, Sequence[date]] = {}
        for source in self._job.inputs:
            asking = [v for v in self._job.views if source.name in v.inputs and lacking[v.name]]
            if not asking:
                frames[source.name] = source.table.empty().select(source.columns)
                continue
            dates: Any = source.extent(self._days, self._context.seasons)
            if dates is not None and all(v.local for v in asking):
                dates = sorted({d for v in asking for d in lacking[v.name] if d is not None})
            try:
                frames[source.name] = read_frame(warehouse, source, source.columns, dates)
            except WarehouseError:
                if dates is None:
                    raise
                frames[source.name], broken[source.name] = _readable(warehouse, source, dates)
        return frames, broken


def _within(tokens: Tokens, dates: DateRange | None) -> list[tuple[str, str]]:
    return sorted(
        (str(d), token) for d, token in tokens.items() if dates is None or d is None or d in dates
    )


def _readable(
    warehouse: Warehouse, source: Input, dates: DateRange | Sequence[date]
) -> tuple[pl.DataFrame, list[date]]:
    """What can be read of an input, date by date, and the dates that cannot."""
    parts, broken = [source.table.empty().select(source.columns)], []
    held = [p.day for p in warehouse.partitions(source.table) if p.day is not None]
    for day in (day for day in held if day in dates):
        try:
            parts.append(read_frame(warehouse, source, source.columns, [day]))
        except WarehouseError:
            broken.append(day)
    if not broken:
        raise WarehouseError(
            f"{source.table.name} could be read date by date, but not as a whole.",
            hint="Try again; if it stays so, its files change while they are read.",
        )
    return pl.concat(parts), broken
