"""Submits, or finds that the same work is submitted already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray_backfill.cluster.client import AlreadyThereError, JobApi
from ray_backfill.cluster.shipping import Shipment, packed
from ray_backfill.cluster.submission import Submission, choose_id
from ray_backfill.errors import RefusedError

__all__ = ["send"]

_TRIES = 5


def send(
    api: JobApi, submission: Submission, shipment: Shipment | None, image: str | None
) -> tuple[str, bool]:
    """The id under which the work runs, and whether it did so before.

    Of two that submit at once the cluster takes one; the other finds that.
    """
    submission_id, found = _chosen(api, submission)
    if found:
        return submission_id, True
    with _environment(submission, shipment, image) as environment:
        for _ in range(_TRIES):
            try:
                api.submit(submission_id, submission.entrypoint, environment, submission.metadata)
            except AlreadyThereError:
                submission_id, found = _chosen(api, submission)
                if found:
                    return submission_id, True
                continue
            return submission_id, False
    raise RefusedError(f"Others submit {submission.base} at the same time.", hint="Try again.")


def _chosen(api: JobApi, submission: Submission) -> tuple[str, bool]:
    return choose_id(submission.base, ((job.id, job.status) for job in api.jobs()))


@contextmanager
def _environment(
    submission: Submission, shipment: Shipment | None, image: str | None
) -> Iterator[dict[str, Any]]:
    """The job's runtime environment; what is shipped exists as long as the block runs."""
    environment: dict[str, Any] = {"env_vars": dict(submission.env_vars)}
    if image:
        environment["image_uri"] = image
    if shipment is None:
        yield environment
        return
    with packed(shipment) as path:
        yield environment | {"working_dir": str(path)}
