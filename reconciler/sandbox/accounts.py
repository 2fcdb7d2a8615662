"""Who may send transactions here, and the delegation that lets Batch and DID act for them."""

from collections.abc import Collection, Sequence
from typing import Any

from reconciler.sandbox.config import DELEGATE, Contracts
from reconciler.sandbox.rpc import NodeRpc
from reconciler.sandbox.transactions import Signed

DESIGNATOR = "0xef0100" + DELEGATE[2:].lower()
NO_CODE = "0x"
PLAIN_TRANSFER_GAS = 30_000
REMEMBERED = 20_000


class Accounts:
    """Sees every transaction before the node does."""

    def __init__(self, node: NodeRpc, *, chain_id: int, contracts: Contracts, own: Collection[str]) -> None:
        self._node = node
        self._chain_id = chain_id
        self._own = {address.lower() for address in own}
        self._asks_sender = {contracts.batch.lower(), contracts.did.lower()}
        self._delegated: set[str] = set()
        self._accepted: dict[tuple[str, int], Signed] = {}

    async def refusals(self, wanted: Sequence[Signed]) -> list[str]:
        """Why each may not be sent ("" if it may); whoever may is delegated when this returns."""
        senders = sorted({signed.sender for signed in wanted})
        balances = await self._node.batch([("eth_getBalance", (sender, "latest")) for sender in senders])
        rich = {sender for sender, balance in zip(senders, balances, strict=True) if int(balance, 16)}
        found = [await self._refusal(signed, rich) for signed in wanted]
        admitted = [signed for signed, why in zip(wanted, found, strict=True) if not why]
        await self._undelegate([signed for signed in admitted if signed.gas <= PLAIN_TRANSFER_GAS])
        # Each time, since a reorg or rollback of the node forgets it.
        await self._delegate({signed.sender for signed in admitted})
        return found

    def accepted(self, signed: Signed) -> None:
        """The node took it: the same nonce again is a replacement."""
        self._accepted[signed.sender, signed.nonce] = signed
        while len(self._accepted) > REMEMBERED:
            del self._accepted[next(iter(self._accepted))]

    async def delegate_again(self) -> None:
        """After a reorg."""
        await self._delegate(self._delegated)

    def overrides(self, transaction: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """State overrides under which a simulated call sees accounts as a sent one would."""
        sender, to = str(transaction.get("from", "")).lower(), str(transaction.get("to", "")).lower()
        found: dict[str, Any] = {}
        if to in self._delegated:
            found[to] = {"code": NO_CODE}
        if sender and to in self._asks_sender and sender not in self._asks_sender:
            found[sender] = {"code": DESIGNATOR}
        for address, override in given.items():
            found[address.lower()] = {**found.get(address.lower(), {}), **override}
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

    async def _delegate(self, senders: Collection[str]) -> None:
        await self._node.batch([("anvil_setCode", (sender, DESIGNATOR)) for sender in sorted(senders)])
        self._delegated.update(senders)

    async def _undelegate(self, transfers: Sequence[Signed]) -> None:
        """A transfer with 21,000 gas must do, as to any account without code, unless the receiver sends too."""
        receivers = sorted({signed.to for signed in transfers} & self._delegated)
        tags = [(receiver, tag) for receiver in receivers for tag in ("latest", "pending")]
        nonces = await self._node.batch([("eth_getTransactionCount", question) for question in tags])
        idle = [who for n, who in enumerate(receivers) if nonces[2 * n] == nonces[2 * n + 1]]
        await self._node.batch([("anvil_setCode", (receiver, NO_CODE)) for receiver in idle])
        self._delegated.difference_update(idle)


def _underpaid(signed: Signed, before: Signed) -> bool:
    """Real nodes want about a tenth more, in both fees."""
    if signed.hash == before.hash:
        return False
    return signed.max_fee * 10 < before.max_fee * 11 or signed.tip * 10 < before.tip * 11
