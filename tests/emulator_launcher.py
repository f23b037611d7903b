"""Starts `bqemulator` 1.4.0 as the tests need it: `python emulator_launcher.py start …`.

It runs in an environment of its own, without the project. What is mended, and why, is in
`emulator_fixes`, a module for each part of the server:

* `copies`  copy jobs keep the target's schema, and do not know a table as it was
* `engine`  it waits for a download, dead-locks between REST and gRPC, copies tables at writes
* `loads`   load jobs ignore the caller's job id, and columns by their name
* `streams` the storage APIs drop unknown columns and offsets, and commit streams one by one
* `tables`  the table resource forgets its expiry, its etag and new columns
* `web`     injected faults and the log of requests, at `/__faults` and `/__requests`
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

PINNED = "1.4.0"


def main() -> None:
    """Mend the server, then be its command line."""
    if version("bqemulator") != PINNED:
        raise SystemExit(f"this mends bqemulator {PINNED}, and not {version('bqemulator')}")
    from bqemulator import server
    from bqemulator.cli import main as cli
    from emulator_fixes import copies, engine, loads, streams, tables, web

    for part in (copies, engine, loads, streams, tables, web):
        part.mend()
    real = server.EmulatorServer._run_forever_async

    async def run(self: server.EmulatorServer) -> None:
        # Six threads would be starved by as many open AppendRows calls.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(64))
        await real(self)
        # Threads that wait for a client would keep the process for ever.
        os._exit(0)

    server.EmulatorServer._run_forever_async = run
    cli()


if __name__ == "__main__":
    main()
