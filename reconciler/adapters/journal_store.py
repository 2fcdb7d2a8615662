"""The journal on disk: SQLite in WAL mode with full synchronisation, private to the user.

Writes asked for at the same time are committed together, so that waiting for the disk is shared. SQLite's own
checksummed frames make a torn write invisible: a transaction is there whole or not at all.
"""

import asyncio
import json
import os
import queue
import sqlite3
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from reconciler.adapters.journal_schema import VERSION, blob_of, prepare
from reconciler.adapters.signing import tip_of
from reconciler.core.errors import Corrupt, FleetError, JournalError
from reconciler.core.plain import plain
from reconciler.core.ports import Entry, Label, Mined, Receipt, Sent
from reconciler.core.value import Value

MEMORY = Path(":memory:")
TOGETHER = 256
"""Writes that share one commit at most."""
NUMBER = "(select id from transactions where hash = ?)"
CORRUPT_HINT = "move it away and apply again: the world is read afresh, and nothing is done twice"
Statement = tuple[str, Sequence[object]]


class _Write(Value):
    statements: Sequence[Statement]
    done: Callable[[int | Exception], None]


class JournalStore:
    """Implements the Journal port. One file per state directory, one writer thread."""

    def __init__(self, path: Path) -> None:
        """Raises Corrupt where the file is no journal, JournalError where it is newer or cannot be written."""
        self._path = path
        self._lock = threading.Lock()
        self._db = self._open(path)
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_all, name="journal", daemon=True)
        self._writer.start()

    @classmethod
    def read_only(cls, path: Path) -> "JournalStore":
        """The journal for planning: where there is none yet, none is made."""
        return cls(path) if path.exists() else cls(MEMORY)

    def close(self) -> None:
        self._queue.put(None)
        self._writer.join()
        self._db.close()

    def _open(self, path: Path) -> sqlite3.Connection:
        try:
            if path != MEMORY:
                private_directory(path.parent)
                os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            if (version := prepare(db)) > VERSION:
                message = f"{path} was written by a newer fleetctl (journal version {version})"
                raise JournalError(message, hint="use that version, or a newer one")
        except OSError as error:
            message = f"cannot write {path}: {error.strerror}"
            raise JournalError(message, hint="check the directory, or name another with --state") from None
        except sqlite3.DatabaseError as error:
            raise self._corrupt(error) from None
        return db

    async def signed(self, sent: Sent) -> None:
        raw, tx_hash = zlib.compress(bytes.fromhex(sent.raw[2:]), 9), blob_of(sent.hash)
        insert = "insert into transactions (hash, sender, signer, nonce) values (?,?,?,?)"
        flying = f"insert into flying values ({NUMBER},?,?,?)"
        intent = f"insert into intents (address, step, sent) values (?,?,{NUMBER})"
        intents = [(intent, (label.address, label.step, tx_hash)) for label in sent.labels]
        values = (tx_hash, sent.sender, sent.signer, sent.nonce)
        await self._write([(insert, values), (flying, (tx_hash, raw, sent.gas, str(sent.max_fee))), *intents])

    async def mined(self, mined: Mined) -> None:
        update = "update transactions set block = ? where hash = ?"
        await self._write([(update, (mined.block, blob_of(mined.hash)))])

    async def settled(self, tx_hash: str, outcome: str) -> None:
        close = f"update intents set outcome = ? where sent = {NUMBER} and outcome = 'pending'"
        landed, key = f"delete from flying where id = {NUMBER}", blob_of(tx_hash)
        await self._write([(close, (outcome, key)), (landed, (key,))])

    async def requested(self, label: Label, request: str) -> int:
        insert = "insert into intents (address, step, request) values (?,?,?)"
        return await self._write([(insert, (label.address, label.step, request))])

    async def answered(self, number: int, outcome: str) -> None:
        await self._write([("update intents set outcome = ? where id = ?", (outcome, number))])

    async def keep(self, receipt: Receipt) -> None:
        body = json.dumps(plain(receipt))
        await self._write([("insert or replace into receipts values (?,?)", (receipt.name, body))])

    def unsettled(self) -> Sequence[Sent]:
        rows = self._read(
            "select t.id, t.hash, t.sender, t.signer, t.nonce, f.raw, f.gas, f.max_fee from flying f "
            "join transactions t on t.id = f.id order by t.sender, t.nonce, length(f.max_fee), f.max_fee"
        )
        return [self._sent(*row) for row in rows]

    def _sent(self, number: object, tx_hash: object, sender: object, signer: object, *rest: object) -> Sent:
        nonce, raw, gas, max_fee = rest
        # The intents of a transaction are as open as it is.
        query = "select address, step from intents where sent = ? and outcome = 'pending' order by id"
        labels = self._read(query, number)
        assert isinstance(tx_hash, bytes) and isinstance(raw, bytes)
        assert isinstance(nonce, int) and isinstance(gas, int)
        text = "0x" + zlib.decompress(raw).hex()
        steps = tuple(Label(str(address), str(step)) for address, step in labels)
        fees = int(str(max_fee)), tip_of(text)
        return Sent(f"0x{tx_hash.hex()}", str(sender), str(signer), nonce, text, steps, gas, *fees)

    def unanswered(self) -> Sequence[tuple[int, Label, str]]:
        rows = self._read(
            "select id, address, step, request from intents where outcome = 'pending' and request is not null"
        )
        return [(int(str(row[0])), Label(str(row[1]), str(row[2])), str(row[3])) for row in rows]

    def requests(self, label: Label) -> Sequence[tuple[str, str]]:
        rows = self._read(
            "select request, outcome from intents where address = ? and step = ? and request is not null "
            "order by id desc",
            label.address,
            label.step,
        )
        return [(str(request), str(outcome)) for request, outcome in rows]

    def receipt(self, name: str) -> Receipt | None:
        rows = self._read("select body from receipts where name = ?", name)
        return Receipt(**json.loads(str(rows[0][0]))) if rows else None

    async def remember(self, fleet: str, converged: Mapping[str, str]) -> None:
        known = self.remembered(fleet)
        insert = "insert or replace into applied values (?,?,?)"
        news = [(insert, (fleet, name, body)) for name, body in converged.items() if known.get(name) != body]
        if news:
            await self._write(news)

    def remembered(self, fleet: str) -> Mapping[str, str]:
        rows = self._read("select address, body from applied where fleet = ?", fleet)
        return {str(address): str(body) for address, body in rows}

    def signers(self) -> Sequence[tuple[str, str]]:
        rows = self._read("select distinct signer, sender from transactions order by signer, sender")
        return [(str(signer), str(sender)) for signer, sender in rows]

    def subjects(self, kind: str) -> Sequence[tuple[str, str]]:
        query = "select distinct address, json_extract(body, '$.subject') from applied where address glob ?"
        return [(str(address), str(subject)) for address, subject in self._read(query, f"{kind}/*")]

    def entries(self, limit: int = 1000) -> Sequence[Entry]:
        rows = self._read(
            "select i.id, i.address, i.step, i.outcome, iif(t.id, '0x' || lower(hex(t.hash)), null), i.request, "
            "t.signer, t.nonce, t.block from intents i left join transactions t on t.id = i.sent "
            "order by i.id desc limit ?",
            limit,
        )
        return [Entry(*row) for row in rows]  # type: ignore[arg-type]

    def _read(self, query: str, *values: object) -> Sequence[Sequence[object]]:
        try:
            with self._lock:
                return self._db.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._corrupt(error) from None

    def _corrupt(self, error: Exception) -> Corrupt:
        return Corrupt(f"{self._path} is not a usable journal: {error}", hint=CORRUPT_HINT)

    async def _write(self, statements: Sequence[Statement]) -> int:
        """Durable when it returns; the row id of the last insert."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[int] = loop.create_future()

        def done(result: int | Exception) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_resolve, future, result)

        self._queue.put(_Write(statements, done))
        return await future

    def _write_all(self) -> None:
        while (first := self._queue.get()) is not None:
            group = [first]
            while len(group) < TOGETHER and not self._queue.empty():
                if (more := self._queue.get()) is None:
                    self._queue.put(None)
                    break
                group.append(more)
            self._commit(group)

    def _commit(self, group: Sequence[_Write]) -> None:
        results: list[int] = []
        try:
            with self._lock:
                self._db.execute("begin immediate")
                try:
                    results = [self._execute(write) for write in group]
                    self._db.execute("commit")
                except BaseException:
                    self._db.execute("rollback")
                    raise
        except sqlite3.Error as error:
            trouble = JournalError(
                f"the journal {self._path} cannot be written: {error}",
                hint="is the disk full? what is not recorded is not sent",
            )
            for write in group:
                write.done(trouble)
            return
        for write, row in zip(group, results, strict=True):
            write.done(row)

    def _execute(self, write: _Write) -> int:
        row = 0
        for query, values in write.statements:
            row = self._db.execute(query, values).lastrowid or 0
        return row


def _resolve(future: asyncio.Future[int], result: int | Exception) -> None:
    if future.done():
        return
    if isinstance(result, FleetError):
        future.set_exception(type(result)(result.message, hint=result.hint))
    elif isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


def private_directory(path: Path) -> None:
    """Make it for the user alone; our own default directory is made so even if something else created it."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.name == ".fleetctl" and path.stat().st_mode & 0o077:
        path.chmod(0o700)
