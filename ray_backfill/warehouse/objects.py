"""Where things are: table folders, and small objects beside the tables."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, from_url

from ray_backfill import names, redact
from ray_backfill.errors import UsageError, WarehouseError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

__all__ = [
    "HOUSE",
    "SCHEMES",
    "copy",
    "delete",
    "explained",
    "get",
    "inside",
    "is_key",
    "is_local",
    "join",
    "list_meta",
    "list_names",
    "make_folder",
    "normal_uri",
    "object_key",
    "printable",
    "put",
    "remove_empty",
    "size_of",
    "subfolders",
    "table_folder",
    "translated",
]

SCHEMES = frozenset({"file", "s3", "s3a", "gs", "az", "abfs", "abfss"})
"""URL schemes that both Delta and the object store client open."""

HOUSE = "_ray_backfill"
"""The folder of everything that is not a table."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BACKTRACE = re.compile(r"\s+0: [^\n]*\n\s+1: ")
"""Where Delta's errors go on with the stack of their own code."""
_MISREAD = re.compile(r"%[0-9A-Fa-f]{2}|[?#\\]")
_KEY = re.compile(r"(?!\.{1,2}(/|$))[A-Za-z0-9._=~+@:-]+(/(?!\.{1,2}(/|$))[A-Za-z0-9._=~+@:-]+)*")


def normal_uri(uri: str) -> str:
    """An absolute path, or a decoded URL without a slash at its end; `file://` becomes a path.

    Raises `UsageError` for a path that not all libraries read as the same place, and
    for a URL that holds credentials: it is written to logs and reports.
    """
    if not uri.strip():
        raise UsageError("The warehouse's path is empty.", hint="Give it with --warehouse.")
    if _CONTROL.search(uri) or _CONTROL.search(unquote(uri)):
        raise UsageError(f"{names.shown(uri)} is no path: it holds control characters.")
    if "://" not in uri:
        return _readable(str(Path(uri).expanduser().absolute()))
    if uri.startswith("file://"):
        return _readable(str(Path(unquote(urlsplit(uri).path)).absolute()))
    _refuse_credentials(uri)
    # The key and no longer a URL: of all that opens it, some decode it and some do not.
    return _readable(unquote(uri).rstrip("/"))


def _readable(path: str) -> str:
    """The path again; raises `UsageError` where Delta's library would open another one."""
    if wrong := _MISREAD.search(path):
        raise UsageError(
            f"{names.shown(redact.url(path))} holds {wrong[0]}, and Delta's library takes such a "
            "path for another one: it would read and write elsewhere.",
            hint="Rename the folder, or put the lake where no part of its path holds a percent "
            "escape (%20), ?, # or a backslash.",
        )
    return path


def _refuse_credentials(uri: str) -> None:
    parts = urlsplit(uri)
    # abfss://CONTAINER@ACCOUNT.dfs.core.windows.net is how Azure writes a place.
    user = parts.username if parts.scheme not in ("abfs", "abfss") else None
    if user or parts.password is not None or parts.query or parts.fragment:
        raise UsageError(
            f"The warehouse's URL holds credentials or settings: {redact.url(uri)}.",
            hint="A URL is written to logs and reports. Give the place alone, and credentials in "
            "environment variables such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "GOOGLE_APPLICATION_CREDENTIALS or AZURE_STORAGE_SAS_TOKEN.",
        )


def is_local(uri: str) -> bool:
    return "://" not in uri


def join(uri: str, *parts: str) -> str:
    """The address of something below `uri`."""
    return "/".join((uri.rstrip("/"), *parts))


def table_folder(name: str) -> str:
    """`dataset/table` of `dataset.table`; raises `UsageError` for anything else."""
    return names.table_name(name).replace(".", "/")


def object_key(key: str) -> str:
    """The path of a small object; raises `UsageError` for a key that could leave its folder."""
    if not is_key(key):
        raise UsageError(f"{names.shown(key)} is not an object's key.")
    return f"{HOUSE}/{key}"


def is_key(key: str) -> bool:
    """Whether a small object may be called so."""
    return _KEY.fullmatch(key) is not None


def inside(uri: str, path: str) -> str:
    """The path again; raises `WarehouseError` where it leads out of the root.

    By a `..`, or by a link within a lake of this machine: whoever may write to a lake could
    otherwise have others read and delete files of their own through it. The root itself may be
    a link, and links within the root are followed.
    """
    if any(part in ("..", ".") for part in path.split("/")):
        raise _outside(uri, path)
    if is_local(uri):
        at = uri
        for part in path.split("/"):
            at = f"{at}/{part}"
            if Path(at).is_symlink() and not Path(at).resolve().is_relative_to(Path(uri).resolve()):
                raise _outside(uri, path)
    return path


def _outside(uri: str, path: str) -> WarehouseError:
    return WarehouseError(
        f"{names.shown(path)} leads out of the lake {uri}; it is not touched.",
        hint="Look at who made it: nothing that this tool writes does. Remove it, or give the "
        "other place as a warehouse of its own.",
    )


@lru_cache(maxsize=16)
def _open(uri: str) -> ObjectStore:
    return LocalStore(uri, mkdir=True) if is_local(uri) else from_url(uri)


def _reachable(uri: str) -> bool:
    """False where the root is a folder that does not exist: reading must not create it."""
    return not is_local(uri) or Path(uri).is_dir()


def make_folder(path: str) -> None:
    """Create a local folder with its parents."""
    with translated(f"Creating {path}"):
        Path(path).mkdir(parents=True, exist_ok=True)


def remove_empty(uri: str, folder: str) -> None:
    """Remove a local folder and those within it, if none holds a file."""
    if not is_local(uri) or list_meta(uri, folder):
        return
    for at, _, _ in os.walk(join(uri, inside(uri, folder)), topdown=False):
        with suppress(OSError):
            Path(at).rmdir()


@contextmanager
def translated(doing: str, *, consequence: str = "") -> Iterator[None]:
    """Turn errors of the storage and of Delta into `WarehouseError`: what, where, what to do."""
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (BaseError, DeltaError, OSError, ValueError) as error:
        raise explained(doing, error, consequence) from error


def explained(doing: str, error: Exception, consequence: str) -> WarehouseError:
    """An error of the storage as a sentence for people."""
    text = str(error).partition("\n\nDebug source")[0]
    text = printable(_BACKTRACE.split(text)[0]).strip()
    if told := re.search(r"<Code>(.*?)</Code>\s*<Message>(.*?)</Message>", text):
        text = f"{told[2].rstrip('.')} ({told[1]})"
    hint = "Check that the path exists and that you may read and write it."
    if "os error 28" in text or getattr(error, "errno", None) == 28:
        text, hint = "the disk is full", "Free some space; the same command then goes on."
    elif "os error 27" in text or getattr(error, "errno", None) == 27:
        text, hint = "the file is larger than allowed (ulimit -f)", "Raise the limit."
    what = f"{doing} failed: {text.rstrip('.')}."
    return WarehouseError(f"{what} {consequence}".strip(), hint=hint)


def printable(text: str) -> str:
    """Without control characters: what lies in a storage must not speak to a terminal."""
    return _CONTROL.sub(" ", text)


def put(uri: str, path: str, data: bytes, *, create: bool = False) -> bool:
    """Write atomically; with `create`, False where the object is already there."""
    mode: Any = "create" if create else "overwrite"
    try:
        obstore.put(_open(uri), inside(uri, path), data, mode=mode)
    except AlreadyExistsError:
        return False
    return True


def get(uri: str, path: str) -> bytes | None:
    """The bytes of an object, or None."""
    if not _reachable(uri):
        return None
    try:
        return bytes(obstore.get(_open(uri), inside(uri, path)).bytes())
    except FileNotFoundError:
        return None


def size_of(uri: str, path: str) -> int | None:
    """The size of an object, or None where there is none."""
    try:
        return int(obstore.head(_open(uri), inside(uri, path))["size"])
    except FileNotFoundError:
        return None


def delete(uri: str, path: str) -> None:
    """Delete an object; one that is already gone is fine."""
    try:
        obstore.delete(_open(uri), inside(uri, path))
    except FileNotFoundError:
        return


def copy(uri: str, source: str, path: str) -> None:
    """Copy an object within the store."""
    obstore.copy(_open(uri), inside(uri, source), inside(uri, path))


def list_meta(uri: str, prefix: str, *, after: str | None = None) -> list[dict[str, Any]]:
    """Path, size and last_modified of every object below a folder, or of those behind `after`."""
    if not _reachable(uri):
        return []
    pages = obstore.list(_open(uri), prefix, offset=after)
    return [dict(meta) for page in pages for meta in page]


def list_names(uri: str, folder: str) -> list[str]:
    """Names of the objects directly in a folder, sorted."""
    if not _reachable(uri):
        return []
    found = obstore.list_with_delimiter(_open(uri), folder)["objects"]
    return sorted(str(meta["path"]).rpartition("/")[2] for meta in found)


def subfolders(uri: str, folder: str) -> list[str]:
    """Names of the folders directly in a folder, sorted."""
    if not _reachable(uri):
        return []
    found = obstore.list_with_delimiter(_open(uri), folder)["common_prefixes"]
    return sorted(path.rstrip("/").rpartition("/")[2] for path in found)
