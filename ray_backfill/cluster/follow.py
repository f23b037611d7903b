"""Follows a job's log to its end, over connections that may drop at any time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ray_backfill.cluster.client import JobApi, JobFacts, UnreachableError
from ray_backfill.errors import BackfillError

__all__ = ["LogReader", "LostError", "follow"]

Say = Callable[[str], None]

_HEARTBEAT = 20.0
"""Seconds between pings: a connection that died while this machine slept is known by them."""
_STATUS = 2.0
"""Seconds between looks at the job's status, beside its log."""
_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0)


class LostError(BackfillError):
    """Nobody has answered for long; the job itself goes on."""

    exit_code = 3


@dataclass
class LogReader:
    """Puts pieces of a log together to lines, each of them once.

    A connection always begins with the first character of the log; what was read before is
    passed over.
    """

    _taken: int = 0
    _skip: int = 0
    _rest: str = ""

    def begin(self) -> None:
        """A new connection: the log comes from its start again."""
        self._skip = self._taken

    def feed(self, text: str) -> list[str]:
        """The lines that a piece completes, without their ends."""
        new = text[self._skip :]
        self._skip = max(0, self._skip - len(text))
        self._taken += len(new)
        *lines, self._rest = (self._rest + new).split("\n")
        return lines

    def rest(self) -> list[str]:
        """A last line that has no end."""
        last, self._rest = self._rest, ""
        return [last] if last else []


@dataclass
class _Contact:
    """Whether the cluster has answered lately."""

    patience: float
    since: float = field(default_factory=time.monotonic)
    misses: int = 0
    unread: bool = False
    """Whether it was said that the log cannot be read."""

    def heard(self) -> bool:
        """True where there was silence before."""
        lost, self.misses, self.since = self.misses, 0, time.monotonic()
        return lost > 0

    def missed(self) -> float:
        """Seconds to wait before the next try."""
        self.misses += 1
        return _PAUSES[min(self.misses, len(_PAUSES)) - 1]

    @property
    def silent(self) -> bool:
        return time.monotonic() - self.since > self.patience


def follow(api: JobApi, submission_id: str, *, line: Say, note: Say, patience: float) -> JobFacts:
    """Give every line of the job's log to `line`, until it has ended; what it then is.

    `note` hears of lost connections. Raises `LostError` after `patience` seconds without an
    answer, and `KeyboardInterrupt`: the job goes on in both cases.
    """
    return asyncio.run(_follow(api, submission_id, line, note, _Contact(patience)))


async def _follow(
    api: JobApi, submission_id: str, line: Say, note: Say, contact: _Contact
) -> JobFacts:
    reader, broken = LogReader(), 0
    while True:
        try:
            facts, whole = await _one_connection(api, submission_id, reader, line, contact, note)
            if facts.has_ended:
                for last in reader.rest():
                    line(last)
                return facts
            broken = 0 if whole else broken + 1
            pause = _PAUSES[min(broken, len(_PAUSES) - 1)]
        except UnreachableError as error:
            if contact.silent:
                raise LostError(
                    f"{api.shown} has not answered for {contact.patience:.0f} s; the job may well "
                    "go on.",
                    hint=f"ray-backfill jobs logs {submission_id} --follow --address {api.shown}",
                ) from error
            pause = contact.missed()
            if contact.misses == 1:
                note(
                    f"The connection is lost: {error.message} The job goes on; trying for "
                    f"{contact.patience:.0f} s to reach it again."
                )
        await asyncio.sleep(pause)


async def _one_connection(
    api: JobApi, submission_id: str, reader: LogReader, line: Say, contact: _Contact, note: Say
) -> tuple[JobFacts, bool]:
    """Read the log until the connection or the job ends: what the job is then, and whether the
    connection ended as one should.
    """

    def heard() -> None:
        if contact.heard():
            note("Connected again.")

    facts = await asyncio.to_thread(api.job, submission_id)
    heard()
    tail = asyncio.create_task(_tail(api, submission_id, reader, line, heard))
    try:
        while not (tail.done() or facts.has_ended):
            await asyncio.wait({tail}, timeout=_STATUS)
            facts = await asyncio.to_thread(api.job, submission_id)
            heard()
    finally:
        whole = tail.done() and not tail.cancelled() and tail.exception() is None
        tail.cancel()
        await asyncio.gather(tail, return_exceptions=True)
    if not whole:
        # The rest in one piece: Ray's tail of a log that has ended takes seconds to say so, and
        # a proxy may let no web socket through.
        text = await _whole_log(api, submission_id, facts.has_ended, contact, note)
        reader.begin()
        for one in reader.feed(text):
            line(one)
    return facts, whole


async def _whole_log(
    api: JobApi, submission_id: str, has_ended: bool, contact: _Contact, note: Say
) -> str:
    """The log in one piece; nothing where it cannot be read. What the job is, is known without."""
    for pause in (0.0, *_PAUSES[:2]) if has_ended else (0.0,):
        await asyncio.sleep(pause)
        try:
            text = await asyncio.to_thread(api.logs, submission_id)
        except UnreachableError as error:
            last = error.message
        else:
            contact.unread = False
            return text
    if has_ended:
        note(f"The end of the log could not be read: {last}")
    elif not contact.unread:
        contact.unread = True
        note(f"The log cannot be read now: {last} The job goes on.")
    return ""


async def _tail(
    api: JobApi, submission_id: str, reader: LogReader, line: Say, heard: Callable[[], None]
) -> None:
    import aiohttp

    url, how = api.tail(submission_id)
    reader.begin()
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, heartbeat=_HEARTBEAT, max_msg_size=0, **how) as socket,
    ):
        async for message in socket:
            if message.type == aiohttp.WSMsgType.TEXT:
                heard()
                for one in reader.feed(message.data):
                    line(one)
        if socket.close_code != aiohttp.WSCloseCode.OK:
            raise ConnectionError(f"closed with {socket.close_code}")
