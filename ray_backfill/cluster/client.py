"""Ray's Job API over HTTP, with its errors told in one sentence each.

Ray is imported inside functions. Its client waits without end where nobody answers, follows
`RAY_ADDRESS` rather than what it is given, and logs on its own; here it does none of that.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from ray_backfill.cluster.submission import ENDED
from ray_backfill.errors import BackfillError, RefusedError, UsageError

__all__ = ["JobApi", "JobFacts", "UnreachableError", "address_of", "connect"]

OLDEST_RAY = (2, 60)
"""The oldest Ray whose nodes can run this version."""

_PROBE_SECONDS = 5
_ANSWER_SECONDS = 30
_UPLOAD_SECONDS = 600


class UnreachableError(RefusedError):
    """Nobody answers, or not as Ray does: asking again later may help."""


class AlreadyThereError(BackfillError):
    """The cluster knows a job of this id."""


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What the cluster says of one job; times are seconds since the epoch."""

    id: str
    status: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    entrypoint: str = ""
    started: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    error_type: str | None = None
    message: str | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED


def address_of(text: str) -> str:
    """The URL of a Job API as it was typed: with its scheme, without a slash at the end.

    Raises `UsageError` for what can be none.
    """
    url = text if "://" in text else f"http://{text}"
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
        raise UsageError(
            f"'{_shown(url)}' is not the address of a Job API.",
            hint="Give that of the cluster's dashboard, like http://HEAD:8265.",
        )
    return urlunsplit(parts._replace(path=parts.path.rstrip("/"), query="", fragment=""))


def _shown(url: str) -> str:
    """A URL without what stands before its host."""
    return re.sub(r"//[^/@]*@", "//", url)


class JobApi:
    """The jobs of one cluster. Every method raises `UnreachableError` or `RefusedError`."""

    def __init__(self, address: str, client: Any) -> None:
        self.address = address
        self.shown = _shown(address)
        self._client = client

    def submit(
        self,
        submission_id: str,
        entrypoint: str,
        runtime_env: Mapping[str, Any],
        metadata: Mapping[str, str],
    ) -> None:
        """Uploads what is to be shipped and submits.

        Ray keeps the driver on the head, where it reserves no CPU. Raises `AlreadyThereError`
        for an id that is taken.
        """
        with _explained(self.shown):
            try:
                self._client.submit_job(
                    submission_id=submission_id,
                    entrypoint=entrypoint,
                    runtime_env=dict(runtime_env),
                    metadata=dict(metadata),
                )
            except RuntimeError as error:
                if f"{submission_id} already exists" in str(error):
                    raise AlreadyThereError(f"{submission_id} is there already.") from error
                raise

    def job(self, submission_id: str) -> JobFacts:
        """Raises `UsageError` for an id that the cluster does not know."""
        with _explained(self.shown, submission_id):
            return _facts(self._client.get_job_info(submission_id))

    def jobs(self) -> list[JobFacts]:
        """Every job that was submitted to the cluster, oldest first."""
        with _explained(self.shown):
            found = [_facts(job) for job in self._client.list_jobs() if job.submission_id]
        return sorted(found, key=lambda job: (job.started or 0, job.id))

    def logs(self, submission_id: str) -> str:
        """All that the job has printed."""
        with _explained(self.shown, submission_id):
            return str(self._client.get_job_logs(submission_id))

    def stop(self, submission_id: str) -> bool:
        """Asks the job to end; False where it does not run."""
        with _explained(self.shown, submission_id):
            return bool(self._client.stop_job(submission_id))

    def tail(self, submission_id: str) -> tuple[str, dict[str, Any]]:
        """URL of the job's log as a web socket, and the arguments that open it."""
        url = f"{self._client.get_address()}/api/jobs/{submission_id}/logs/tail"
        return url, {"headers": dict(self._client.headers)}


def connect(text: str) -> JobApi:
    """The Job API at an address, asked once whether it is one.

    Raises `UnreachableError` where nobody answers or something else does; `RefusedError` for a
    token that is absent or wrong, and for a Ray that is too old; `UsageError` for what is no
    address.
    """
    address = address_of(text)
    shown = _shown(address)
    _probe(address)
    with _explained(shown), _without("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        client = _client_class()(address)
        version = client.ray_version()
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST_RAY:
        needed = ".".join(map(str, OLDEST_RAY))
        raise RefusedError(
            f"The cluster at {shown} runs Ray {version}; at least {needed} is needed.",
            hint="Update Ray on the cluster, or its image.",
        )
    return JobApi(address, client)


def _client_class() -> Any:
    from ray.job_submission import JobSubmissionClient

    logging.getLogger("ray.dashboard").setLevel(logging.ERROR)
    for name in ("dashboard_sdk", "job.sdk"):
        # They set levels of their own when they are imported.
        logging.getLogger(f"ray.dashboard.modules.{name}").setLevel(logging.ERROR)

    class Client(JobSubmissionClient):
        """Ray's client, with time limits, and without following a proxy to its login page."""

        def _do_request(self, method: str, endpoint: str, **more: Any) -> Any:
            seconds = _UPLOAD_SECONDS if method == "PUT" else _ANSWER_SECONDS
            more.setdefault("timeout", (_PROBE_SECONDS, seconds))
            return super()._do_request(method, endpoint, allow_redirects=False, **more)

        @property
        def headers(self) -> Mapping[str, str]:
            return self._headers

        def ray_version(self) -> str:
            answer = self._do_request("GET", "/api/version")
            answer.raise_for_status()
            return str(answer.json()["ray_version"])

    return Client


def _facts(job: Any) -> JobFacts:
    return JobFacts(
        id=job.submission_id or job.job_id or "",
        status=str(getattr(job.status, "value", job.status)),
        metadata=dict(job.metadata or {}),
        entrypoint=job.entrypoint,
        started=job.start_time and job.start_time / 1000,
        ended=job.end_time and job.end_time / 1000,
        exit_code=job.driver_exit_code,
        error_type=job.error_type,
        message=job.message,
    )


# -- errors ------------------------------------------------------------------------------------
def _probe(address: str) -> None:
    """Whether anything listens there: said at once, and before Ray is imported."""
    parts = urlsplit(address)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=_PROBE_SECONDS).close()
    except (OSError, UnicodeError) as error:
        raise UnreachableError(
            f"Nothing answers at {_shown(address)}: {error}.", hint=_HOW_TO_REACH
        ) from error


_HOW_TO_REACH = (
    "Give the address of the cluster's dashboard, like http://HEAD:8265; through a tunnel, check "
    "that it is open."
)
_NOT_RAY = (
    "Perhaps it is another port (Ray's dashboard: 8265), or a proxy that wants a login: a tunnel "
    "to the head goes past it."
)
_TOKEN = (
    "Set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH to the cluster's token."  # noqa: S105
)


@contextmanager
def _explained(shown: str, submission_id: str = "") -> Iterator[None]:
    """Errors of Ray's client as ours. What it says of tokens and HTML is not repeated."""
    import requests
    from ray.exceptions import AuthenticationError

    try:
        yield
    except BackfillError:
        raise
    except AuthenticationError as error:
        raise RefusedError(
            f"The cluster at {shown} refuses the request: its token is absent here or another.",
            hint=_TOKEN,
        ) from error
    except (requests.exceptions.JSONDecodeError, KeyError) as error:
        raise UnreachableError(
            f"What answers at {shown} is not Ray's Job API.", hint=_NOT_RAY
        ) from error
    except (requests.RequestException, ConnectionError) as error:
        raise UnreachableError(_unreached(shown, error), hint=_HOW_TO_REACH) from error
    except (RuntimeError, ValueError) as error:
        raise _refusal(shown, str(error), submission_id) from error


def _unreached(shown: str, error: Exception) -> str:
    answer = getattr(error, "response", None)
    if answer is not None:
        return f"{shown} answers with status {answer.status_code}."
    return f"The connection to {shown} failed ({type(error).__name__})."


def _refusal(shown: str, text: str, submission_id: str) -> BackfillError:
    """What an answer of Ray with another status than 200 means."""
    found = re.search(r"status code (\d+)", text)
    status = int(found[1]) if found else 0
    if status == 404 and submission_id:
        return UsageError(
            f"The cluster at {shown} knows no job '{submission_id}'.",
            hint="ray-backfill jobs list shows what it has; it forgets its jobs with its head.",
        )
    if status == 413:
        return RefusedError(
            f"The cluster at {shown} takes no package of this size (about 100 MiB, zipped).",
            hint="Ship a smaller folder with --ship, or bake an image and name it with --image.",
        )
    if status in (301, 302, 303, 307, 308, 404) or "<html" in text.lower():
        return UnreachableError(f"What answers at {shown} is not Ray's Job API.", hint=_NOT_RAY)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = (lines[-1] if lines else "it does not say why").rstrip(".")
    if status >= 500:
        # Also a dashboard or an agent that is just starting again answers so.
        return UnreachableError(
            f"{shown} answers with status {status}: {said}.", hint=_HOW_TO_REACH
        )
    return RefusedError(f"The cluster at {shown} refused: {said}.")


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """Take variables away for a while: Ray's client prefers them to the address it is given."""
    kept = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
