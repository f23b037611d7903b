"""What of a checkout goes to the cluster: a zip of its files, by git's own rules.

The zip is made here and not by Ray: the same files make the same bytes, so that nothing is
uploaded twice; and Ray would apply `.gitignore` files again to what was added on purpose.
"""

from __future__ import annotations

import io
import os
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ray_backfill.cluster.entry_points import dist_infos, roots_of
from ray_backfill.cluster.secret_files import is_secret_file
from ray_backfill.errors import RefusedError, UsageError

__all__ = ["Shipment", "default_folder", "gather", "packed"]

MIB = 2**20
_MARKS = ("pyvenv.cfg", "_delta_log", "_ray_backfill")
"""What a folder holds that is an environment, a table or a lake: it is never shipped."""
_FOLDERS = frozenset({".git", ".venv", "__pycache__"})
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Shipment:
    """Files to ship: name in the zip -> file here, and what is written besides."""

    folder: Path
    files: Mapping[str, Path]
    written: Mapping[str, str]
    left_out: tuple[str, ...] = ()
    """Files that git would take, and that are not shipped."""

    @property
    def size(self) -> int:
        """Bytes of all files, as they are here."""
        return sum(path.stat().st_size for path in self.files.values())


def default_folder() -> Path:
    """The root of the checkout of the current folder, or that folder itself.

    Raises `UsageError` where that would be a whole home folder or disk.
    """
    here = Path.cwd()
    found = _git(here, "rev-parse", "--show-toplevel")
    folder = Path(os.fsdecode(found.rstrip(b"\n"))) if found else here
    if folder in (Path.home(), Path(folder.anchor)):
        raise UsageError(
            f"{folder} is no checkout to ship.",
            hint="Change to the project's folder, or name it with --ship DIR; --installed ships "
            "nothing.",
        )
    return folder


def gather(folder: Path, most_mib: int) -> Shipment:
    """The files of a folder that are to be shipped.

    Raises `UsageError` for what is no folder; `RefusedError` where there is nothing, or more
    than `most_mib` MiB, with the largest files.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder} to ship.")
    files, left_out = _sorted_out(folder, _listed(folder))
    roots = roots_of(folder)
    named = {_arcname(folder, roots, name): folder / name for name in files}
    shipment = Shipment(folder, named, dist_infos(folder, roots), tuple(left_out))
    if not files:
        raise RefusedError(
            f"There is nothing to ship in {folder}: git ignores all of it, it is empty, or it is "
            "itself a lake or an environment."
        )
    if shipment.size > most_mib * MIB:
        raise RefusedError(_too_large(shipment, most_mib), hint=_SMALLER)
    return shipment


@contextmanager
def packed(shipment: Shipment) -> Iterator[Path]:
    """A zip of the shipment in a temporary folder; the same files give the same bytes."""
    with tempfile.TemporaryDirectory(prefix="ray-backfill-") as temporary:
        path = Path(temporary) / "shipped.zip"
        path.write_bytes(_zipped(shipment))
        yield path


def _zipped(shipment: Shipment) -> bytes:
    buffer = io.BytesIO()
    parts: dict[str, tuple[bytes, int]] = {
        name: (text.encode(), 0o644) for name, text in shipment.written.items()
    }
    for name, path in shipment.files.items():
        executable = path.stat().st_mode & 0o100
        parts[name] = (path.read_bytes(), 0o755 if executable else 0o644)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        for name, (data, mode) in sorted(parts.items()):
            entry = zipfile.ZipInfo(name)  # without its time: that changes with each checkout
            entry.external_attr = (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(entry, data)
    return buffer.getvalue()


# -- listing -----------------------------------------------------------------------------------
def _listed(folder: Path) -> list[str]:
    """Files of a folder by git's rules, relative; with those of repositories inside it."""
    found = _git(folder, *_LIST)
    if found is None:
        found = _as_if_git(folder)
    files: list[str] = []
    for name in sorted({os.fsdecode(raw) for raw in found.split(b"\0") if raw}):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            files += [f"{name.rstrip('/')}/{inner}" for inner in _listed(path)]
        elif path.is_file() or path.is_symlink():
            files.append(name)
    return files


_LIST = ("ls-files", "--cached", "--others", "--exclude-standard", "-z")


def _git(folder: Path, *arguments: str) -> bytes | None:
    """What git prints; None where the folder is no repository of ours, or there is no git."""
    # Variables of a hook or an alias would point it at another repository.
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False, env=env)  # noqa: S603
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def _as_if_git(folder: Path) -> bytes:
    """The list of a folder without a repository: git reads its `.gitignore` files all the same."""
    with tempfile.TemporaryDirectory(prefix="ray-backfill-") as temporary:
        made = _git(Path(temporary), "init", "--quiet", "--bare", temporary)
        if made is not None:
            where = (f"--git-dir={temporary}", f"--work-tree={folder}")
            found = _git(folder, *where, *_LIST)
            if found is not None:
                return found
    paths = [path for path in folder.rglob("*") if not path.is_dir()]
    if any(path.name == ".gitignore" for path in paths):
        raise RefusedError(
            f"{folder} has a .gitignore, and there is no git here that reads it.",
            hint="Install git, or --ship a folder without one.",
        )
    return b"\0".join(os.fsencode(path.relative_to(folder)) for path in paths)


def _sorted_out(folder: Path, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is shipped, and what is left out with a word about it."""
    never: dict[PurePosixPath, bool] = {}
    kept, left_out = [], []
    for name in names:
        path = PurePosixPath(name)
        if any(_is_never(folder, parent, never) for parent in path.parents):
            continue
        why = _why_not(folder, path, never)
        if why:
            left_out.append(f"{name} ({why})")
        else:
            kept.append(name)
    return kept, left_out


def _why_not(folder: Path, path: PurePosixPath, never: dict[PurePosixPath, bool]) -> str:
    """Why a file stays here; empty where it is shipped. A link is as whatever it leads to."""
    if is_secret_file(path):
        return "a secret by its name"
    at, root = folder / path, os.path.realpath(folder)
    if not at.is_symlink():
        return ""
    last = Path(os.path.realpath(at))
    if not last.is_relative_to(root):
        return "a link that leads out of the folder"
    if not last.is_file():
        return "a link to a folder" if last.is_dir() else "a link to nothing"
    ways = [PurePosixPath(os.path.relpath(hop, root)) for hop in (*_hops(at), last)]
    if any(is_secret_file(way) for way in ways):
        return "a link to a secret by its name"
    if any(_is_never(folder, parent, never) for parent in ways[-1].parents):
        return "a link into what is never shipped"
    return ""


def _hops(link: Path) -> Iterator[Path]:
    while link.is_symlink():
        link = link.parent / link.readlink()
        yield link


def _is_never(folder: Path, part: PurePosixPath, known: dict[PurePosixPath, bool]) -> bool:
    if part not in known:
        marked = any((folder / part / mark).exists() for mark in _MARKS)
        known[part] = part.name in _FOLDERS or marked
    return known[part]


def _arcname(folder: Path, roots: Sequence[Path], name: str) -> str:
    """Name in the zip: its top is where Ray imports from, so `src/` of a project becomes it."""
    path = folder / name
    for root in roots:
        if path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    return name


# -- size --------------------------------------------------------------------------------------
_SMALLER = (
    "Ignore what the run does not need in .gitignore, ship a smaller folder with --ship, or raise "
    "--max-ship-mib (Ray takes about 100 MiB, zipped)."
)


def _too_large(shipment: Shipment, most_mib: int) -> str:
    largest = sorted(shipment.files.items(), key=lambda item: -item[1].stat().st_size)[:_NAMED]
    listed = ", ".join(f"{name} {path.stat().st_size / MIB:,.1f} MiB" for name, path in largest)
    return (
        f"{shipment.folder} has {shipment.size / MIB:,.1f} MiB to ship in "
        f"{len(shipment.files):,} files, more than --max-ship-mib {most_mib}. Largest: {listed}."
    )
