"""Machine Markets, MCR and Gas Station on loopback, backed by what is on the sandbox chain.

Here belong HTTP rules and state that the real services keep off chain. What belongs on chain (identities,
attributes, balances) is only read, never kept.
"""

from reconciler.sandbox.services.app import build_services

__all__ = ["build_services"]
