"""What is offered for gas: within a limit, and in place of what was not mined."""

from reconciler.core.ports import Fees, Sent

SHARE = 8
"""Nodes want a tenth more, and of both fees, to take another transaction with the same nonce: an eighth is offered."""


def capped(fees: Fees, most: int) -> Fees:
    """`fees`, or as much of both as `most` wei for a unit of gas allow."""
    return fees if fees.max_fee <= most else Fees(most, None if fees.tip is None else min(fees.tip, most))


def outbid(old: Sent, now: Fees) -> Fees:
    """Fees that a node takes instead of those of `old`, and that are enough now."""
    fee = max(_more(old.max_fee), now.max_fee)
    if now.tip is None:
        return Fees(fee, None)
    # All that a transaction without a tip pays counts as one.
    return Fees(fee, max(_more(old.max_fee if old.tip is None else old.tip), min(fee, now.tip)))


def _more(wei: int) -> int:
    return wei + wei // SHARE + 1
