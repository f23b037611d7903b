"""Keeps credentials out of what is written: messages, journals, reports, logs.

Two things are taken for secrets: the values of environment variables whose name says so, and
what URLs and headers carry by their form. A message keeps the name of the variable, so that it
still says what went wrong.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Mapping
from urllib.parse import quote

from ray_backfill.errors import BackfillError

__all__ = ["HIDDEN", "CleanedError", "cleaned", "is_secret", "redacted", "url"]

HIDDEN = "***"

_SECRET = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|NOTIFY|WEBHOOK|SIGNATURE|APIKEY"
    r"|COOKIE|BEARER|(?:^|_)(?:KEYS?|SAS|DSN)(?:_|$)|_(?:PWD|PASS|PAT|AUTH)$",
    re.IGNORECASE,
)
_SHORTEST = 8
"""Characters: a shorter value would be found in words that mean nothing."""

# abfss://CONTAINER@ACCOUNT.dfs.core.windows.net is how Azure writes a place.
_USER = re.compile(r"(?<=://)(?![a-z0-9$-]+@[a-z0-9]+\.dfs\.)[^/\s'\"<>]+@")
_SIGNED = re.compile(
    r"(?i)([?&;](?:[\w.-]*(?:sig|signature|token|secret|password|credential|key|auth)[\w.-]*)=)"
    r"[^&\s'\"<>)]+"
)
_HEADER = re.compile(r"(?i)(\b(?:bearer|basic|apikey|x-api-key:|authorization:)\s+)[\w.~+/=:-]{8,}")


def is_secret(name: str, value: str = "") -> bool:
    """Whether an environment variable is to stay out of what is written and sent, by its name
    or because its value carries credentials.
    """
    return _SECRET.search(name) is not None or _by_form(value) != value


def redacted(text: str, environment: Mapping[str, str] | None = None) -> str:
    """The text without secrets; each one from the environment is replaced by its `$NAME`.

    `environment`: that of this process where it is not given.
    """
    for value, name in _secrets(os.environ if environment is None else environment):
        text = text.replace(value, f"${name}")
    return _by_form(text)


def url(text: str) -> str:
    """A URL without user, password, query and fragment."""
    return _USER.sub(f"{HIDDEN}@", re.sub(r"[?#].*", f"?{HIDDEN}", text, flags=re.DOTALL))


def _secrets(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    """(value, name), the longest first; also as it stands in a URL, and each of its lines."""
    found: dict[str, str] = {}
    for name, value in environment.items():
        if _SECRET.search(name):
            forms = {value, quote(value, safe=""), *(line.strip() for line in value.splitlines())}
            found |= dict.fromkeys((form for form in forms if len(form) >= _SHORTEST), name)
    return sorted(found.items(), key=lambda item: -len(item[0]))


def _by_form(text: str) -> str:
    text = _USER.sub(f"{HIDDEN}@", text)
    return _HEADER.sub(rf"\1{HIDDEN}", _SIGNED.sub(rf"\1{HIDDEN}", text))


class CleanedError(Exception):
    """Stands for an error that must not be handed on; `kind` is the name of its type."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(kind, text)
        self.kind = kind
        self.text = text

    def __str__(self) -> str:
        return self.text


def cleaned(error: BaseException) -> Exception:
    """The error itself, or where it or what it came from holds a secret one without it.

    A worker hands its errors to Ray, which writes them with their whole history to its logs.
    What the error means to the driver (our own kinds, `OSError`, `MemoryError`) stays as it was.
    What is no `Exception`, as a panic of a library, never is handed on as itself.
    """
    if not isinstance(error, Exception):
        return CleanedError(type(error).__name__, redacted(str(error)))
    told = "".join(traceback.format_exception(error))
    if redacted(told) == told:
        return error
    if isinstance(error, BackfillError):
        return type(error)(redacted(error.message), redacted(error.hint))
    text = redacted(str(error))
    for kind in (OSError, MemoryError):
        if isinstance(error, kind):
            return kind(text)
    return CleanedError(type(error).__name__, text)
