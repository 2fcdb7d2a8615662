"""What Machine Markets offers, held against names in a manifest. Only ever advice: the catalogue may change."""

from collections.abc import Sequence
from difflib import get_close_matches

from reconciler.core.errors import Rejected, Unreachable
from reconciler.core.fleet import Mistake
from reconciler.core.ports import Reader
from reconciler.core.section import Loc
from reconciler.core.value import Value


class Catalogue(Value):
    """A list of Machine Markets whose items are called by `field`; `what` is the word for one of them."""

    what: str
    path: tuple[str, ...]
    field: str

    async def advise(self, named: Sequence[tuple[Loc, str]], read: Reader) -> list[Mistake]:
        """Names that are not offered, by where they stand. Asks nothing where there are none."""
        try:
            offered = {str(item.get(self.field)) for item in await read.items(*self.path)} if named else set()
        except (Unreachable, Rejected):
            return []
        return [self._unknown(loc, name, offered) for loc, name in named if offered and name not in offered]

    def _unknown(self, loc: Loc, name: str, offered: set[str]) -> Mistake:
        near = get_close_matches(name, sorted(offered), n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"it has no effect unless such a {self.what} is offered"
        return Mistake(loc=loc, message=f"Machine Markets offers no {self.what} `{name}`", hint=hint)


SKILLS = Catalogue("skill", ("skills",), "key")
SERVICES = Catalogue("service", ("market", "services"), "id")
