"""Journals of older versions: opened, made new, and nothing of them lost."""

import asyncio
import sqlite3
import zlib
from pathlib import Path

import pytest

from reconciler.adapters.journal_schema import PAGE, VERSION
from reconciler.adapters.journal_store import JournalStore
from reconciler.core.errors import Corrupt
from reconciler.core.ports import Label, Receipt, Sent

FIRST = """
create table transactions (
  hash text primary key, sender text not null, signer text not null, nonce integer not null, raw blob not null,
  gas integer not null, max_fee text not null, block integer, block_hash text, outcome text not null default 'pending'
) without rowid;
create table intents (
  id integer primary key, address text not null, step text not null, hash text, request text,
  outcome text not null default 'pending'
);
create index intents_by_hash on intents(hash);
create index open_intents on intents(outcome) where outcome = 'pending';
create table receipts (name text primary key, body text not null) without rowid;
"""
SECOND = """
create table applied (
  fleet text not null, address text not null, body text not null, primary key (fleet, address)
) without rowid;
"""
DONE, OPEN = f"0x{1:064x}", f"0x{2:064x}"
RAW = "0x02f8ab"
RECEIPT = '{"name": "air/ops", "pairing_id": "p1", "digest": "d", "last_four": "abcd", "expires_at": "e", \
"updated_at": "u", "session_issued_at": "s", "policy": "p"}'


def old(path: Path, version: int) -> None:
    """What fleetctl left when its journal had this version."""
    raw = zlib.compress(bytes.fromhex(RAW[2:]), 9)
    with sqlite3.connect(path) as db:
        db.executescript(FIRST + (SECOND if version > 1 else "") + f"pragma user_version = {version};")
        insert = "insert into transactions values (?,?,?,?,?,?,?,?,?,?)"
        db.execute(insert, (OPEN, "0xA", "operator/default", 2, raw, 90, "7", None, None, "pending"))
        db.execute(insert, (DONE, "0xA", "operator/default", 1, raw, 80, "6", 12, "0xb", "done"))
        intent = "insert into intents values (?,?,?,?,?,?)"
        db.execute(intent, (1, "machine_nft/air", "mint", DONE, None, "done"))
        db.execute(intent, (2, "machine_did/air", "write", OPEN, None, "pending"))
        db.execute(intent, (5, "machine_record/air", "draft", None, "POST /machines", "pending"))
        db.execute("insert into receipts values ('air/ops', ?)", (RECEIPT,))
        if version > 1:
            db.execute("insert into applied values ('f on 1', 'machine_nft/air', '{}')")
    db.close()


@pytest.mark.parametrize("version", range(1, VERSION))
def test_an_older_journal_is_taken_over(tmp_path: Path, version: int) -> None:
    path = tmp_path / "journal.sqlite"
    old(path, version)
    for _ in range(2):
        store = JournalStore(path)
        label = Label("machine_did/air", "write")
        assert store.unsettled() == [Sent(OPEN, "0xA", "operator/default", 2, RAW, (label,), 90, 7)]
        assert store.unanswered() == [(5, Label("machine_record/air", "draft"), "POST /machines")]
        assert [(e.number, e.outcome, e.hash, e.signer, e.nonce, e.block) for e in store.entries()] == [
            (5, "pending", None, None, None, None),
            (2, "pending", OPEN, "operator/default", 2, None),
            (1, "done", DONE, "operator/default", 1, 12),
        ]
        assert store.receipt("air/ops") == Receipt("air/ops", "p1", "d", "abcd", "e", "u", "s", "p")
        assert store.remembered("f on 1") == ({"machine_nft/air": "{}"} if version > 1 else {})
        assert store.signers() == [("operator/default", "0xA")]
        store.close()
    with sqlite3.connect(path) as db:
        assert db.execute("pragma user_version").fetchone() == (VERSION,)
        kept = {name for (name,) in db.execute("select name from sqlite_schema where type = 'table'")}
    assert not any(name.startswith("old_") for name in kept)


def test_a_journal_that_cannot_be_taken_over_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    old(path, 2)
    with sqlite3.connect(path) as db:
        db.execute("alter table intents drop column request")
    with pytest.raises(Corrupt):
        JournalStore(path)
    with sqlite3.connect(path) as db:
        assert db.execute("pragma user_version").fetchone() == (2,)
        assert db.execute("select count(*) from transactions").fetchone() == (2,)


def test_the_bytes_of_a_transaction_go_when_it_is_settled(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    store = JournalStore(path)

    async def story() -> None:
        sent = Sent(OPEN, "0xA", "operator/default", 2, RAW, (Label("machine_did/air", "write"),), 90, 7)
        await store.signed(sent)
        assert store.unsettled() == [sent]
        await store.settled(OPEN, "done")

    asyncio.run(story())
    assert store.unsettled() == []
    assert [(entry.outcome, entry.hash) for entry in store.entries()] == [("done", OPEN)]
    store.close()
    with sqlite3.connect(path) as db:
        assert db.execute("select count(*) from flying").fetchone() == (0,)
        assert db.execute("pragma page_size").fetchone() == (PAGE,)
