"""One apply per chain and signing account on this machine, whatever manifest or directory it starts from."""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from reconciler.core.errors import Locked


@contextmanager
def locked(directory: Path, chain_id: int, accounts: Iterable[str], what: str) -> Iterator[None]:
    """Holds the locks of all `accounts` (0x addresses). Raises Locked naming the holder; the dead hold nothing."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with ExitStack() as stack:
        for account in sorted({a.lower() for a in accounts}):
            path = directory / f"{chain_id}-{account}.lock"
            stream = stack.enter_context(_private(path))
            _take(stream, account, what)
        yield


def _private(path: Path) -> IO[str]:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "a+")


def _take(stream: IO[str], account: str, what: str) -> None:
    try:
        # The kernel lets go of the lock when its process ends, however it ends.
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        stream.seek(0)
        message = f"another fleetctl is using {account}: {_holder(stream.read())}"
        raise Locked(message, hint="wait until it is done; the lock ends with its process") from None
    stream.seek(0)
    stream.truncate()
    stream.write(json.dumps({"pid": os.getpid(), "what": what}))
    stream.flush()


def _holder(text: str) -> str:
    try:
        holder = json.loads(text)
        return f"process {holder['pid']} ({holder['what']})"
    except (ValueError, KeyError, TypeError):
        return "an unknown process"
