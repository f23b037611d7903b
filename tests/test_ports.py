"""Ports for the tests' Ray: two test processes never draw the same."""

from __future__ import annotations

import os
import socket
from itertools import combinations

import pytest

from tests.ports import free_ports, port_range


def test_each_test_process_has_ports_of_its_own() -> None:
    """Ranges are disjoint, above Ray's worker ports and below what Linux gives out itself."""
    ranges = [port_range(worker) for worker in ("", *(f"gw{n}" for n in range(50)))]
    assert all(set(one).isdisjoint(other) for one, other in combinations(ranges, 2))
    assert all(19999 < port < 32768 for ports in ranges for port in ports)
    with pytest.raises(ValueError, match="no ports left"):
        port_range("gw50")


def test_no_port_is_drawn_twice_and_none_that_is_taken() -> None:
    """A port on which somebody listens is passed over."""
    (before,) = free_ports(1)
    own = port_range(os.environ.get("PYTEST_XDIST_WORKER", ""))
    following = before + 1 if before + 1 in own else own[0]
    taken = socket.socket()
    try:
        # Somebody else may have it, which does as well.
        taken.bind(("127.0.0.1", following))
        taken.listen()
    except OSError:
        pass
    with taken:
        drawn = free_ports(3)
    assert len({before, following, *drawn}) == 5
    assert set(drawn) < set(own)
