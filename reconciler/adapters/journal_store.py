"""The journal on disk: SQLite in WAL mode with full synchronisation, private to the user."""

import json
import os
import sqlite3
import threading
import zlib
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

from reconciler.core.errors import Corrupt, JournalError
from reconciler.core.ports import Label, Mined, Receipt, Sent

VERSION = 1
MEMORY = Path(":memory:")
SCHEMA = """
create table if not exists transactions (
  hash text primary key, sender text not null, signer text not null, nonce integer not null, raw blob not null,
  gas integer not null, max_fee text not null, block integer, block_hash text, outcome text not null default 'pending'
);
create table if not exists intents (
  id integer primary key, address text not null, step text not null, hash text references transactions(hash),
  request text, outcome text not null default 'pending'
);
create index if not exists intents_by_hash on intents(hash);
create index if not exists open_intents on intents(outcome) where outcome = 'pending';
create table if not exists receipts (name text primary key, body text not null);
"""


class JournalStore:
    """Implements the Journal port. One file per state directory; safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        """Raises Corrupt where the file is no journal, JournalError where it is newer than this program."""
        if path != MEMORY:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = full")
            version = self._db.execute("pragma user_version").fetchone()[0]
            if version > VERSION:
                message = f"{path} was written by a newer fleetctl (journal version {version})"
                raise JournalError(message, hint="use that version, or a newer one")
            self._db.executescript(SCHEMA)
            self._db.execute(f"pragma user_version = {VERSION}")
        except sqlite3.DatabaseError as error:
            hint = "move it away and apply again: the world is read afresh, and nothing is done twice"
            raise Corrupt(f"{path} is not a usable journal: {error}", hint=hint) from None

    @classmethod
    def read_only(cls, path: Path) -> "JournalStore":
        """The journal for planning: where there is none yet, none is made."""
        return cls(path) if path.exists() else cls(MEMORY)

    def close(self) -> None:
        self._db.close()

    def signed(self, sent: Sent) -> None:
        with self._write() as db:
            db.execute(
                "insert into transactions (hash, sender, signer, nonce, raw, gas, max_fee) values (?,?,?,?,?,?,?)",
                (
                    sent.hash,
                    sent.sender,
                    sent.signer,
                    sent.nonce,
                    zlib.compress(bytes.fromhex(sent.raw[2:])),
                    sent.gas,
                    str(sent.max_fee),
                ),
            )
            db.executemany(
                "insert into intents (address, step, hash) values (?,?,?)",
                [(label.address, label.step, sent.hash) for label in sent.labels],
            )

    def mined(self, mined: Mined) -> None:
        with self._write() as db:
            db.execute(
                "update transactions set block = ?, block_hash = ? where hash = ?",
                (mined.block, mined.block_hash, mined.hash),
            )

    def settled(self, tx_hash: str, outcome: str) -> None:
        with self._write() as db:
            db.execute("update transactions set outcome = ? where hash = ?", (outcome, tx_hash))
            db.execute("update intents set outcome = ? where hash = ?", (outcome, tx_hash))

    def unsettled(self) -> Sequence[Sent]:
        with self._lock:
            rows = self._db.execute(
                "select hash, sender, signer, nonce, raw, gas, max_fee from transactions where outcome = 'pending' "
                "order by sender, nonce, rowid"
            ).fetchall()
            return [self._sent(row) for row in rows]

    def _sent(self, row: tuple[str, str, str, int, bytes, int, str]) -> Sent:
        labels = self._db.execute("select address, step from intents where hash = ? order by id", (row[0],)).fetchall()
        raw = "0x" + zlib.decompress(row[4]).hex()
        return Sent(*row[:4], raw, tuple(Label(*label) for label in labels), row[5], int(row[6]))

    def requested(self, label: Label, request: str) -> int:
        with self._write() as db:
            values = (label.address, label.step, request)
            cursor = db.execute("insert into intents (address, step, request) values (?,?,?)", values)
            return int(cursor.lastrowid or 0)

    def answered(self, number: int, outcome: str) -> None:
        with self._write() as db:
            db.execute("update intents set outcome = ? where id = ?", (outcome, number))

    def unanswered(self) -> Sequence[tuple[int, Label, str]]:
        with self._lock:
            rows = self._db.execute(
                "select id, address, step, request from intents where outcome = 'pending' and request is not null"
            ).fetchall()
        return [(row[0], Label(row[1], row[2]), row[3]) for row in rows]

    def receipt(self, name: str) -> Receipt | None:
        with self._lock:
            row = self._db.execute("select body from receipts where name = ?", (name,)).fetchone()
        return Receipt(**json.loads(row[0])) if row else None

    def keep(self, receipt: Receipt) -> None:
        with self._write() as db:
            db.execute("insert or replace into receipts values (?,?)", (receipt.name, json.dumps(asdict(receipt))))

    def _write(self) -> "AbstractContextManager[sqlite3.Connection]":
        return _Transaction(self._db, self._lock)


class _Transaction(AbstractContextManager[sqlite3.Connection]):
    """One write at a time, all of it or nothing, durable at the end."""

    def __init__(self, db: sqlite3.Connection, lock: threading.Lock) -> None:
        self._db, self._lock = db, lock

    def __enter__(self) -> sqlite3.Connection:
        self._lock.acquire()
        try:
            self._db.execute("begin immediate")
        except BaseException:
            self._lock.release()
            raise
        return self._db

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._db.execute("rollback" if kind else "commit")
        except sqlite3.Error as error:
            if kind is None:
                message = f"the journal cannot be written: {error}"
                raise JournalError(message, hint="is the disk full? nothing was sent") from None
        finally:
            self._lock.release()
