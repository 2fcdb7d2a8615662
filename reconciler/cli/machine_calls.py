"""What a call to the contracts of protocol v2 says, read back from its bytes. Everything else is refused."""

from collections.abc import Callable, Mapping
from typing import Any

from reconciler.adapters.abi import arguments, selector, split
from reconciler.core.fleet import ContractAddresses
from reconciler.core.money import format_amount
from reconciler.core.ports import Raw
from reconciler.core.signing import Call, Said
from reconciler.kinds.peaq_v2.ground import (
    ACTIVATE,
    APPROVE,
    OPEN,
    RENEW,
    RESUME,
    SET_AUTHENTICATION,
    SET_CONTROLLER,
    SET_ENDPOINTS,
    SET_METHODS,
    SUSPEND,
    TIERS,
    token_id,
    written_subject,
)

Given = tuple[Any, ...]
"""The arguments of a call."""
Words = dict[str, Said]
PAYEE = "machineSubscription"
"""Who may take coins from a machine, and nobody else."""


def call_of(call: Raw, contracts: ContractAddresses) -> Call:
    """The call in words. ValueError where it is none that a machine makes."""
    if call.value:
        raise ValueError(f"a call that sends {call.value} wei")
    for role, functions in FUNCTIONS.items():
        if call.to.lower() == contracts.at(role).lower():
            for function, words in functions.items():
                if call.data.startswith("0x" + selector(function).hex()):
                    said = words(contracts, arguments(function, call.data))
                    return Call(contract=role, function=split(function)[0], arguments=said)
            raise ValueError(f"a call of an unknown function {call.data[:10]} of {role}")
    raise ValueError(f"a call to {call.to}, which is not the DID precompile and no contract of protocol v2")


def _approval(contracts: ContractAddresses, given: Given) -> Words:
    spender, wei = given
    if spender.lower() != contracts.at(PAYEE).lower():
        raise ValueError(f"leave for {spender} to take coins, which is not {PAYEE}")
    return {"spender": PAYEE, "amount": format_amount(wei, 18)}


def _activation(contracts: ContractAddresses, given: Given) -> Words:
    (name, controller, methods, places, endpoints), sort, subject, maker, tier = given
    if name:
        raise ValueError("a DID document that gives itself a name")
    return {
        "machine": f"did:peaq:{token_id(sort, subject)}",
        "machineType": sort,
        "credentialSubject": _subject(subject),
        "tier": _tier(tier),
        "manufacturer": maker.lower(),
        "controller": controller.lower(),
        "verificationMethods": _methods(methods),
        "authentication": _places(places),
        "serviceEndpoints": _endpoints(endpoints),
    }


def _of_machine(contracts: ContractAddresses, given: Given) -> Words:
    return {"machine": f"did:peaq:{given[0]}"}


def _with(name: str, words: Callable[[Any], Said]) -> Callable[[ContractAddresses, Given], Words]:
    """Of a machine, and one thing more."""
    return lambda contracts, given: {**_of_machine(contracts, given), name: words(given[1])}


def _subject(subject: bytes) -> str:
    said = written_subject(subject)
    return said if isinstance(said, str) else f"{said['hex']} in hex"


def _tier(tier: int) -> str:
    if tier >= len(TIERS):
        raise ValueError(f"tier {tier}, which is none")
    return TIERS[tier]


def _methods(methods: tuple[tuple[str, str, str, str], ...]) -> tuple[str, ...]:
    return tuple(f"{name} ({sort}) {key} of {controller.lower()}" for name, sort, controller, key in methods)


def _endpoints(endpoints: tuple[tuple[str, str, str], ...]) -> tuple[str, ...]:
    return tuple(f"{name} ({sort}) {url}" for name, sort, url in endpoints)


def _places(places: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(map(str, places))


FUNCTIONS: Mapping[str, Mapping[str, Callable[[ContractAddresses, Given], Words]]] = {
    "peaqToken": {APPROVE: _approval},
    "machineStateAndSync": {ACTIVATE: _activation, SUSPEND: _of_machine, RESUME: _of_machine},
    PAYEE: {OPEN: _with("tier", _tier), RENEW: _of_machine},
    "machineRegistry": {
        SET_CONTROLLER: _with("controller", str.lower),
        SET_METHODS: _with("verificationMethods", _methods),
        SET_AUTHENTICATION: _with("authentication", _places),
        SET_ENDPOINTS: _with("serviceEndpoints", _endpoints),
    },
}
"""By contract, what a machine may call of it. Who owns itself is not given away, so a hand-over is not among it."""
