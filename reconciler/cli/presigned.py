"""The files of parked signatures, from paths on the command line."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import click

from reconciler.adapters.presigned import Presigned, read_transactions
from reconciler.cli.handed import read_text
from reconciler.cli.wiring import Project
from reconciler.core.effects import Signer
from reconciler.core.errors import UnsafePlan
from reconciler.core.fleet import ContractAddresses
from reconciler.core.money import format_amount
from reconciler.core.ports import Signed
from reconciler.core.signing import Digested, SignedTransactions, parse_file
from reconciler.manifest.networks import PRESETS

FileT = TypeVar("FileT", bound=Digested)
FILE = click.Path(path_type=Path, dir_okay=False)


def contracts_of(chain_id: int) -> ContractAddresses | None:
    """Those of a chain that is known without a manifest."""
    known = (preset["contracts"] for preset in PRESETS.values() if preset["chainId"] == chain_id)
    return next((ContractAddresses.model_validate(contracts) for contracts in known), None)


def read_file(wanted: type[FileT], path: Path) -> FileT:
    """ConfigError where it cannot be read or is not what was written."""
    return parse_file(wanted, read_text(path), str(path))


def presigned(project: Project, paths: Iterable[Path]) -> Presigned:
    """The project's keys, and beside them what these files hold for machines whose keys are elsewhere."""
    machines = {machine.name: machine.address for machine in project.fleet.machines if machine.address}
    found: dict[Signer, list[Signed]] = {}
    for path in paths:
        file = read_file(SignedTransactions, path)
        for signer, signed in read_transactions(file, str(path), project.fleet.network.chain_id, machines).items():
            found.setdefault(signer, []).extend(signed)
    _within(project.fleet.guards.max_fee, found)
    return Presigned(project.keyring, found)


def _within(most: int | None, found: dict[Signer, list[Signed]]) -> None:
    for signer, transactions in found.items():
        highest = max((signed.draft.fees.max_fee for signed in transactions), default=0)
        if most is not None and highest > most:
            fee, limit = format_amount(highest, 18), format_amount(most, 18)
            message = f"{signer} signed a fee of up to {fee} for a unit of gas; guards.maxFee is {limit}"
            raise UnsafePlan(message, hint="raise guards.maxFee, or make a new request")
