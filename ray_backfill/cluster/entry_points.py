"""Makes what a shipped folder declares known on the cluster.

Packages that a checkout installs here are only files there. Python finds an installed package's
entry points in any `*.dist-info` folder on its path, so the shipment holds one for each package
whose code it carries.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution, EntryPoint, distributions
from importlib.util import find_spec
from pathlib import Path

__all__ = ["dist_infos", "origin_of", "roots_of"]

GROUPS = ("ray_backfill.jobs", "ray_backfill.commands")


def roots_of(folder: Path) -> list[Path]:
    """Folders below `folder` from which this process imports, the deepest first (like `src`).

    One that is a package itself is none: what is in it is imported by its name.
    """
    found = {Path(entry).absolute() for entry in sys.path if Path(entry).is_dir()} - {folder}
    below = [p for p in found if p.is_relative_to(folder) and not (p / "__init__.py").exists()]
    return sorted(below, key=lambda path: -len(path.parts))


def dist_infos(folder: Path, roots: Sequence[Path]) -> dict[str, str]:
    """Name in the shipment -> text: what `importlib.metadata` needs for our groups."""
    written: dict[str, str] = {}
    for distribution in distributions():
        ours = [e for e in distribution.entry_points if e.group in GROUPS]
        carried = [e for e in ours if _is_carried(e, folder, roots)]
        if carried:
            written |= _dist_info(distribution, carried)
    return written


def origin_of(module: str) -> Path | None:
    """The file or folder of a module's top package here; None where it cannot be found."""
    try:
        spec = find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if spec.origin is not None:
        return Path(spec.origin)
    places = list(spec.submodule_search_locations or ())
    return Path(places[0]) if places else None


def _is_carried(entry: EntryPoint, folder: Path, roots: Sequence[Path]) -> bool:
    """Whether the code of an entry point is imported from the shipped folder."""
    origin = origin_of(entry.module)
    if origin is None:
        return False
    top = entry.module.partition(".")[0]
    places = [root / name for root in (folder, *roots) for name in (top, f"{top}.py")]
    return any(_same(origin, place) for place in places)


def _same(origin: Path, place: Path) -> bool:
    resolved, wanted = origin.resolve(), place.resolve()
    return resolved == wanted or resolved.is_relative_to(wanted)


def _dist_info(distribution: Distribution, entries: Iterable[EntryPoint]) -> dict[str, str]:
    name, version = distribution.metadata["Name"], distribution.version
    folder = f"{name.replace('-', '_')}-{version}.dist-info"
    lines: list[str] = []
    for group in GROUPS:
        members = sorted((e for e in entries if e.group == group), key=lambda e: e.name)
        if members:
            lines += [f"[{group}]", *(f"{e.name} = {e.value}" for e in members), ""]
    return {
        f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{folder}/entry_points.txt": "\n".join(lines),
    }
