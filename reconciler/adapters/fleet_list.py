"""The machines of an operator as the MCR API lists them: those of v1 that it published, those of v2 that it has."""

from collections.abc import AsyncIterator

from reconciler.adapters.http_api import HttpApi
from reconciler.core.errors import Unreachable
from reconciler.core.ports import Json

PAGE = 20
"""Machines of one page (machine-markets-api §7.4)."""


async def listed(mcr: HttpApi, operator: str, most: int) -> AsyncIterator[Json]:
    """The entries, of the first `most` ids. Unreachable or Rejected where there is no clear answer."""
    offset, total = 0, 1
    while offset < min(total, most):
        page = await mcr.get(("operator", f"did:peaq:{operator}", "machines"), offset=offset, limit=PAGE)
        try:
            entries, total = [dict(machine) for machine in page["machines"]], int(page["pagination"]["total"])
        except (KeyError, TypeError, ValueError):
            raise Unreachable("the MCR API answered a list of machines of another shape") from None
        for entry in entries:
            yield entry
        # A page may be shorter than asked for: ids that are not registered are dropped from it.
        offset += PAGE
