"""Machines that left the manifest: who they are, as far as chain, Machine Markets and journal know."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler.core.address import Address
from reconciler.core.fleet import Fleet, Protocol
from reconciler.core.minted import LARGEST, owner_of
from reconciler.core.ports import Json, Reader
from reconciler.core.section import NAME, ZERO_ADDRESS
from reconciler.core.value import Value

DID = re.compile(r"^did:peaq:(0x[0-9a-fA-F]{40}|[0-9]{1,78})$")
"""Of a machine that is known by its account, or by its number."""
DEACTIVATED = 4
GONE = ("not in the manifest", "retired")
"""Why a machine leaves: its entry was taken out, or says so."""
IDENTITIES = {"v1": "machine_identity", "v2": "machine_activation"}
"""The kinds that make a machine's identity."""


class Standing(Value):
    """Whose a machine is to the chain."""

    operator: str = ""
    """The operator's name in the manifest, or "" for none."""
    machine_id: str | None = None
    """None where nothing is left to deactivate or to suspend."""
    owner: str = ""
    """The account that a v2 machine belongs to where that is none of our operators."""


NOBODYS = Standing()


class Former(Value):
    """A machine that is ours and stands for no entry of the manifest."""

    name: str
    """What it was called if that is known and says one thing only, else its address, shortened."""
    account: str
    """Its number instead, where that is all it is known by."""
    operator: str
    """The operator's name in the manifest."""
    standing: Standing
    records: tuple[Json, ...]
    """Its records at Machine Markets that are not archived."""

    @property
    def made(self) -> Address:
        """The resource that makes its identity."""
        return Address(IDENTITIES[_protocol(self.account)], self.name)


async def former_machines(fleet: Fleet, read: Reader, *, scan: Protocol | None = None) -> list[Former]:
    """Ours are those that one of our operators registered, owns or controls, and those whose record bears our owner id.

    They are looked for in the operators' DIDs, in Machine Markets and in the journal, and with `scan` among all
    machines of the chain (v1) or in its logs (v2); by what protocol no machine of the fleet lives, in Machine Markets
    only. Fails as a whole where one of these cannot be read: who is half known is not removed.
    """
    operators = {(operator.address or "").lower(): name for name, operator in fleet.operators.items()}
    named = {fleet.identity_of(machine).did.rpartition(":")[2].lower() for machine in fleet.machines} | set(operators)
    records = await _records(fleet, read)
    called = _called(fleet, read)
    listed = await _listed(fleet, read, operators, scan)
    others = [account for account in dict.fromkeys([*listed, *records, *called]) if account not in named]
    lived = fleet.protocols
    asked = [account for account in others if _protocol(account) in lived]
    found = await read.together(_standing(read, account, operators) for account in asked)
    known: dict[str, Standing | None] = {**dict.fromkeys(others, NOBODYS), **dict(zip(asked, found, strict=True))}
    ours = {account: state for account, state in known.items() if state}
    living = {a: state for a, state in ours.items() if state.machine_id or records.get(a)}
    names = _names(living, called, records, {machine.name for machine in fleet.machines})
    default = next(iter(fleet.operators), "")
    return [
        Former(names[account], account, state.operator or default, state, tuple(records.get(account, ())))
        for account, state in living.items()
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


def _protocol(account: str) -> Protocol:
    """By which a machine of this account, or of this number, lives."""
    return "v1" if account.startswith("0x") else "v2"


def _called(fleet: Fleet, read: Reader) -> dict[str, str]:
    """The machines that the journal knows, by account or number, and what they were called."""
    signed = [(address.lower(), who) for who, address in read.signers() if who.startswith("machine/")]
    made = read.subjects(IDENTITIES["v2"]) if "v2" in fleet.protocols else ()
    numbered = [(did[1], address) for address, subject in made if (did := DID.match(subject))]
    return {account: who.partition("/")[2] for account, who in (*signed, *numbered)}


async def _listed(fleet: Fleet, read: Reader, operators: Mapping[str, str], scan: Protocol | None) -> list[str]:
    """The machines that the chain names as our operators', by account or number."""
    found: list[str] = []
    if "v1" in fleet.protocols:
        found += await _accounts(read, await _ids(fleet, read, scan=scan == "v1"), operators)
    if scan == "v2" and "v2" in fleet.protocols:
        found += [
            number for minted in await read.together(map(read.minted_for, operators)) for number in sorted(minted)
        ]
    return found


async def _ids(fleet: Fleet, read: Reader, *, scan: bool) -> list[str]:
    if scan:
        (total,) = await read.view("identityRegistry", "totalMachines()(uint256)")
        return [str(number) for number in range(1, total + 1)]
    lists = await read.together(read.attribute(o.address or "", "machines") for o in fleet.operators.values())
    return [machine_id for text in lists for machine_id in published_ids(text) or ()]


async def _accounts(read: Reader, ids: Sequence[str], operators: Mapping[str, str]) -> list[str]:
    owners = await read.together(registered_by(read, machine_id, operators) for machine_id in ids)
    return [owner for owner in owners if owner is not None]


async def _standing(read: Reader, account: str, operators: Mapping[str, str]) -> Standing | None:
    """None where it is another operator's."""
    known = _registered if _protocol(account) == "v1" else _minted
    return await known(read, account, operators)


async def _minted(read: Reader, number: str, operators: Mapping[str, str]) -> Standing | None:
    owner = await owner_of(read, number)
    if owner is None:
        return NOBODYS
    (controller,) = await read.view("machineRegistry", "controllerOf(uint256)(address)", int(number))
    (paused,) = await read.view("machineStateAndSync", "isOperatorPaused(uint256)(bool)", int(number))
    operator = operators.get(owner.lower()) or operators.get(controller.lower())
    if operator is None:
        return None
    return Standing(operator, None if paused else number, "" if owner.lower() in operators else owner)


async def _registered(read: Reader, account: str, operators: Mapping[str, str]) -> Standing | None:
    (machine_id,) = await read.view("identityRegistry", "machineIdOfOwner(address)(uint256)", account)
    if not machine_id:
        return NOBODYS
    (operator,) = await read.view("identityRegistry", "operatorOf(uint256)(address)", machine_id)
    if operator.lower() == ZERO_ADDRESS:
        return NOBODYS
    if operator.lower() not in operators:
        return None
    *_, status = await _verification(read, machine_id)
    return Standing(operators[operator.lower()], None if status == DEACTIVATED else str(machine_id))


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
