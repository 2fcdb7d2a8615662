"""Who may send transactions here, and the delegation that lets Batch, DID and the token act for them."""

from collections.abc import Collection, Sequence
from typing import Any

from reconciler.sandbox.config import DELEGATE, Contracts, ContractsV2
from reconciler.sandbox.rpc import Call, NodeRpc
from reconciler.sandbox.transactions import Signed

DESIGNATOR = "0xef0100" + DELEGATE[2:].lower()
NO_CODE = "0x"
PLAIN_TRANSFER_GAS = 30_000
REMEMBERED = 20_000


class Accounts:
    """Sees every transaction before the node does."""

    def __init__(
        self, node: NodeRpc, *, chain_id: int, contracts: Contracts, v2: ContractsV2, own: Collection[str]
    ) -> None:
        self._node = node
        self._chain_id = chain_id
        self._own = {address.lower() for address in own}
        asking = (contracts.batch, contracts.did, contracts.wpeaq, v2.machine_state_and_sync, v2.machine_subscription)
        self._asks_sender = {address.lower() for address in asking}
        self._delegated: set[str] = set()
        self._accepted: dict[tuple[str, int], Signed] = {}

    async def refusals(self, wanted: Sequence[Signed]) -> list[str]:
        """Why each may not be sent ("" if it may); the senders are delegated where they need it."""
        plain = [signed for signed in wanted if self._is_plain(signed)]
        await self._undelegate({signed.to for signed in plain})
        senders = sorted({signed.sender for signed in wanted})
        questions: list[Call] = [("eth_getBalance", (sender, "latest")) for sender in senders]
        # Each time, since a reorg or rollback of the node forgets it.
        acting = {signed.sender for signed in wanted if signed not in plain}
        answers = await self._node.batch([*questions, *_set_code(acting, DESIGNATOR)])
        self._delegated |= acting
        rich = {sender for sender, balance in zip(senders, answers, strict=False) if int(balance, 16)}
        return [await self._refusal(signed, rich) for signed in wanted]

    def accepted(self, signed: Signed) -> None:
        """The node took it: the same nonce again is a replacement."""
        self._accepted[signed.sender, signed.nonce] = signed
        while len(self._accepted) > REMEMBERED:
            del self._accepted[next(iter(self._accepted))]

    async def delegate_again(self) -> None:
        """After a reorg."""
        await self._node.batch(_set_code(self._delegated, DESIGNATOR))

    def overrides(self, transaction: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """State overrides under which a simulated call sees accounts as a sent one would."""
        sender, to = str(transaction.get("from", "")).lower(), str(transaction.get("to", "")).lower()
        found: dict[str, Any] = {}
        if to in self._delegated:
            found[to] = {"code": NO_CODE}
        if sender and to in self._asks_sender and sender not in self._asks_sender:
            found[sender] = {"code": DESIGNATOR}
        for address, override in given.items():
            ours = found.get(address.lower(), {})
            found[address.lower()] = {**ours, **override} if isinstance(override, dict) else override
        return found

    async def _refusal(self, signed: Signed, rich: set[str]) -> str:
        if signed.chain_id is None:
            return "only replay-protected (EIP-155) transactions allowed over RPC"
        if signed.chain_id != self._chain_id:
            return f"invalid chain id for signer: have {signed.chain_id} want {self._chain_id}"
        if signed.sender not in rich and signed.sender not in self._own:
            return f"this sandbox does not know the signer {signed.sender}: it holds no coins here"
        before = self._accepted.get((signed.sender, signed.nonce))
        if before and _underpaid(signed, before) and await self._pending(before.hash):
            return "replacement transaction underpriced"
        return ""

    async def _pending(self, tx_hash: str) -> bool:
        known = await self._node.call("eth_getTransactionByHash", tx_hash)
        return known is not None and known.get("blockNumber") is None

    def _is_plain(self, signed: Signed) -> bool:
        return signed.gas <= PLAIN_TRANSFER_GAS and signed.to not in self._asks_sender

    async def _undelegate(self, receivers: Collection[str]) -> None:
        """A transfer with 21,000 gas must do, as to any account without code, unless the receiver is sending too."""
        delegated = sorted(self._delegated.intersection(receivers))
        tags = [(receiver, tag) for receiver in delegated for tag in ("latest", "pending")]
        nonces = await self._node.batch([("eth_getTransactionCount", question) for question in tags])
        idle = [who for n, who in enumerate(delegated) if nonces[2 * n] == nonces[2 * n + 1]]
        await self._node.batch(_set_code(idle, NO_CODE))
        self._delegated.difference_update(idle)


def _set_code(accounts: Collection[str], code: str) -> list[Call]:
    return [("anvil_setCode", (account, code)) for account in sorted(accounts)]


def _underpaid(signed: Signed, before: Signed) -> bool:
    """Real nodes want about a tenth more, in both fees."""
    if signed.hash == before.hash:
        return False
    return signed.max_fee * 10 < before.max_fee * 11 or signed.tip * 10 < before.tip * 11
