"""In which order the tests run, and which of them never run at once, where there are workers."""

from __future__ import annotations

from pathlib import PurePath

from xdist.scheduler import LoadFileScheduling

_TOGETHER = (
    ("autoscaling", "submit", "security_secrets"),
    ("surviving", "observe_metrics", "kuberay"),
)
"""Files that start clusters of several nodes. Those of a group run one after the other: so there
are never more clusters at once than groups, however many workers there are."""
_LONG = (
    *("real_data", "values", "cluster_yaml", "cli", "player_context_fuzz", "league_runs"),
    *("rebuild", "cancel", "engine", "growth", "crash", "cli_guards", "user_code"),
)
"""Other files that take long: begun last, one of them would hold up the end."""
_GROUPS = {f"test_{name}": n for n, names in enumerate(_TOGETHER) for name in names}
_RANKS = {f"test_{name}": len(_TOGETHER) + n for n, name in enumerate(_LONG)}


def rank(path: PurePath) -> int:
    """The place of a file in the order: groups of clusters, what is long, and all else."""
    return _GROUPS.get(path.stem, _RANKS.get(path.stem, len(_TOGETHER) + len(_LONG)))


class ByFile(LoadFileScheduling):
    """A file is one unit of work, and so is a group of files that start clusters."""

    def _split_scope(self, nodeid: str) -> str:
        path = PurePath(nodeid.partition("::")[0])
        group = _GROUPS.get(path.stem)
        return str(path) if group is None else f"clusters {group}"
