"""A plan as a person reads it: by machine, one line a resource, what changes below it, cost and sum at the end."""

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from reconciler.cli.render.remarks import NONE, Remarks
from reconciler.core.change import Action, FieldChange
from reconciler.core.effects import Signer
from reconciler.core.funding import TopUp
from reconciler.core.guards import Refusal
from reconciler.core.money import Cost, format_amount
from reconciler.core.plan import Plan, PlannedChange
from reconciler.core.text import one_line

STYLE = {
    Action.CREATE: ("+", "green"),
    Action.UPDATE: ("~", "yellow"),
    Action.REPLACE: ("-/+", "magenta"),
    Action.DELETE: ("-", "red"),
    Action.NO_OP: (" ", "dim"),
    Action.BLOCKED: ("x", "red"),
    Action.PARKED: ("⏸", "cyan"),
    Action.UNMANAGED: ("·", "yellow"),
}
LEGEND = {
    "+": "create",
    "~": "change",
    "-/+": "replace",
    "-": "remove",
    "x": "blocked",
    "⏸": "parked: not now, for want of a key or because it is held back",
    "·": "not in the manifest",
    "?": "unreadable",
    "↻": "new session token",
    "!": "cannot be undone",
    "▲": "gives an agent more authority",
}
LONGEST_VALUE = 60
INDENT = " " * 8
NARROW = 80


def render_plan(plan: Plan, console: Console, *, verbose: bool, remarks: Remarks = NONE) -> None:
    render_changes(plan, console, verbose=verbose, remarks=remarks)
    render_notes(plan, console)
    if costs := plan.costs():
        console.print(_cost_table(costs))
    console.print(Text(summary(plan), style="bold"))


def render_changes(plan: Plan, console: Console, *, verbose: bool, remarks: Remarks = NONE) -> None:
    shown = [change for change in plan.changes if verbose or change.action is not Action.NO_OP]
    for title, changes in _blocks(shown, remarks):
        console.print(Text(title, style="bold"))
        for change in changes:
            for line in _change(change, verbose, remarks):
                console.print(line)
        console.print()
    if used := _legend(shown):
        console.print(Text(used, style="dim"))


def render_refusals(refusals: Iterable[Refusal], console: Console) -> None:
    for refusal in refusals:
        console.print(Text(f"Refused: {refusal.message}", style="red"))
        console.print(Text(f"  → {refusal.hint}"))


def summary(plan: Plan) -> str:
    """The one line that people and CI read."""
    add = plan.count(Action.CREATE) + plan.count(Action.REPLACE)
    change, remove = plan.count(Action.UPDATE), plan.count(Action.DELETE) + plan.count(Action.REPLACE)
    parts = [f"Plan: {add} to add, {change} to change, {remove} to remove"]
    if irreversible := sum(c.irreversible for c in plan.acting):
        parts.append(f"{irreversible} irreversible")
    if widenings := sum(c.widens for c in plan.acting):
        parts.append(f"{widenings} policy widening{'s' if widenings != 1 else ''}")
    if rotations := sum(c.rotates for c in plan.acting):
        parts.append(f"{rotations} token{'s' if rotations != 1 else ''} to rotate")
    for action in (Action.BLOCKED, Action.PARKED):
        if count := plan.count(action):
            parts.append(f"{count} {action}")
    unmanaged = plan.count(Action.UNMANAGED)
    strays = [f"{unmanaged} not in the manifest"] if unmanaged else []
    if not plan.acting and len(parts) == 1:
        as_declared = f"No changes: {len(plan.changes) - unmanaged} resources are as declared"
        return "; ".join([as_declared, *strays, *aside(plan)]) + "."
    parts += strays
    if plan.acting and (total := _total(plan)).total:
        spent = " + ".join(_parts(total))
        parts.append(f"cost ≤ {format_amount(total.total, 4)} ({spent})")
    return "; ".join([*parts, *aside(plan)])


def aside(plan: Plan) -> list[str]:
    """What a summary tells of all that the plan passes over."""
    return [*_ignored(plan), *left_out(plan)]


def left_out(plan: Plan) -> list[str]:
    """How much this plan says nothing of, where it is anything."""
    options = "/".join(sorted(set(plan.left_out.values())))
    return [f"{len(plan.left_out)} left out by {options}"] if options else []


def _ignored(plan: Plan) -> list[str]:
    count = sum(len(change.ignored) for change in plan.changes)
    return [f"{count} difference{'s' if count != 1 else ''} ignored"] if count else []


def _total(plan: Plan) -> Cost:
    # A machine whose wallet is filled spends what its operator sends it, and counting both would count it twice.
    filled = {change.resource.machine for change in plan.acting if isinstance(change.resource.kind, TopUp)}
    costs = plan.costs().items()
    return sum((cost for signer, cost in costs if signer.role != "machine" or signer.name not in filled), Cost())


def _parts(cost: Cost) -> list[str]:
    named = {"bond": cost.bond, "transfers": cost.transfer, "deposit": cost.deposit, "gas": cost.gas}
    return [f"{format_amount(wei, 4).removesuffix(' PEAQ')} {name}" for name, wei in named.items() if wei]


def _blocks(changes: Sequence[PlannedChange], remarks: Remarks) -> list[tuple[str, list[PlannedChange]]]:
    """Changes by the machine (or other name) they are about; machines with the same lines share a block."""
    groups: dict[str, list[PlannedChange]] = {}
    for change in changes:
        groups.setdefault(change.address.name.split("/")[0], []).append(change)
    merged: dict[object, tuple[list[str], list[PlannedChange]]] = {}
    for name, members in groups.items():
        key = tuple((*_signature(change, name), remarks.signature(change)) for change in members)
        merged.setdefault(key, ([], members))[0].append(name)
    return [(_title(names), members) for names, members in merged.values()]


def _signature(change: PlannedChange, name: str) -> tuple[object, ...]:
    alike = change.action is Action.CREATE
    fields = () if alike else tuple((f.field, str(f.before), str(f.after)) for f in change.fields)
    where = change.address.name.removeprefix(name).partition("id:")[0]
    return (change.address.kind, where, change.action, change.reason, fields, len(change.steps))


def _title(names: Sequence[str]) -> str:
    if len(names) <= 3:
        return ", ".join(names)
    return f"{names[0]} … {names[-1]} ({len(names)} alike, each:)"


def _change(change: PlannedChange, verbose: bool, remarks: Remarks) -> list[Text]:
    symbol, style = ("?", "red") if change.unreadable else STYLE[change.action]
    marks = "".join((" !" * change.irreversible, " ↻" * change.rotates, " ▲" * change.widens))
    inner = change.address.name.partition("/")[2]
    label = f"{change.address.kind}{'/' + inner if inner else ''}"
    line = Text.assemble((f"  {symbol:<3} {label:<22}", style), f"  {one_line(_what(change))}", (marks, "bold"))
    line.append(remarks.on_resource(change), "dim")
    return [line, *_details(change, verbose, remarks)]


def _what(change: PlannedChange) -> str:
    if change.action in (Action.BLOCKED, Action.PARKED, Action.NO_OP, Action.UNMANAGED):
        return f"{change.action if change.action is not Action.NO_OP else 'unchanged'}: {change.reason}"
    titles = ", ".join(step.title for step in change.steps)
    return f"{titles or 'comes with the pairing'}{f' ({change.reason})' if change.reason else ''}"


def _details(change: PlannedChange, verbose: bool, remarks: Remarks) -> list[Text]:
    ignored = [Text(f"{INDENT}ignored: {f.field}: {_value(f.before)}", style="dim") for f in change.ignored * verbose]
    return [*_fields(change, verbose, remarks), *ignored]


def _fields(change: PlannedChange, verbose: bool, remarks: Remarks) -> list[Text]:
    shown: Mapping[str, object] = {}
    if change.action in (Action.CREATE, Action.BLOCKED, Action.PARKED):
        shown = {field.field: field.after for field in change.fields} if verbose or remarks.explains(change) else {}
    elif change.action is Action.NO_OP:
        shown = change.resource.kind.declared(change.resource.spec) if remarks.explains(change) else {}
    else:
        return [line for field in change.fields for line in _edited(field, remarks.on_field(change, field.field))]
    lines = [f"{INDENT}{name}: {_value(value)}{remarks.on_field(change, name)}" for name, value in shown.items()]
    return [Text(line, style="dim") for line in lines]


def _edited(field: FieldChange, aside: str) -> list[Text]:
    """On one line where it fits, else with the new value under the old one."""
    forced = " (forces replacement)" * field.replaces + " ▲" * field.widens
    old, new = _apart(field.before, field.after)
    before, after = f"{field.field}: {_value(old)}", f"→ {_value(new)}{forced}{aside}"
    if len(INDENT) + len(before) + len(after) < NARROW:
        return [Text(f"{INDENT}{before} {after}")]
    return [Text(f"{INDENT}{before}"), Text(f"{INDENT}  {after}")]


def _apart(before: object, after: object) -> tuple[object, object]:
    """Of two long texts what differs, with a little of what comes before that."""
    if not (isinstance(before, str) and isinstance(after, str) and min(len(before), len(after)) > LONGEST_VALUE):
        return before, after
    alike = next((n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
    start = max(0, alike - LONGEST_VALUE // 3)
    return (f"…{before[start:]}", f"…{after[start:]}") if start else (before, after)


def _value(value: object) -> str:
    if value is None:
        return "(none)"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 10**12:
        return format_amount(value)
    if isinstance(value, tuple):
        return _value(list(value))
    text = one_line(str(value) if not isinstance(value, str) else (value if value else '""'))
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _legend(changes: Sequence[PlannedChange]) -> str:
    used = {"?" if change.unreadable else STYLE[change.action][0] for change in changes}
    used |= {"!"} if any(change.irreversible for change in changes) else set()
    used |= {"▲"} if any(change.widens for change in changes) else set()
    used |= {"↻"} if any(change.rotates for change in changes) else set()
    return "  ".join(f"{symbol} {meaning}" for symbol, meaning in LEGEND.items() if symbol in used)


def render_notes(plan: Plan, console: Console) -> None:
    for notice in plan.notices:
        console.print(Text(f"Note: {notice}", style="yellow"))
    for change in plan.changes:
        if change.action is Action.NO_OP and ("reported only" in change.reason or "left out" in change.reason):
            console.print(Text(f"Note: {change.address}: {change.reason}", style="yellow"))


def _cost_table(costs: Mapping[Signer, Cost]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("may pay (PEAQ)")
    for name in ("bonds", "transfers", "deposits", "gas at worst", "together"):
        table.add_column(name, justify="right")
    operators = {signer: cost for signer, cost in costs.items() if signer.role == "operator"}
    for signer, cost in operators.items():
        table.add_row(str(signer), *_amounts(cost))
    others = [cost for signer, cost in costs.items() if signer not in operators]
    if others:
        table.add_row(f"{len(others)} machine wallet{'s' if len(others) != 1 else ''}", *_amounts(sum(others, Cost())))
    return table


def _amounts(cost: Cost) -> list[str]:
    amounts = (cost.bond, cost.transfer, cost.deposit, cost.gas, cost.total)
    return [format_amount(wei, 4).removesuffix(" PEAQ") for wei in amounts]
