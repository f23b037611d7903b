"""The options of the job."""

from __future__ import annotations

from dataclasses import dataclass, field

from ray_backfill.errors import UsageError

__all__ = ["PlayerContextOptions"]

ON_CONFLICT = ("quarantine", "drop_row")


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
    on_conflict: str = field(
        default="quarantine",
        metadata={
            "help": "What becomes of a date whose rows of one key disagree, where no processed_at "
            "decides: quarantine (the whole date) or drop_row (only the player's row is left out; "
            "rows of a game still quarantine it)."
        },
    )

    def __post_init__(self) -> None:
        """Raises `UsageError` for a value that is none of those."""
        if self.on_conflict not in ON_CONFLICT:
            raise UsageError(
                f"on_conflict cannot be '{self.on_conflict}'.",
                hint=f"It is one of {', '.join(ON_CONFLICT)}.",
            )
