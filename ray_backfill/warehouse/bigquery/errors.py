"""Errors of BigQuery by their reason: which are tried again, and what a person reads.

Every call goes through `tried`, with the clients' own retries switched off: those of the
append call lose rows, and the others go on for ten minutes.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, TypeVar

from ray_backfill.errors import WarehouseError

__all__ = ["HTTP_SECONDS", "explained", "is_transient", "pause", "reason_of", "tried"]

T = TypeVar("T")

HTTP_SECONDS = 120.0
"""After this long without an answer a call is taken to have failed."""

ATTEMPTS = 7
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 16.0

_TRANSIENT = frozenset(
    {
        "rateLimitExceeded",
        "backendError",
        "internalError",
        "jobBackendError",
        "jobInternalError",
        "jobRateLimitExceeded",
        "badGateway",
        "UNAVAILABLE",
        "ABORTED",
        "RESOURCE_EXHAUSTED",
        "INTERNAL",
        "DEADLINE_EXCEEDED",
        "UNKNOWN",
        "connection",
    }
)
_BY_STATUS = {429: "rateLimitExceeded", 500: "internalError", 502: "badGateway"}
_BY_STATUS |= {503: "backendError", 504: "DEADLINE_EXCEEDED"}
_SAME = {"PERMISSION_DENIED": "accessDenied", "NOT_FOUND": "notFound"}
_SAME |= {"INVALID_ARGUMENT": "invalid", "UNAUTHENTICATED": "authError"}
_HINTS = {
    "accessDenied": "The message names the permission. BigQuery Data Editor, Job User and Read "
    "Session User on the project hold all that is needed.",
    "authError": "Sign in again: `gcloud auth application-default login`.",
    "quotaExceeded": "That quota of the project is used up, and trying again would not help: "
    "wait until it is renewed, or have it raised. The same command then goes on.",
    "billingNotEnabled": "Switch billing on for the project.",
    "billingTierLimitExceeded": "Raise the limit of the project.",
    "notFound": "Check the project, the dataset and the location in --warehouse.",
    "invalid": "BigQuery does not take what was asked of it; the message says why.",
    "invalidQuery": "BigQuery does not take the statement; the message says why.",
}


def reason_of(error: BaseException) -> str:
    """Google's own word for what went wrong, like `quotaExceeded`; `connection` without one."""
    if _sign_in(error):
        return "authError"
    details = getattr(error, "errors", None) or ()
    for detail in details:
        if isinstance(detail, dict) and detail.get("reason"):
            return str(detail["reason"])
    status = getattr(error, "grpc_status_code", None)
    if status is not None:
        return _SAME.get(status.name, str(status.name))
    code = getattr(error, "code", None)
    if isinstance(code, int) and code in _BY_STATUS:
        return _BY_STATUS[int(code)]
    if isinstance(code, int):
        return {403: "accessDenied", 404: "notFound", 400: "invalid", 401: "authError"}.get(
            int(code), f"status {int(code)}"
        )
    return "connection" if _lost(error) else type(error).__name__


def _sign_in(error: BaseException) -> bool:
    """Whether the credentials are refused, have run out, or are none.

    The storage clients say so as a service that is not available.
    """
    from google.auth.exceptions import GoogleAuthError

    if isinstance(error, GoogleAuthError):
        return not _lost(error)
    text = str(error)
    return "Getting metadata from plugin failed" in text and any(
        word in text for word in ("RefreshError", "invalid_grant", "Reauthentication")
    )


def _lost(error: BaseException) -> bool:
    """Whether no answer came at all."""
    import requests
    from google.api_core.exceptions import RetryError
    from google.auth import exceptions as auth

    kinds = (requests.exceptions.RequestException, RetryError, ConnectionError, TimeoutError)
    broken = (auth.TransportError, auth.TimeoutError, auth.ResponseError)
    retryable = isinstance(error, auth.GoogleAuthError) and error.retryable
    return isinstance(error, (*kinds, *broken)) or retryable


def is_transient(error: BaseException) -> bool:
    """Whether the same call may succeed a little later."""
    return reason_of(error) in _TRANSIENT


def pause(attempt: int) -> None:
    """Wait before the next attempt: exponential, jittered, bounded."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt)
    time.sleep(random.uniform(longest / 2, longest))  # noqa: S311


def tried(
    doing: str,
    call: Callable[[], T],
    *,
    expected: tuple[Any, ...] = (),
    attempts: int = ATTEMPTS,
) -> T:
    """The answer of a call, with bounded attempts at what is transient.

    Errors of the `expected` types come through as they are; any other becomes a
    `WarehouseError`, at once where trying again cannot help.
    """
    for attempt in range(attempts):
        try:
            return call()
        except expected:
            raise
        except WarehouseError:
            raise
        except Exception as error:
            if _is_another(error):
                raise _another(doing, error) from error
            if not _google(error):
                raise
            if not is_transient(error) or attempt == attempts - 1:
                raise explained(doing, error, attempt + 1) from error
        pause(attempt)
    raise AssertionError


def _google(error: BaseException) -> bool:
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.resumable_media import DataCorruption, InvalidResponse

    kinds = (GoogleAPIError, GoogleAuthError, DataCorruption, InvalidResponse, OSError)
    return isinstance(error, kinds) or _lost(error)


def _is_another(error: BaseException) -> bool:
    """Whether a client stumbled over the form of an answer."""
    import requests

    shapes = (LookupError, AttributeError, TypeError, ValueError)
    no_json = isinstance(error, requests.exceptions.JSONDecodeError)
    return no_json or (isinstance(error, shapes) and not _google(error))


def _another(doing: str, error: BaseException) -> WarehouseError:
    """An answer that is none of BigQuery's, as a proxy gives it, in a sentence."""
    text = " ".join(str(error).split())[:200]
    return WarehouseError(
        f"{doing} failed: what answers is not BigQuery ({type(error).__name__}: {text}).",
        hint="Check the proxy, or the server that RAY_BACKFILL_BIGQUERY_REST and _GRPC name.",
    )


def explained(doing: str, error: BaseException, attempts: int = 1) -> WarehouseError:
    """An error of Google's as a sentence: what failed, why, and what to do."""
    reason = reason_of(error)
    text = " ".join(str(getattr(error, "message", None) or error).split()).rstrip(".")
    times = f" {attempts} times" if attempts > 1 else ""
    hint = _HINTS.get(reason, "")
    if reason in _TRANSIENT:
        hint = "That passes by itself: run the same command again, it goes on where it is."
    if reason == "connection":
        hint = "Check the network; the same command then goes on where it is."
    return WarehouseError(f"{doing} failed{times}, {reason}: {text[:600]}.", hint)
