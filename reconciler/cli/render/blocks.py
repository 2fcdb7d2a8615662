"""Plan data as documents show it: changes by action and by machines alike, in words, from JSON data alone."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from reconciler.core.change import Action
from reconciler.core.money import Cost, format_amount
from reconciler.core.text import one_line
from reconciler.core.value import Value

Data = Mapping[str, Any]
"""One object of a JSON answer. Its parts may be missing where an older fleetctl wrote it."""
WORDS = {
    Action.DELETE: "remove",
    Action.REPLACE: "replace",
    Action.BLOCKED: "blocked",
    Action.UPDATE: "change",
    Action.CREATE: "create",
    Action.PARKED: "parked",
    Action.UNMANAGED: "not in the manifest",
}
"""In the order in which a reviewer should look at them. What is already as declared is only counted."""
MARKS = {
    "unreadable": "unreadable",
    "irreversible": "cannot be undone",
    "rotates": "new session token",
    "widens": "more authority for an agent",
}
MOVERS = {"manifest": "the manifest", "world": "the world", "both": "the manifest and the world"}
"""Who moved since the last apply. Where nobody knows, nothing is said."""
COSTS = {"bond": "bonds", "transfer": "transfers", "deposit": "deposits", "gas": "gas at worst", "total": "together"}
LONGEST = 300
"""Characters of a value or a reason in a document; the whole is in the JSON answer."""


class Heading(Value):
    """What a document is about: a command, a fleet, and where the whole answer can be found, if anywhere."""

    command: str
    fleet: str
    url: str = ""

    @property
    def title(self) -> str:
        return f"fleetctl {self.command}: {line(self.fleet)}"


class Block(Value):
    """Machines (or other names) to which the same happens, with the changes of the first of them."""

    names: tuple[str, ...]
    changes: tuple[Data, ...]

    @property
    def title(self) -> str:
        if len(self.names) <= 3:
            return ", ".join(line(name) for name in self.names)
        return f"{line(self.names[0])} … {line(self.names[-1])} ({len(self.names):,} alike, each:)"

    @property
    def count(self) -> int:
        """Resources it stands for."""
        return len(self.names) * len(self.changes)


def line(text: object, longest: int = LONGEST) -> str:
    """Text of anybody, on one line, without what steers a display, and not longer than a document can bear."""
    shown = one_line(str(text)).replace("\t", " ")
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def groups(changes: Iterable[Data]) -> dict[Action, list[Block]]:
    """What is to be done, blocked or noteworthy, by action in the order of WORDS."""
    found: dict[Action, dict[str, list[Data]]] = {action: {} for action in WORDS}
    for change in changes:
        if (action := Action(change["action"])) in found:
            found[action].setdefault(_name(change)[0], []).append(change)
    return {action: _alike(members) for action, members in found.items() if members}


def _name(change: Data) -> tuple[str, str]:
    """The machine (or other name) that a change is about, and which part of it."""
    name, _, inner = change["address"].partition("/")[2].partition("/")
    return name, inner


def _alike(members: Mapping[str, Sequence[Data]]) -> list[Block]:
    merged: dict[str, dict[str, Sequence[Data]]] = {}
    for name, changes in members.items():
        key = json.dumps([_signature(change) for change in changes], sort_keys=True)
        merged.setdefault(key, {})[name] = changes
    return [Block(tuple(same), tuple(map(_shared, *same.values()))) for same in merged.values()]


def _signature(change: Data) -> Data:
    """What two changes must share to be told once. Of what is new only the kind counts, not each value."""
    fresh = change["action"] == Action.CREATE
    fields = [] if fresh else [{**field, "source": ""} for field in change.get("fields", ())]
    return {**change, "address": label(change), "fields": fields, "source": ""}


def _shared(first: Data, *others: Data) -> Data:
    """The first of changes that are alike, without the sources that are its own only."""
    if not others or first["action"] == Action.CREATE:
        return first
    rows = zip(*(change.get("fields", ()) for change in (first, *others)), strict=True)
    fields = [row[0] if len({field.get("source") for field in row}) == 1 else {**row[0], "source": ""} for row in rows]
    return {**first, "fields": fields}


def label(change: Data) -> str:
    """`agent_pairing/ops`: the resource, without the machine it is of."""
    kind, inner = change["address"].partition("/")[0], _name(change)[1]
    return line(f"{kind}/{inner}" if inner else kind)


def what(change: Data) -> str:
    """What happens to the resource and why, in words."""
    reason, titles = line(change.get("reason", "")), ", ".join(change.get("steps", ()))
    if not Action(change["action"]).acts:
        return reason
    return line(titles or "comes with the pairing") + (f" ({reason})" if reason else "")


def marks(change: Data) -> list[str]:
    """What a reviewer must not miss, each in words."""
    told = any(field.get("moved") for field in edited(change))
    moved = MOVERS.get("" if told else change.get("moved", ""))
    return [word for name, word in MARKS.items() if change.get(name)] + ([f"moved by {moved}"] if moved else [])


def edited(change: Data) -> list[Data]:
    """The fields that are shown: those that something happens to, and not everything that is new."""
    return list(change.get("fields", ())) if change["action"] in (Action.UPDATE, Action.REPLACE, Action.DELETE) else []


def notes(field: Data) -> str:
    """What is to be known of one field beside its values, in brackets, or nothing."""
    said = ["forces replacement"] * bool(field.get("replaces")) + ["more authority"] * bool(field.get("widens"))
    if moved := MOVERS.get(field.get("moved", "")):
        said.append(f"moved by {moved}")
    if source := field.get("source"):
        said.append(f"from {line(source)}")
    return f" ({'; '.join(said)})" if said else ""


def value(found: object) -> str:
    """A value of plan data; amounts with their unit, and what only an apply will tell as such."""
    if isinstance(found, Mapping) and set(found) == {"address", "field", "expected"}:
        return "(known after apply)"
    if found is None:
        return "(none)"
    if isinstance(found, int) and not isinstance(found, bool) and found >= 10**12:
        return format_amount(found)
    return line((found or '""') if isinstance(found, str) else json.dumps(found, ensure_ascii=False))


def cost_rows(costs: Mapping[str, Data]) -> list[tuple[str, list[str]]]:
    """Who may pay, and the amounts of COSTS in PEAQ: each operator, and all other wallets as one."""
    amounts = {signer: _cost(parts) for signer, parts in costs.items()}
    rows = {signer: cost for signer, cost in amounts.items() if signer.startswith("operator/")}
    if others := [cost for signer, cost in amounts.items() if signer not in rows]:
        rows[f"{len(others):,} machine wallet{'s'[: len(others) > 1]}"] = sum(others, Cost())
    return [(line(signer), [_peaq(getattr(cost, part)) for part in COSTS]) for signer, cost in rows.items()]


def _cost(parts: Data) -> Cost:
    return Cost(**{name: int(parts[name]) for name in ("bond", "transfer", "deposit", "gas")})


def _peaq(wei: int) -> str:
    return format_amount(wei, 4).removesuffix(" PEAQ")


def headlines(data: Data) -> list[str]:
    """The sums in one line each, as the text answer has them: how it ended, what was planned."""
    if "error" in data:
        return [f"Stopped with exit code {data['exitCode']}."]
    return [line(part["headline"]) for part in (data.get("result"), data) if part and part.get("headline")]


def where(data: Data) -> str:
    network = data["network"]
    return line(f"Network {network['name']} (chain {network['chainId']}), read at block {network['block']}.")


def troubles(data: Data) -> dict[str, list[tuple[str, str]]]:
    """What a reader must see before all else, by heading: each with what to do about it."""
    found = {
        "Error": [_error(data["error"])] if "error" in data and not data["error"].get("problems") else [],
        "Invalid": [said for problem in data.get("error", {}).get("problems", ()) for said in _problem(problem)],
        "Refused": [(refusal["message"], refusal["hint"]) for refusal in data.get("refusals", ())],
        "Left": [_outcome(outcome) for outcome in _open(data.get("result", {}))],
        "Unsettled": [(text, "apply again to settle it") for text in data.get("result", {}).get("unsettled", ())],
        "Note": [(text, "") for text in data.get("notices", ())],
    }
    return {name: told for name, told in found.items() if told}


def _error(error: Data) -> tuple[str, str]:
    place = f"{error['where']}: " if error.get("where") else ""
    return f"{place}{error['message']}", error.get("hint", "")


def _problem(problem: Data) -> Iterator[tuple[str, str]]:
    place = f"{problem['file']}:{problem['line']}:{problem['column']}"
    yield f"{place}: {problem['message']}", problem.get("hint", "")
    if "more" in problem:
        yield f"… and {problem['more']:,} more, the last at {problem['last']}", ""


def _open(result: Data) -> list[Data]:
    """Outcomes that are not what was hoped for, causes before what only waits for them."""
    left = [outcome for outcome in result.get("outcomes", ()) if outcome["outcome"] != "done"]
    return sorted(left, key=lambda outcome: outcome["outcome"] in ("parked", "skipped"))


def _outcome(outcome: Data) -> tuple[str, str]:
    return f"{outcome['address']}: {outcome['outcome']}: {outcome['reason']}", outcome.get("hint", "")
