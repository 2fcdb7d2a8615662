"""Documents in SQLite: what Machine Markets and the Gas Station remember.

All access is from the event loop's thread, and no call awaits: what happens between two awaits of a handler
is atomic.
"""

import secrets
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import json

from reconciler.sandbox.services.clock import WriteClock

Document = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS document (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL, id TEXT NOT NULL, parent TEXT NOT NULL, natural TEXT NOT NULL, body TEXT NOT NULL,
  UNIQUE (kind, id)
);
CREATE INDEX IF NOT EXISTS by_parent ON document (kind, parent, seq);
CREATE INDEX IF NOT EXISTS by_natural ON document (kind, natural);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Row:
    seq: int
    body: Document


class Store:
    """`parent` groups (the machine of a pairing); `natural` is what must be found without the id."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)
        self.clock = WriteClock(int(self._meta("clock", "0")))
        self.secret = self._meta("secret", secrets.token_hex(32))

    def put(self, kind: str, doc: Document, *, parent: str = "", natural: str = "") -> None:
        """Insert, or replace the body of the document with this id."""
        self._db.execute(
            "INSERT INTO document (kind, id, parent, natural, body) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
            (kind, doc["id"], parent, natural, json.encode(doc).decode()),
        )
        self._db.execute("UPDATE meta SET value = ? WHERE name = 'clock'", (str(self.clock.last_ms),))

    def get(self, kind: str, ident: str) -> Document | None:
        return self._one("SELECT body FROM document WHERE kind = ? AND id = ?", kind, ident)

    def find(self, kind: str, natural: str) -> list[Document]:
        rows = self._db.execute(
            "SELECT body FROM document WHERE kind = ? AND natural = ? ORDER BY seq", (kind, natural)
        )
        return [json.decode(body) for (body,) in rows]

    def remove(self, kind: str, ident: str) -> bool:
        return self._db.execute("DELETE FROM document WHERE kind = ? AND id = ?", (kind, ident)).rowcount > 0

    def page(self, kind: str, after: int, limit: int, *, parent: str | None = None) -> list[Row]:
        where, args = ("", []) if parent is None else (" AND parent = ?", [parent])
        rows = self._db.execute(
            f"SELECT seq, body FROM document WHERE kind = ?{where} AND seq > ? ORDER BY seq LIMIT ?",
            (kind, *args, after, limit),
        )
        return [Row(seq, json.decode(body)) for seq, body in rows]

    def every(self, kind: str, *, parent: str | None = None) -> Iterator[Document]:
        for row in self.page(kind, 0, -1, parent=parent):
            yield row.body

    def close(self) -> None:
        self._db.close()

    def _one(self, sql: str, *args: str) -> Document | None:
        row = self._db.execute(sql, args).fetchone()
        return None if row is None else json.decode(row[0])

    def _meta(self, name: str, default: str) -> str:
        self._db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (name, default))
        (value,) = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return str(value)


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(6)}"
