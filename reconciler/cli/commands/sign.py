"""fleetctl sign: signs a request where the key is. Needs no manifest and no network."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from reconciler.adapters.keys import Key, open_key
from reconciler.adapters.secrets import Secrets
from reconciler.adapters.sinks import write_private
from reconciler.cli.commands.sign_request import MOMENT
from reconciler.cli.handed import OutFile
from reconciler.cli.options import Command, Options
from reconciler.cli.presigned import FILE, contracts_of, read_file
from reconciler.cli.readback import deeds_of
from reconciler.cli.signing_words import said
from reconciler.core.errors import ConfigError
from reconciler.core.fleet import KeyRef, SecretRef
from reconciler.core.money import format_amount
from reconciler.core.signing import SignedTransaction, SignedTransactions, SigningRequest, Transaction, Write
from reconciler.manifest.networks import PRESETS

PLACES = {"env": "NAME", "file": "PATH", "keystore": "PATH"}


@click.command("sign", cls=Command)
@click.argument("request", type=FILE)
@click.option("--key", required=True, help="env:NAME, file:PATH or keystore:PATH")
@click.option("--password", help="Of the keystore: env:NAME or file:PATH")
@click.option("--chain-id", type=int, help="Sign for no other chain")
@click.option("--out", type=OutFile("SignedTransactions"), required=True, help="File to write")
def command(options: Options, request: Path, *, key: str, password: str | None, chain_id: int | None, out: Path) -> int:
    """Sign those transactions of REQUEST that are this key's, after saying what they do. Works offline.

    Only writes to the signer's own DID and calls for its own v2 machine are signed, and only where the bytes say what
    the request says.
    """
    asked = read_file(SigningRequest, request)
    _check_chain(asked, chain_id)
    holder = open_key(Secrets(Path()), _reference(key, password), "--key")
    own = _own(asked, holder)
    for transaction in own:
        _check(transaction, asked.chain_id)
    _tell(asked, own)
    signed = SignedTransactions(
        request=asked.digest, chain_id=asked.chain_id, transactions=tuple(_signed(asked, t, holder) for t in own)
    )
    try:
        write_private(out, signed.text())
    except OSError as error:
        raise ConfigError(f"cannot write {out}: {error.strerror}", hint="check --out") from None
    click.echo(f"wrote {out}: {len(own)} signed transaction(s) for `fleetctl apply --signed`", err=True)
    return 0


def _reference(key: str, password: str | None) -> KeyRef:
    secret = SecretRef(**_place(password, "--password", ("env", "file"))) if password else None
    return KeyRef(**_place(key, "--key", tuple(PLACES)), password=secret)


def _place(text: str, option: str, allowed: Sequence[str]) -> dict[str, str]:
    """`text` must not be shown: it may be the secret itself, given by mistake."""
    kind, _, where = text.partition(":")
    if kind not in allowed or not where:
        forms = " or ".join(f"{name}:{PLACES[name]}" for name in allowed)
        raise click.UsageError(f"{option} says where the secret is, as {forms}")
    return {kind: where}


def _check_chain(asked: SigningRequest, chain_id: int | None) -> None:
    """The chain must be that of the network it is called by, and the one that was insisted on."""
    known = PRESETS.get(asked.network, {}).get("chainId", asked.chain_id)
    if asked.chain_id != known:
        raise ConfigError(f"{asked.network} is chain {known}; the request says {asked.chain_id}", hint="do not sign it")
    if chain_id not in (None, asked.chain_id):
        raise ConfigError(f"the request is for chain {asked.chain_id}, not {chain_id}", hint="check --chain-id")


def _own(asked: SigningRequest, holder: Key) -> list[Transaction]:
    own = [transaction for transaction in asked.transactions if transaction.signer.lower() == holder.address.lower()]
    if not own:
        wanted = ", ".join(sorted({t.signer for t in asked.transactions})) or "nobody"
        message = f"the key is that of {holder.address}; the request asks for signatures of {wanted}"
        raise ConfigError(message, hint="give the machine's own key")
    return own


def _check(transaction: Transaction, chain_id: int) -> None:
    """ConfigError unless the bytes are what a machine may be asked for, and just what the request names."""
    named = f"the transaction of machine {transaction.machine} (nonce {transaction.nonce})"
    try:
        found = deeds_of(transaction.draft(0).call, transaction.signer, contracts_of(chain_id))
    except ValueError as error:
        shown = f"to {transaction.to}, value {transaction.value} wei, data {transaction.data[:200]}"
        message = f"refused to sign {named}: it holds {error}; in full: {shown}"
        raise ConfigError(message, hint="only a machine's own DID and its own v2 machine are signed for") from None
    if found != transaction.writes:
        really = "; ".join(line.strip() for deed in found for line in said(deed))
        message = f"refused to sign {named}: the request says one thing and the bytes another, which is: {really}"
        raise ConfigError(message, hint="make a new request, and ask who changed this one")


def _tell(asked: SigningRequest, own: Sequence[Transaction]) -> None:
    say = partial(click.echo, err=True)
    say(f"Fleet {asked.fleet} on {asked.network!r} (chain {asked.chain_id}), requested {asked.created}")
    for transaction in own:
        worst = transaction.gas * int(transaction.max_fee_per_gas)
        say(f"{transaction.machine} ({transaction.signer}), nonce {transaction.nonce}:")
        for line in (line for deed in transaction.writes for line in said(deed)):
            say(f"  {line}")
        deposit = ", and the chain's deposit for what is new"
        of_did = any(isinstance(deed, Write) for deed in transaction.writes)
        say(f"  pays up to {format_amount(worst)} of gas{deposit if of_did else ''}")
    if time.strftime(MOMENT, time.gmtime()) > asked.good_until:
        say(f"The request was meant to be used until {asked.good_until}; fees may have outgrown it.")


def _signed(asked: SigningRequest, transaction: Transaction, holder: Key) -> SignedTransaction:
    raw = holder.sign_transaction(transaction.draft(asked.chain_id)).raw
    return SignedTransaction(machine=transaction.machine, signer=transaction.signer, raw=raw)
