"""Machines of protocol v2 on the sandbox, by plain calls."""

import itertools
from dataclasses import dataclass, field
from typing import Any

from chain_harness import PEAQ, RpcFailure, User, World
from eth_abi.abi import encode
from eth_account import Account
from eth_utils.crypto import keccak

from reconciler.sandbox.chain import calldata
from reconciler.sandbox.config import AGUNG_V2, WPEAQ_PRECOMPILE

DESK, REGISTRY, STATE = AGUNG_V2.info_desk, AGUNG_V2.machine_registry, AGUNG_V2.machine_state_and_sync
SUBSCRIPTION, MIRROR = AGUNG_V2.machine_subscription, AGUNG_V2.cross_chain_mirror
TOKEN = WPEAQ_PRECOMPILE
NOBODY = "0x" + "00" * 20
METHODS, ENDPOINTS = "(string,string,address,string)[]", "(string,string,string)[]"
DOCUMENT = f"(string,address,{METHODS},uint256[],{ENDPOINTS})"
ACTIVATE = [DOCUMENT, "string", "bytes", "address", "uint8"]
BOND = PEAQ // 2
DAY = 24 * 3600
NOT_ACTIVATED, ACTIVE, GRACE, RUNOFF, TERMINATED = range(5)
_numbers = itertools.count()


@dataclass(frozen=True)
class Machine:
    """What an activation says. Each has a subject of its own."""

    subject: bytes = field(default_factory=lambda: b"serial-%d-" % next(_numbers) + Account.create().address.encode())
    kind: str = "sensor"
    did: str = ""
    controller: str = NOBODY
    methods: tuple[tuple[str, str, str, str], ...] = ()
    authentication: tuple[int, ...] = ()
    endpoints: tuple[tuple[str, str, str], ...] = ()
    manufacturer: str = NOBODY
    tier: int = 0

    @property
    def id(self) -> int:
        return int.from_bytes(keccak(encode(["string", "bytes"], [self.kind, self.subject])), "big")

    def activation(self) -> str:
        document = (self.did, self.controller, self.methods, self.authentication, self.endpoints)
        arguments = [document, self.kind, self.subject, self.manufacturer, self.tier]
        return "0x" + (selector("activateMachine", *ACTIVATE) + encode(ACTIVATE, arguments)).hex()


def selector(name: str, *types: str) -> bytes:
    return keccak(text=f"{name}({','.join(types)})")[:4]


def call(name: str, *typed: tuple[str, Any]) -> str:
    """Call data where a type holds commas."""
    types = [kind for kind, _ in typed]
    return "0x" + (selector(name, *types) + encode(types, [value for _, value in typed])).hex()


def approve(amount: int, spender: str = SUBSCRIPTION) -> str:
    return calldata("approve(address,uint256)", spender, amount)


def activated(owner: User, **about: Any) -> Machine:
    """One that `owner` has just activated."""
    machine = Machine(**about)
    assert owner.send(TOKEN, approve(BOND * 1000))["status"] == "0x1"
    assert owner.send(STATE, machine.activation())["status"] == "0x1"
    return machine


def status(world: World, machine: Machine) -> int:
    return world.read(SUBSCRIPTION, "subscriptionStatus(uint256)", machine.id)


def subscription(world: World, machine: Machine) -> tuple[int, int, int, int, int]:
    """(tier, start, end, bonded, points)"""
    return world.read(
        SUBSCRIPTION, "subscriptions(uint256)", machine.id, returns="(uint8,uint64,uint64,uint256,uint256)"
    )


def refusal(user: User, to: str, data: str) -> str:
    """The selector of the error a call meets, "" if it would succeed."""
    try:
        user.call(to, data)
    except RpcFailure as failure:
        return failure.data[:10]
    return ""


def error(signature: str) -> str:
    return "0x" + keccak(text=signature)[:4].hex()


def event(signature: str) -> str:
    return "0x" + keccak(text=signature).hex()
