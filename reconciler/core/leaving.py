"""Machines that left the manifest: who they are, as far as chain, Machine Markets and journal know."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler.core.fleet import Fleet
from reconciler.core.ports import Json, Reader
from reconciler.core.section import NAME, ZERO_ADDRESS
from reconciler.core.value import Value

DID = re.compile(r"^did:peaq:(0x[0-9a-fA-F]{40}|[0-9]+)$")
"""Of a machine that is known by its account, or by its number."""
LARGEST = 2**256
DEACTIVATED = 4
GONE = ("not in the manifest", "retired")
"""Why a machine leaves: its entry was taken out, or says so."""
Registered = tuple[str, str | None]
"""Name of the operator ("" for none), and the machine's id if that is to be deactivated."""
NOBODYS: Registered = ("", None)


class Former(Value):
    """A machine that is ours and stands for no entry of the manifest."""

    name: str
    """What it was called if that is known and says one thing only, else its address, shortened."""
    account: str
    """Its number instead, where that is all it is known by."""
    operator: str
    """The operator's name in the manifest."""
    machine_id: str | None
    """None where nothing is left to deactivate."""
    records: tuple[Json, ...]
    """Its records at Machine Markets that are not archived."""


async def former_machines(fleet: Fleet, read: Reader, *, scan: bool = False) -> list[Former]:
    """Ours are those that one of our operators registered, and those whose record bears our owner id.

    They are looked for in the operators' DIDs, in Machine Markets and in the journal, and with `scan` among all
    machines of the chain; where no machine lives by v1, in Machine Markets only. Fails as a whole where one of these
    cannot be read: who is half known is not removed.
    """
    v1 = "v1" in fleet.protocols
    operators = {(operator.address or "").lower(): name for name, operator in fleet.operators.items()}
    named = {fleet.identity_of(machine).did.rpartition(":")[2].lower() for machine in fleet.machines} | set(operators)
    records = await _records(fleet, read)
    signed = [(address.lower(), who.partition("/")[2]) for who, address in read.signers() if who.startswith("machine/")]
    ids = await _ids(fleet, read, scan=scan) if v1 else []
    accounts = dict.fromkeys([*await _accounts(read, ids, operators), *records, *(address for address, _ in signed)])
    others = [account for account in accounts if account not in named]
    asked = [account for account in others if v1 and account.startswith("0x")]
    found = await read.together(_registered(read, account, operators) for account in asked)
    known: dict[str, Registered | None] = {**dict.fromkeys(others, NOBODYS), **dict(zip(asked, found, strict=True))}
    ours = {account: state for account, state in known.items() if state}
    living = {a: state for a, state in ours.items() if state[1] or records.get(a)}
    names = _names(living, dict(signed), records, {machine.name for machine in fleet.machines})
    default = next(iter(fleet.operators), "")
    return [
        Former(names[account], account, operator or default, machine_id, tuple(records.get(account, ())))
        for account, (operator, machine_id) in living.items()
    ]


def published_ids(text: str | None) -> list[str] | None:
    """The ids of a published list, or None where there is none or it is not a list of ids."""
    try:
        listed = json.loads(text or "")
    except ValueError:
        return None
    valid = isinstance(listed, list) and all(type(i) is int or (isinstance(i, str) and i.isdecimal()) for i in listed)
    return [str(i) for i in listed] if valid else None


async def owners_of(read: Reader, machine_ids: Iterable[int]) -> list[str]:
    """The accounts of those of these ids that exist."""
    function = "getOwnerIfExists(uint256)(address,bool)"
    found = await read.together(read.view("identityRegistry", function, number) for number in machine_ids)
    return [account for account, exists in found if exists]


async def registered_by(read: Reader, machine_id: str, operators: Iterable[str]) -> str | None:
    """The account of a machine that one of these accounts (in lower case) registered, in lower case."""
    if not 0 < int(machine_id) < LARGEST:
        return None
    (operator,) = await read.view("identityRegistry", "operatorOf(uint256)(address)", int(machine_id))
    if operator.lower() not in operators:
        return None
    owner, *_ = await _verification(read, int(machine_id))
    return str(owner).lower()


async def _verification(read: Reader, machine_id: int) -> tuple[Any, ...]:
    function = "getVerificationInfo(uint256)(address,address,bool,uint8)"
    return await read.view("identityRegistry", function, machine_id)


async def _ids(fleet: Fleet, read: Reader, *, scan: bool) -> list[str]:
    if scan:
        (total,) = await read.view("identityRegistry", "totalMachines()(uint256)")
        return [str(number) for number in range(1, total + 1)]
    lists = await read.together(read.attribute(o.address or "", "machines") for o in fleet.operators.values())
    return [machine_id for text in lists for machine_id in published_ids(text) or ()]


async def _accounts(read: Reader, ids: Sequence[str], operators: Mapping[str, str]) -> list[str]:
    owners = await read.together(registered_by(read, machine_id, operators) for machine_id in ids)
    return [owner for owner in owners if owner is not None]


async def _registered(read: Reader, account: str, operators: Mapping[str, str]) -> Registered | None:
    """None where it is another operator's."""
    (machine_id,) = await read.view("identityRegistry", "machineIdOfOwner(address)(uint256)", account)
    if not machine_id:
        return NOBODYS
    (operator,) = await read.view("identityRegistry", "operatorOf(uint256)(address)", machine_id)
    if operator.lower() == ZERO_ADDRESS:
        return NOBODYS
    if operator.lower() not in operators:
        return None
    *_, status = await _verification(read, machine_id)
    return operators[operator.lower()], None if status == DEACTIVATED else str(machine_id)


async def _records(fleet: Fleet, read: Reader) -> dict[str, list[Json]]:
    """Records with our owner id that are in service, by account or number."""
    if fleet.services.markets is None:
        return {}
    owners = {f"did:peaq:{operator.address}".lower() for operator in fleet.operators.values()}
    markets = (getattr(machine, "market", None) for machine in fleet.machines)
    owners |= {market.owner_id.lower() for market in markets if market is not None and market.owner_id}
    found: dict[str, list[Json]] = {}
    for record in await read.items("machines"):
        account = DID.match(str(record.get("identityRef")))
        if account and str(record.get("ownerId")).lower() in owners and record.get("status") != "archived":
            found.setdefault(account[1].lower(), []).append(record)
    return found


def _names(
    accounts: Iterable[str], signed: Mapping[str, str], records: Mapping[str, Sequence[Json]], taken: Iterable[str]
) -> dict[str, str]:
    taken = set(taken)

    def wished(account: str) -> str:
        displayed = [str(record.get("displayName")) for record in records.get(account, ())]
        known = [name for name in (signed.get(account, ""), *displayed) if re.match(NAME, name) and name not in taken]
        return next(iter(known), f"{account[:6]}..{account[-4:]}")

    wishes = {account: wished(account) for account in accounts}
    count = Counter(wishes.values())
    return {account: name if count[name] == 1 else account for account, name in wishes.items()}
