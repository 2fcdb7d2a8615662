"""What there is to be said of protocol v1 where real money moves, in the same words everywhere."""

from reconciler.core.fleet import Fleet

LEGACY = (
    "protocol v1 is peaq's legacy protocol: live networks run v2 since 2026-09-01, and machines registered "
    "under v1 stay there"
)


def legacy(fleet: Fleet) -> str:
    """It is said of this fleet, or "" is."""
    return LEGACY if fleet.network.live and "v1" in fleet.protocols else ""
