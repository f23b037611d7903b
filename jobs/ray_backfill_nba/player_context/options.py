"""The options of the job."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["PlayerContextOptions"]


@dataclass(frozen=True)
class PlayerContextOptions:
    """What a run of the job may be told."""

    strict_known_at: bool = field(
        default=False,
        metadata={
            "help": "Drop lines that carry no time of their own, instead of using them where a "
            "book has no timed line."
        },
    )
