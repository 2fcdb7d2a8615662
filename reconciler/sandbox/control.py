"""What a test may do to the chain: a table of operations."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from eth_abi.exceptions import EncodingError

from reconciler.sandbox.accounts import Accounts
from reconciler.sandbox.chain import Chain, calldata
from reconciler.sandbox.control_v2 import SWITCHES
from reconciler.sandbox.errors import SandboxError
from reconciler.sandbox.rpc import NodeError

MAX_BLOCKS = 100_000


class Control:
    """Administers one chain. Amounts are wei, as numbers or decimal text."""

    def __init__(self, chain: Chain, accounts: Accounts, first_block: int) -> None:
        self._chain = chain
        self._accounts = accounts
        self._first_block = first_block
        self._operations: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "mine": self._mine,
            "reorg": self._reorg,
            "increaseTime": self._increase_time,
            "setBalance": self._set_balance,
            "dropTransaction": self._drop,
            "setMinBond": self._set_min_bond,
            "setDidMode": self._set_did_mode,
            "setDidDeposit": self._set_did_deposit,
            "pause": lambda wanted: self._switch("pause()", wanted),
            "unpause": lambda wanted: self._switch("unpause()", wanted),
            "verifyMachine": lambda wanted: self._judge("verifyMachine(uint256)", wanted),
            "rejectMachine": lambda wanted: self._judge("rejectMachine(uint256)", wanted),
            **{name: partial(switch.turn, chain) for name, switch in SWITCHES.items()},
        }

    async def run(self, wanted: Any) -> dict[str, Any]:
        """Do {"op": …, …} and say where the head is then; SandboxError if it cannot be done."""
        operation = self._operations.get(wanted.get("op", "")) if isinstance(wanted, dict) else None
        if operation is None:
            raise SandboxError(f"say which op: {', '.join(self._operations)}")
        try:
            await operation(wanted)
        except NodeError as error:
            raise SandboxError(f"the node refused: {error}") from error
        except (KeyError, ValueError, TypeError, EncodingError) as error:
            raise SandboxError(f"{wanted['op']} cannot be done with these arguments: {error!r}") from error
        return {"op": wanted["op"], "blockNumber": await self._head()}

    async def _head(self) -> int:
        return int(await self._chain.node.call("eth_blockNumber"), 16)

    async def _mine(self, wanted: dict[str, Any]) -> None:
        blocks = int(wanted.get("blocks", 1))
        if not 0 < blocks <= MAX_BLOCKS:
            raise ValueError("blocks")
        await self._chain.node.call("anvil_mine", hex(blocks))

    async def _reorg(self, wanted: dict[str, Any]) -> None:
        """Replace the last `depth` blocks by empty ones; their transactions are gone."""
        depth = int(wanted["depth"])
        if not 0 < depth <= await self._head() - self._first_block:
            raise SandboxError("a reorg may not reach below the blocks that set the sandbox up")
        await self._chain.node.call("anvil_reorg", depth, [])
        await self._accounts.delegate_again()

    async def _increase_time(self, wanted: dict[str, Any]) -> None:
        await self._chain.node.call("evm_increaseTime", int(wanted["seconds"]))
        await self._chain.node.call("evm_mine")

    async def _set_balance(self, wanted: dict[str, Any]) -> None:
        await self._chain.node.call("anvil_setBalance", wanted["address"], hex(int(wanted["wei"])))
        await self._chain.node.call("evm_mine")  # so that it is part of a block

    async def _drop(self, wanted: dict[str, Any]) -> None:
        await self._chain.node.call("anvil_dropTransaction", wanted["hash"])

    async def _set_min_bond(self, wanted: dict[str, Any]) -> None:
        data = calldata("setMinBond(uint256)", int(wanted["wei"]))
        await self._chain.send(self._chain.at.identity_registry, data)

    async def _set_did_mode(self, wanted: dict[str, Any]) -> None:
        is_open = {"strict": False, "open": True}[wanted["mode"]]
        await self._chain.send(self._chain.at.did, calldata("setOpenAdd(bool)", is_open))

    async def _set_did_deposit(self, wanted: dict[str, Any]) -> None:
        await self._chain.send(self._chain.at.did, calldata("setDeposit(uint256)", int(wanted["wei"])))

    async def _switch(self, signature: str, wanted: dict[str, Any]) -> None:
        at = self._chain.at
        contract = {"staking": at.identity_staking, "nft": at.machine_nft}[wanted["contract"]]
        await self._chain.send(contract, calldata(signature))

    async def _judge(self, signature: str, wanted: dict[str, Any]) -> None:
        data = calldata(signature, int(wanted["machineId"]))
        await self._chain.send(self._chain.at.identity_registry, data)
