"""What is made of the same frames again and again is made once.

The views of a span and its computation all start from the same league. It is kept as long as
the very frames that it was made of are alive, so nothing outlives a task, and no two inputs can
be taken for one another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import ref

import polars as pl

from ray_backfill.job import Context, Frames

__all__ = ["Once"]

T = TypeVar("T")


class Once(Generic[T]):
    """A pure function of some frames and of the context's seasons, with its last result kept.

    `names`: the frames that the function reads. The result must not be changed.
    """

    def __init__(self, make: Callable[[Frames, Context], T], *names: str) -> None:
        self._make = make
        self._names = names
        self._made_of: tuple[object, tuple[ref[pl.DataFrame], ...]] | None = None
        self._made: T | None = None

    def __call__(self, frames: Frames, context: Context) -> T:
        given = tuple(frames[name] for name in self._names)
        seasons = (context.seasons, context.season)
        kept, made = self._made_of, self._made
        if kept is not None and made is not None and kept[0] == seasons and _are(kept[1], given):
            return made
        made = self._make(frames, context)
        self._made = made
        self._made_of = (seasons, tuple(ref(frame, self._forget) for frame in given))
        return made

    def _forget(self, dead: ref[pl.DataFrame]) -> None:
        if self._made_of is not None and any(one is dead for one in self._made_of[1]):
            self._made_of = self._made = None


def _are(kept: tuple[ref[pl.DataFrame], ...], given: tuple[pl.DataFrame, ...]) -> bool:
    return all(one() is frame for one, frame in zip(kept, given, strict=True))
