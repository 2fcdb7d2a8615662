"""What runs a plan: observing, lanes of transactions, requests, verification, the journal's discipline and recovery.

Async, and speaks only to the ports of `core`. No protocol, no kind, no third-party I/O may be named here.
"""
