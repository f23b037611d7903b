"""Ports for servers that tests start: two test processes never draw the same."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from itertools import islice

# Between the ports of Ray's worker processes and those that Linux gives out by itself.
_LOWEST, _HIGHEST = 20000, 32767
_EACH = 250


def free_ports(count: int) -> Sequence[int]:
    """Ports that nobody listens on now, all different, and none that was drawn before.

    They are of a range that is this test process's own, and that the system takes none from when
    it is asked for any port: nobody has them before they are used.
    """
    return list(islice(filter(_is_free, _PORTS), count))


def port_range(worker: str) -> range:
    """The ports of a process of pytest-xdist, named as xdist does; empty: of pytest alone."""
    number = int(worker.removeprefix("gw")) + 1 if worker else 0
    low = _LOWEST + _EACH * number
    if low + _EACH > _HIGHEST + 1:
        raise ValueError(f"there are no ports left for the tests' process {worker}")
    return range(low, low + _EACH)


def _drawn() -> Iterator[int]:
    ports = port_range(os.environ.get("PYTEST_XDIST_WORKER", ""))
    # Two pytests on one machine have the same ranges: begin elsewhere.
    begin = os.getpid() % len(ports)
    return iter([*ports[begin:], *ports[:begin]])


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("", port)).close()
    except OSError:
        return False
    return True


_PORTS = _drawn()
