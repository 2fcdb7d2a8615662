"""The journal's tables, and how those of older versions become them."""

import sqlite3

VERSION = 3
PAGE = 2048
"""Bytes: the journal of a small fleet is a few pages, and a row of `applied` stays in one."""
TABLES = (
    "create table transactions ("
    "id integer primary key, hash blob not null unique, sender text not null, signer text not null, "
    "nonce integer not null, block integer)",
    "create table flying (id integer primary key, raw blob not null, gas integer not null, max_fee text not null)",
    "create table intents ("
    "id integer primary key, address text not null, step text not null, sent integer, request text, "
    "outcome text not null default 'pending')",
    "create index open_intents on intents(sent) where outcome = 'pending'",
    "create table receipts (name text primary key, body text not null) without rowid",
    "create table applied ("
    "fleet text not null, address text not null, body text not null, primary key (fleet, address)) without rowid",
)
KEPT = ("receipts", "applied")
CONVERSION = (
    "insert into transactions (hash, sender, signer, nonce, block) "
    "select blob_of(hash), sender, signer, nonce, block from old_transactions order by sender, nonce",
    "insert into flying select t.id, o.raw, o.gas, o.max_fee from old_transactions o "
    "join transactions t on t.hash = blob_of(o.hash) where o.outcome = 'pending'",
    "insert into intents select i.id, i.address, i.step, t.id, i.request, i.outcome from old_intents i "
    "left join transactions t on t.hash = blob_of(i.hash) order by i.id",
)


def prepare(db: sqlite3.Connection) -> int:
    """Bring the tables to VERSION, whole or not at all. The version found: a newer one is left as it is."""
    # Only a file that has no table yet heeds this.
    db.execute(f"pragma page_size = {PAGE}")
    db.execute("pragma journal_mode = wal")
    db.execute("pragma synchronous = full")
    if (found := _version(db)) >= VERSION:
        return found
    db.create_function("blob_of", 1, blob_of, deterministic=True)
    db.execute("begin exclusive")
    try:
        # Another process may have been quicker.
        if (found := _version(db)) < VERSION:
            _upgrade(db)
        db.execute("commit")
    except BaseException:
        db.execute("rollback")
        raise
    return found


def blob_of(text: str | None) -> bytes | None:
    """0x-hex as it is stored."""
    return None if text is None else bytes.fromhex(text[2:])


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("pragma user_version").fetchone()[0])


def _upgrade(db: sqlite3.Connection) -> None:
    names = [name for (name,) in db.execute("select name from sqlite_schema where type = 'table'")]
    old = [name for name in names if not name.startswith("sqlite_")]
    for name in old:
        db.execute(f"alter table {name} rename to old_{name}")
    for index in ("intents_by_hash", "open_intents"):
        db.execute(f"drop index if exists {index}")
    for statement in (*TABLES, *(CONVERSION if old else ())):
        db.execute(statement)
    for name in old:
        if name in KEPT:
            db.execute(f"insert into {name} select * from old_{name}")
        db.execute(f"drop table old_{name}")
    db.execute(f"pragma user_version = {VERSION}")
