"""The contracts of both protocols on the dev node: put there at `up`, and what an administrator may change later."""

import asyncio
from typing import Any

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from reconciler.sandbox.accounts import DESIGNATOR, NO_CODE
from reconciler.sandbox.config import AGUNG_V2, DELEGATE, Contracts, ContractsV2
from reconciler.sandbox.contracts import artifact
from reconciler.sandbox.errors import SandboxError
from reconciler.sandbox.rpc import NodeError, NodeRpc

ADMIN_GAS = 3_000_000
SET_UP_GAS = 10_000_000
FINALITY = 3
"""Blocks after which what was set up is finalized."""
RECEIPT_POLLS = 500
RECEIPT_POLL_SECONDS = 0.01


Calls = list[tuple[str, str]]
"""(address, call data)"""

USD = 10**18
DAY = 24 * 3600
PERIOD, GRACE, RUNOFF = 365 * DAY, 30 * DAY, 90 * DAY  # the latter two are guesses
PEAQ_PRICE = USD // 25
TIER_PRICES = (USD // 50, USD // 5, 2 * USD)  # the first is peaq's: half a PEAQ
PEAQ_HOME = 1


def places(at: Contracts, v2: ContractsV2) -> list[tuple[str, str]]:
    """(contract's name, address)"""
    return [*_places_v1(at).items(), *_places_v2(v2)]


def _places_v2(v2: ContractsV2) -> list[tuple[str, str]]:
    pinned = [("EventRegistry", v2.event_registry)] if v2.event_registry else []
    return [
        ("InfoDesk", v2.info_desk),
        ("MachineRegistry", v2.machine_registry),
        ("MachineStateAndSync", v2.machine_state_and_sync),
        ("MachineSubscription", v2.machine_subscription),
        ("CrossChainMirror", v2.cross_chain_mirror),
        ("Placeholder", v2.machine_bridge_adapter),
        ("Placeholder", v2.subscription_token_provision_pool),
        *pinned,
    ]


def _places_v1(at: Contracts) -> dict[str, str]:
    return {
        "IdentityRegistry": at.identity_registry,
        "IdentityStaking": at.identity_staking,
        "EventRegistry": at.event_registry,
        "MachineNFT": at.machine_nft,
        "Did": at.did,
        "Batch": at.batch,
        "Wpeaq": at.wpeaq,
        "Delegate": DELEGATE,
        "Multicall3": at.multicall,
    }


def calldata(signature: str, *arguments: Any) -> str:
    """0x-hex of a call such as calldata("mint(uint256,address)", 1, wallet)."""
    types = signature[signature.index("(") + 1 : -1]
    body = encode(types.split(",") if types else [], arguments)
    return "0x" + (keccak(text=signature)[:4] + body).hex()


class Chain:
    """The node's administrator: owner of the contracts, holder of the coins."""

    def __init__(
        self, node: NodeRpc, at: Contracts, admin: str, *, v2: ContractsV2 = AGUNG_V2, automine: bool = True
    ) -> None:
        self.automine = automine
        self.node = node
        self.at = at
        self.v2 = v2
        self.admin = admin

    async def install(self) -> None:
        """Place and wire all contracts on a fresh chain."""
        await self.node.batch(
            [("anvil_setCode", (address, artifact(name).runtime)) for name, address in places(self.at, self.v2)]
        )
        await self.node.call("anvil_setCode", self.admin, DESIGNATOR)  # only such accounts may use Batch
        await self.send(self.at.batch, _together([*self._wiring(), *self._wiring_v2()]), gas=SET_UP_GAS)
        await self.node.batch([("anvil_setCode", (self.admin, NO_CODE)), ("anvil_mine", (hex(FINALITY),))])

    async def fund(self, address: str, wei: int) -> None:
        """Transfer coins from the faucet."""
        await self.send(address, "0x", wei)

    async def send(self, to: str, data: str, wei: int = 0, gas: int = ADMIN_GAS) -> None:
        """An administrator's transaction, mined before this returns."""
        transaction = {"from": self.admin, "to": to, "data": data, "value": hex(wei), "gas": hex(gas)}
        try:
            tx_hash = await self.node.call("eth_sendTransaction", transaction)
        except NodeError as error:
            raise SandboxError(f"the chain refused an administrator's call: {error}") from error
        if not self.automine:  # do not wait for the next block
            await self.node.call("evm_mine")
        if (await self._receipt(tx_hash))["status"] != "0x1":
            raise SandboxError("an administrator's call failed on the chain")

    async def _receipt(self, tx_hash: str) -> dict[str, Any]:
        for _ in range(RECEIPT_POLLS):  # it may be missing for a moment after the block
            receipt: dict[str, Any] | None = await self.node.call("eth_getTransactionReceipt", tx_hash)
            if receipt is not None:
                return receipt
            await asyncio.sleep(RECEIPT_POLL_SECONDS)
        raise SandboxError("an administrator's call was not mined")

    def _wiring(self) -> Calls:
        at, admin = self.at, self.admin
        registry, staking = at.identity_registry, at.identity_staking
        three = "initialize(address,address,address)"
        return [
            (registry, calldata("initialize(address)", admin)),
            (staking, calldata("initialize(address,address)", at.wpeaq, admin)),
            (at.machine_nft, calldata(three, registry, staking, admin)),
            (at.event_registry, calldata(three, registry, staking, admin)),
            (at.did, calldata("initialize(address)", admin)),
            (registry, calldata("setIdentityStaking(address)", staking)),
            (registry, calldata("setWPEAQ(address)", at.wpeaq)),
            (registry, calldata("setDIDPrecompile(address)", at.did)),
            (staking, calldata("authorize(address)", registry)),
        ]

    def _wiring_v2(self) -> Calls:
        desk, v2 = self.v2.info_desk, self.v2
        wired = (v2.machine_registry, v2.machine_state_and_sync, v2.machine_subscription, v2.cross_chain_mirror)
        terms = [
            calldata("initialize(address)", self.admin),
            calldata("setPeaqToken(address)", self.at.wpeaq),
            calldata("setLocalChainId(uint16)", PEAQ_HOME),
            calldata("setSubscriptionPeriodLength(uint64)", PERIOD),
            calldata("setGraceDuration(uint64)", GRACE),
            calldata("setRunoffDuration(uint64)", RUNOFF),
            calldata("setPeaqPriceUsd(uint256)", PEAQ_PRICE),
            *(calldata("setTierPriceUsd(uint8,uint256)", tier, usd) for tier, usd in enumerate(TIER_PRICES)),
            *(calldata("setPeer(bytes32,address)", keccak(text=key), to) for key, to in _peers(v2).items()),
        ]
        own = calldata("initialize(address,address)", desk, self.admin)
        return [*((desk, data) for data in terms), *((contract, own) for contract in wired)]


def _peers(v2: ContractsV2) -> dict[str, str]:
    return {
        "MACHINE_REGISTRY": v2.machine_registry,
        "MACHINE_SUBSCRIPTION": v2.machine_subscription,
        "MACHINE_STATE_AND_SYNC": v2.machine_state_and_sync,
        "CROSS_CHAIN_MIRROR": v2.cross_chain_mirror,
        "MACHINE_BRIDGE_ADAPTER": v2.machine_bridge_adapter,
        "SUBSCRIPTION_TOKEN_PROVISION_POOL": v2.subscription_token_provision_pool,
    }


def _together(calls: Calls) -> str:
    to, data = zip(*calls, strict=True)
    content = [bytes.fromhex(item[2:]) for item in data]
    return calldata("batchAll(address[],uint256[],bytes[],uint64[])", to, [], content, [])
