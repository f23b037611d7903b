"""Datasets: those that are there are left alone, which needs no right to create any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_backfill.warehouse.bigquery.errors import HTTP_SECONDS, tried

if TYPE_CHECKING:
    from ray_backfill.warehouse.bigquery.settings import Clients

__all__ = ["create_dataset", "create_house"]


def create_dataset(clients: Clients, name: str, description: str = "") -> None:
    """Create a dataset in the warehouse's location where it is absent."""
    from google.api_core.exceptions import NotFound
    from google.cloud.bigquery import Dataset

    doing = f"Creating the dataset {name}"
    dataset = Dataset(f"{clients.address.project}.{name}")
    dataset.location = clients.address.location
    dataset.description = description or None
    try:
        tried(
            doing,
            lambda: clients.rest.get_dataset(dataset.reference, retry=None, timeout=HTTP_SECONDS),
            expected=(NotFound,),
        )
    except NotFound:
        tried(
            doing,
            lambda: clients.rest.create_dataset(
                dataset, exists_ok=True, retry=None, timeout=HTTP_SECONDS
            ),
        )


def create_house(clients: Clients) -> None:
    """Create the dataset of staging tables and journals where it is absent."""
    about = "Staging tables, journals and reports of ray-backfill."
    create_dataset(clients, clients.address.staging, about)
