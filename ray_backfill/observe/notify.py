"""Tells a webhook how a run ended. It never changes how the run ends, nor holds it up for long.

The address of a webhook is a secret: whoever knows it can post there. Nothing that is written
names more of it than scheme and host.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ray_backfill.errors import UsageError
from ray_backfill.record.failures import ending

__all__ = ["Ending", "announced", "checked", "place", "post"]

_SECONDS = 10.0
"""For everything: names, connections, answers, all tries."""
_TIMEOUT = 3.0
_PAUSES = (0.5, 1.0)
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass
class Ending:
    """What is known of a run when it ends, however that comes about."""

    job: str
    warehouse: str
    so_far: Callable[[], Mapping[str, Any]] = field(default=dict)
    """The report as it stands, once the run has begun."""
    report: Mapping[str, Any] | None = None
    """The report of a run that came to its own end."""

    def body(self, error: BaseException | None) -> dict[str, Any]:
        """What is posted: the report, `event` (finished, cancelled, aborted) and `text`."""
        told: dict[str, Any] = {"run_id": "", "job": self.job, "warehouse": self.warehouse}
        if error is None and self.report is not None:
            told |= self.report
        else:
            code, verdict = ending(error) if error else (1, "it had no end")
            told |= {**self.so_far(), "exit_code": code, "verdict": verdict}
        cancelled = told["exit_code"] == 130
        event = "cancelled" if cancelled else "finished" if error is None else "aborted"
        run = f", run {told['run_id']}" if told["run_id"] else ""
        text = f"{told['job']}{run}: {told['verdict']} (exit {told['exit_code']})"
        return {"event": event, "text": " ".join(text.split()), **told}


def checked(url: str | None) -> str | None:
    """The URL of a webhook; raises `UsageError`, which does not repeat it, for anything else."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = None
    if not usable or any(c.isspace() or not c.isprintable() for c in url):
        raise UsageError(
            "What --notify was given is no http or https URL.",
            hint="Give the whole address of a webhook, with https:// in front.",
        )
    return url


def place(url: str) -> str:
    """Scheme, host and port: all that may be shown of a webhook."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}"


@contextmanager
def announced(
    url: str | None, job: str, warehouse: str, warn: Callable[[str], None]
) -> Iterator[Ending]:
    """Post how the block ended; a wrong command (`UsageError`) is told to whoever typed it only.

    Where that fails, `warn` is given one line.
    """
    ending = Ending(job, warehouse)
    try:
        yield ending
    except UsageError:
        raise
    except BaseException as error:
        _tell(url, ending, error, warn)
        raise
    else:
        _tell(url, ending, None, warn)


def _tell(
    url: str | None, ending: Ending, error: BaseException | None, warn: Callable[[str], None]
) -> None:
    if url is None:
        return
    try:
        why = post(url, ending.body(error))
    except Exception as problem:  # noqa: BLE001 - whatever it is, the run has ended as it has
        why = f"could not be told ({type(problem).__name__})"
    if why:
        warn(f"Not notified: {place(url)} {why}. The run is not touched by that.")


def post(url: str, body: Mapping[str, Any], seconds: float = _SECONDS) -> str:
    """POST a JSON document; gives why that failed, or nothing, within about `seconds`.

    In a thread of its own: neither the look-up of a name nor an answer that comes byte by byte
    keeps to a timeout.
    """
    data = json.dumps(body, default=str).encode()
    why = [f"did not answer within {seconds:g} s"]
    gone = threading.Event()
    thread = threading.Thread(target=_tries, args=(url, data, why, gone), daemon=True)
    thread.start()
    thread.join(seconds)
    gone.set()
    return why[0]


def _tries(url: str, data: bytes, why: list[str], gone: threading.Event) -> None:
    # Not urllib3's retries: it logs each with the path of the URL.
    for pause in (*_PAUSES, None):
        again, result = _once(url, data)
        if pause is None or not again or gone.wait(pause):
            why[0] = result
            return


def _once(url: str, data: bytes) -> tuple[bool, str]:
    """Whether another try can help, and why this one failed (empty: it did not)."""
    import requests

    headers = {"Content-Type": "application/json", "User-Agent": "ray-backfill"}
    try:
        # No redirect is followed: what is posted is for the host that was named.
        with requests.post(
            url, data, headers=headers, timeout=_TIMEOUT, allow_redirects=False, stream=True
        ) as answer:
            status = answer.status_code
    except (requests.ConnectionError, requests.Timeout) as error:
        return True, f"could not be reached ({type(error).__name__})"
    except Exception as error:  # noqa: BLE001 - a thread's traceback would show the URL
        return False, f"could not be asked ({type(error).__name__})"
    return status in _AGAIN, "" if 200 <= status < 300 else f"answered {status}"
