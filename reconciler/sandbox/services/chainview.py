"""What the services read of the sandbox chain, over the dev node's plain JSON-RPC."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import httpx
from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from reconciler.sandbox.config import SandboxConfig
from reconciler.sandbox.services.line import Call, Line

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
_ZERO = "0x" + "0" * 40
_NO_SUCH_TOKEN = "0x" + keccak(text="ERC721NonexistentToken(uint256)")[:4].hex()
# Topics under which an account is named: as holder, as first controller, as a later one; and where.
_NAMED = (
    ("Transfer(address,address,uint256)", 2),
    ("MachineMinted(uint256,address,address,string)", 3),
    ("ControllerUpdated(uint256,address,address)", 3),
)
_TERMS = (1, 2, 3)  # active, grace, run-off
# The DID precompile has no "exists": absence is one of these answers, anything else is a failure.
_ABSENT = ("Cannot find the item", "AttributeNotFound", "0x4c92a369")


class ChainUnavailable(Exception):
    """The node did not answer, or answered with something the contracts would never say."""


class TransferRefused(Exception):
    """The node would not take a transfer."""


@dataclass(frozen=True)
class MachineFacts:
    """A machine of v1."""

    machine_id: int
    wallet: str
    owner: str
    operator: str | None
    status: int
    bonded: bool
    token_id: int

    @property
    def did(self) -> str:
        return f"did:peaq:{self.wallet}"

    @property
    def signers(self) -> list[str]:
        """Who signs for it."""
        return [self.wallet]

    @property
    def json_id(self) -> int | str:
        return self.machine_id


@dataclass(frozen=True)
class MintedFacts:
    """A machine of v2: its token is its identity."""

    machine_id: int
    owner: str
    controller: str | None
    status: int
    """Of its subscription, as the contract numbers them."""

    @property
    def did(self) -> str:
        return f"did:peaq:{self.machine_id}"

    @property
    def signers(self) -> list[str]:
        return [self.controller] if self.controller else []

    @property
    def operator(self) -> str | None:
        return self.owner

    @property
    def bonded(self) -> bool:
        return self.status in _TERMS

    @property
    def json_id(self) -> int | str:
        """Text: a number of that size does not survive every reader."""
        return str(self.machine_id)


Facts = MachineFacts | MintedFacts


class ChainView(Protocol):
    async def machines(self, ids: Sequence[int]) -> list[MachineFacts | None]: ...
    async def minted(self, ids: Sequence[int]) -> list[MintedFacts | None]: ...
    async def minted_for(self, address: str) -> list[int]: ...
    async def attributes(self, wanted: Sequence[tuple[str, str]]) -> list[str | None]: ...
    async def machine_of_token(self, token_id: int) -> int: ...
    async def balance(self, address: str) -> int: ...
    async def send(self, sender: str, to: str, value: int) -> str: ...
    async def problem(self) -> str | None: ...


class RpcChain:
    """A `ChainView` that packs what is asked at one time into one JSON-RPC batch."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._lines: dict[int, Line] = {}
        self._block = ""
        self._known: dict[Any, Any] = {}
        """What was found out about v1 in that block."""

    async def machines(self, ids: Sequence[int]) -> list[MachineFacts | None]:
        return await self._of_block(ids, self._machines)

    async def _machines(self, ids: Sequence[int]) -> list[MachineFacts | None]:
        at = self._config.contracts
        questions = [
            (to, _calldata(signature, ("uint256",), (machine_id,)))
            for machine_id in ids
            for to, signature in (
                (at.identity_registry, "getVerificationInfo(uint256)"),
                (at.identity_registry, "operatorOf(uint256)"),
                (at.identity_staking, "isStaked(uint256)"),
                (at.machine_nft, "tokenIdOf(uint256)"),
            )
        ]
        answers = await self._call_all(questions)
        return [_facts(machine_id, answers[4 * n : 4 * n + 4]) for n, machine_id in enumerate(ids)]

    async def minted(self, ids: Sequence[int]) -> list[MintedFacts | None]:
        at = self._config.v2
        questions = [
            (to, _calldata(signature, ("uint256",), (machine_id,)))
            for machine_id in ids
            for to, signature in (
                (at.machine_registry, "ownerOf(uint256)"),
                (at.machine_registry, "controllerOf(uint256)"),
                (at.machine_subscription, "subscriptionStatus(uint256)"),
            )
        ]
        answers = await self._call_all(questions)
        return [_minted(machine_id, answers[3 * n : 3 * n + 3]) for n, machine_id in enumerate(ids)]

    async def minted_for(self, address: str) -> list[int]:
        """The machines of v2 that this account owns or controls now, oldest first."""
        word = "0x" + bytes.fromhex(address[2:]).rjust(32, b"\0").hex()
        answers = await self._post(
            [
                ("eth_getLogs", [{"fromBlock": "0x0", "address": self._config.v2.machine_registry, "topics": topics}])
                for topics in (_topics(signature, at, word) for signature, at in _NAMED)
            ]
        )
        logs = [log for answer in answers for log in _result(answer)]
        logs.sort(key=lambda log: (int(log["blockNumber"], 16), int(log["logIndex"], 16)))
        found = await self.minted(list(dict.fromkeys(_token(log) for log in logs)))
        return [fact.machine_id for fact in found if fact and address in (fact.owner, fact.controller)]

    async def attributes(self, wanted: Sequence[tuple[str, str]]) -> list[str | None]:
        return await self._of_block(wanted, self._attributes)

    async def _attributes(self, wanted: Sequence[tuple[str, str]]) -> list[str | None]:
        data = [
            _calldata("readAttribute(address,bytes)", ("address", "bytes"), (who, name.encode()))
            for who, name in wanted
        ]
        return [_attribute(answer) for answer in await self._call_all([(self._config.contracts.did, d) for d in data])]

    async def machine_of_token(self, token_id: int) -> int:
        data = _calldata("machineIdOf(uint256)", ("uint256",), (token_id,))
        (answer,) = await self._call_all([(self._config.contracts.machine_nft, data)])
        return 0 if "error" in answer else int(_decode(["uint256"], answer)[0])

    async def balance(self, address: str) -> int:
        (answer,) = await self._post([("eth_getBalance", [address, "latest"])])
        return int(_result(answer), 16)

    async def send(self, sender: str, to: str, value: int) -> str:
        (answer,) = await self._post([("eth_sendTransaction", [{"from": sender, "to": to, "value": hex(value)}])])
        if "error" in answer:
            raise TransferRefused(str(answer["error"].get("message", "")))
        return str(answer["result"])

    async def problem(self) -> str | None:
        """Why the chain cannot serve, or nothing."""
        try:
            (chain,) = await self._post([("eth_chainId", [])])
            if int(_result(chain), 16) != self._config.chain_id:
                return "the node serves another chain"
            await self.machines([1])
        except ChainUnavailable as problem:
            return str(problem)
        return None

    async def _of_block(self, wanted: Sequence[K], ask: Callable[[Sequence[K]], Awaitable[list[T]]]) -> list[T]:
        """What `ask` finds. Only a block changes it, so that it is asked once for each block."""
        (head,) = await self._post([("eth_getBlockByNumber", ["latest", False])])
        if (block := str(_result(head)["hash"])) != self._block:
            self._block, self._known = block, {}
        known = self._known
        missing = [key for key in dict.fromkeys(wanted) if key not in known]
        if missing:
            known.update(zip(missing, await ask(missing), strict=True))
        return [known[key] for key in wanted]

    async def _call_all(self, questions: Sequence[tuple[str, bytes]]) -> list[dict[str, Any]]:
        return await self._post(
            [("eth_call", [{"to": to, "data": "0x" + data.hex()}, "latest"]) for to, data in questions]
        )

    async def _post(self, calls: Sequence[Call]) -> list[dict[str, Any]]:
        # One line per event loop: an idle connection must not outlive the loop it was made in.
        key = id(asyncio.get_running_loop())
        if key not in self._lines:
            self._lines[key] = Line(self._config.node_url)
        try:
            return await asyncio.gather(*map(self._lines[key].ask, calls))
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as problem:
            raise ChainUnavailable("the chain node does not answer") from problem


# What is asked and answered again and again is laid out and read once: that takes longer than all else here.
_kept = lru_cache(maxsize=65_536)
_checksummed = _kept(to_checksum_address)


@_kept
def _calldata(signature: str, kinds: tuple[str, ...], values: tuple[Any, ...]) -> bytes:
    return bytes(keccak(text=signature)[:4]) + encode(kinds, values)


def _facts(machine_id: int, answers: list[dict[str, Any]]) -> MachineFacts | None:
    owner, wallet, exists, status = _decode(["address", "address", "bool", "uint8"], answers[0])
    if not exists:
        return None
    (operator,) = _decode(["address"], answers[1])
    (bonded,) = _decode(["bool"], answers[2])
    (token_id,) = _decode(["uint256"], answers[3])
    return MachineFacts(
        machine_id=machine_id,
        wallet=_checksummed(wallet),
        owner=_checksummed(owner),
        operator=None if operator == _ZERO else _checksummed(operator),
        status=status,
        bonded=bonded,
        token_id=token_id,
    )


def _minted(machine_id: int, answers: list[dict[str, Any]]) -> MintedFacts | None:
    if str(answers[0].get("error", {}).get("data", "")).startswith(_NO_SUCH_TOKEN):
        return None
    (owner,) = _decode(["address"], answers[0])
    (controller,) = _decode(["address"], answers[1])
    (status,) = _decode(["uint8"], answers[2])
    named = None if controller == _ZERO else _checksummed(controller)
    return MintedFacts(machine_id, _checksummed(owner), named, status)


def _topics(signature: str, at: int, word: str) -> list[str | None]:
    return ["0x" + keccak(text=signature).hex(), *[None] * (at - 1), word]


def _token(log: dict[str, Any]) -> int:
    """Transfer names it last, the others first."""
    is_transfer = log["topics"][0] == _topics(_NAMED[0][0], 1, "")[0]
    return int(log["topics"][3 if is_transfer else 1], 16)


def _attribute(answer: dict[str, Any]) -> str | None:
    error = answer.get("error")
    if error is not None and any(sign in _said(error) for sign in _ABSENT):
        return None
    ((_, value, _, _),) = _decode(["(bytes,bytes,uint32,uint256)"], answer)
    return bytes(value).decode("utf-8", "replace")


def _said(error: dict[str, Any]) -> str:
    """The words of a revert, wherever the node puts them."""
    data = str(error.get("data", ""))
    reason = data
    if data.startswith("0x08c379a0"):
        reason = bytes.fromhex(data[10:]).decode("utf-8", "replace")
    return f"{error.get('message', '')} {reason}"


def _decode(kinds: list[str], answer: dict[str, Any]) -> tuple[Any, ...]:
    try:
        return _decoded(tuple(kinds), str(_result(answer)))
    except (DecodingError, ValueError) as problem:
        raise ChainUnavailable("a contract did not answer as expected") from problem


@_kept
def _decoded(kinds: tuple[str, ...], data: str) -> tuple[Any, ...]:
    return decode(kinds, bytes.fromhex(data.removeprefix("0x")))


def _result(answer: dict[str, Any]) -> Any:
    if "error" in answer:
        raise ChainUnavailable("the chain node answered with an error")
    return answer["result"]
