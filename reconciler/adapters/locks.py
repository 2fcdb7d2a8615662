"""One run per chain and signing account on this machine, whatever manifest or directory it starts from.

All locks of a chain are bytes of one file, so that ten thousand wallets take no more than one open file. The kernel
lets go of them when their process ends, however it ends: what a dead process held is free at once, and what a stopped
one holds stays held, since it may go on. A lease that expires could promise neither.
"""

import fcntl
import json
import os
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import IO

from reconciler.core.errors import Locked
from reconciler.core.value import Value

BEAT = 2.0
"""Seconds between signs of life of a holder."""
SILENT = 10.0
"""Seconds without one, after which a holder is said to hang."""


@contextmanager
def locked(directory: Path, chain_id: int, accounts: Iterable[str], what: str) -> Iterator[None]:
    """Holds the locks of all `accounts` (0x addresses). Raises Locked naming the holder; the dead hold nothing."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Downwards: the kernel keeps them in order, and looks for the place from the low end.
    wanted = sorted({account.lower() for account in accounts}, reverse=True)
    book = _Book(directory, chain_id)
    with os.fdopen(os.open(directory / f"{chain_id}.lock", os.O_RDWR | os.O_CREAT, 0o600), "r+") as stream:
        for account in wanted:
            _take(stream, account, book)
        with book.entry(wanted, what):
            yield


def _take(stream: IO[str], account: str, book: "_Book") -> None:
    try:
        # The first 60 bits of an address: two that share them would wait for each other, and nothing worse.
        fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, int(account[2:17], 16))
    except OSError:
        message = f"another fleetctl is using {account}: {book.holder(account)}"
        raise Locked(message, hint="wait until it is done; the lock ends with its process") from None


class _Book(Value):
    """Who holds what, for those who are turned away: one file a process, touched while it lives."""

    directory: Path
    chain_id: int

    @contextmanager
    def entry(self, accounts: Collection[str], what: str) -> Iterator[None]:
        path = self.directory / f"{self.chain_id}-{os.getpid()}.json"
        over = Event()
        beating = Thread(target=_beat, args=(path, over), daemon=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
            json.dump({"pid": os.getpid(), "what": what, "accounts": list(accounts)}, stream)
        beating.start()
        try:
            yield
        finally:
            over.set()
            path.unlink(missing_ok=True)

    def holder(self, account: str) -> str:
        """In words. Entries of the dead are cleared away."""
        said = "an unknown process"
        for path in self.directory.glob(f"{self.chain_id}-*.json"):
            with suppress(OSError, ValueError, KeyError, TypeError):
                found, age = json.loads(path.read_text()), time.time() - path.stat().st_mtime
                if not _lives(int(found["pid"])):
                    path.unlink()
                elif account in found["accounts"]:
                    hangs = f", no sign of life for {age:.0f} s" if age > SILENT else ""
                    said = f"process {found['pid']} ({found['what']}{hangs})"
        return said


def _beat(path: Path, over: Event) -> None:
    while not over.wait(BEAT):
        with suppress(OSError):
            os.utime(path)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
