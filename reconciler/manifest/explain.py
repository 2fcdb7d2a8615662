"""What the model refuses, in YAML's words and at its place."""

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.core.fleet import SecretRef
from reconciler.core.rules import Ignored, LabelValue
from reconciler.core.section import EvmAddress, Loc, Name
from reconciler.core.value import Value
from reconciler.manifest.assemble import TOP
from reconciler.manifest.draft import Draft
from reconciler.manifest.problems import nearest, quoted, unknown
from reconciler.manifest.protocols import protocol_of
from reconciler.manifest.shape import Model, homes, keys, models_at
from reconciler.manifest.words import sort_of

Fault = Mapping[str, Any]
"""One error of pydantic's."""

_WANTED = {
    "string_type": "text",
    "string_sub_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "decimal_type": "a number",
    "decimal_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dataclass_type": "a mapping",
    "none_required": "nothing",
}
_BOUNDS = {
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "string_too_short": "must be at least {min_length} characters long",
    "string_too_long": "must be at most {max_length} characters long",
    "too_short": "must have at least {min_length} entries, has {actual_length}",
    "too_long": "must have at most {max_length} entries, has {actual_length}",
}


def _pattern(annotated: Any) -> str:
    return next(
        str(part.pattern) for info in annotated.__metadata__ for part in getattr(info, "metadata", ()) if part.pattern
    )


_PATTERNS = {
    _pattern(EvmAddress): ("not an address: `0x` and 40 hex digits are expected", "copy the whole address"),
    _pattern(Name): (
        "not a name: 1 to 63 letters, digits, `.`, `_` or `-`, beginning with a letter or digit",
        "choose another name",
    ),
    _pattern(Ignored): (
        "not a kind and a field",
        "write for example `machine_record.displayName`, or `wallet_funding.*`",
    ),
    _pattern(LabelValue): (
        "not the value of a label: 1 to 255 characters, none of them a comma",
        "choose another value",
    ),
}


class Refusal(Value):
    """A fault at a path of the manifest; `branch` is which member of a union complained, and where that union is."""

    loc: Loc
    fault: Fault
    union: Loc | None = None
    branch: str = ""

    @property
    def sort(self) -> str:
        return str(self.fault["type"])


def explain(faults: Sequence[Fault], model: Model, draft: Draft) -> None:
    """Adds each fault once to the draft's problems."""
    unions: dict[Loc, dict[str, list[Refusal]]] = {}
    refusals = [_refusal(fault, draft.raw) for fault in faults]
    meant = {_meant(refusal, model) for refusal in refusals if refusal.sort == "extra_forbidden"}
    for refusal in refusals:
        if refusal.sort == "missing" and refusal.loc in meant:
            continue
        if refusal.union is None:
            _add(refusal, model, draft)
        else:
            unions.setdefault(refusal.union, {}).setdefault(refusal.branch, []).append(refusal)
    for loc, branches in unions.items():
        _add_union(loc, list(branches.values()), model, draft)


def _refusal(fault: Fault, raw: Any) -> Refusal:
    """Takes the names of union members, which are not in the manifest, out of the path."""
    loc: list[str | int] = []
    union, branch = None, ""
    parts: Sequence[str | int] = fault["loc"]
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        inside = _has(raw, part)
        if inside or (last and fault["type"] == "missing") or part == "[key]":
            loc.append(part)
            raw = raw[part] if inside else None
        elif union is None:
            union, branch = tuple(loc), str(part)
    return Refusal(tuple(loc), fault, union, branch)


def _has(raw: Any, part: str | int) -> bool:
    if isinstance(raw, dict):
        return part in raw
    return isinstance(raw, list) and isinstance(part, int) and part < len(raw)


def _add_union(loc: Loc, branches: list[list[Refusal]], model: Model, draft: Draft) -> None:
    """One complaint for a union: of the member that was meant, or what any of them wants."""
    meant = [branch for branch in branches if not any(r.loc == loc and r.sort in _WANTED for r in branch)]
    if meant:
        for refusal in min(meant, key=len):
            _add(refusal, model, draft)
        return
    wanted = dict.fromkeys(_WANTED[r.sort] for branch in branches for r in branch if r.sort in _WANTED)
    got = sort_of(branches[0][0].fault["input"])
    draft.problems.add(draft.origins.place(loc), f"expected {' or '.join(wanted)}, got {got}", _quote_hint(wanted, got))


def _add(refusal: Refusal, model: Model, draft: Draft) -> None:
    if refusal.sort == "missing":
        _add_missing(refusal, draft)
    elif refusal.sort == "extra_forbidden":
        _add_unknown(refusal, model, draft)
    else:
        key = refusal.loc[-1:] == ("[key]",)
        loc = refusal.loc[:-1] if key else refusal.loc
        secret = any(issubclass(at, SecretRef) for at in models_at(model, loc))
        said = _about_secret(refusal) if secret else _said(refusal, draft)
        draft.problems.add(draft.origins.place(loc, key=key), *said)


def _add_missing(refusal: Refusal, draft: Draft) -> None:
    *above, key = refusal.loc
    hint = f"add `{key}: …` here"
    draft.problems.add(draft.origins.place(tuple(above)), f"missing key `{key}`", hint)


def _known(above: Sequence[str | int], here: Sequence[Model]) -> list[str]:
    """The keys that may be written there."""
    known = [name for at in here for name in keys(at)]
    return known + ([*TOP] if not above else ["preset"] if [*above] == ["network"] else [])


def _meant(refusal: Refusal, model: Model) -> Loc:
    """The path of the key that was probably meant by an unknown one."""
    *above, key = refusal.loc
    meant = nearest(str(key), _known(above, models_at(model, tuple(above))))
    return (*above, meant or "")


def _add_unknown(refusal: Refusal, model: Model, draft: Draft) -> None:
    *above, key = refusal.loc
    here = models_at(model, tuple(above))
    known = _known(above, here)
    message, hint = unknown("key", str(key), known)
    if nearest(str(key), known) is None and (home := [name for at in here for name in homes(at, str(key))]):
        mine = protocol_of(_entry(draft, above), draft.raw)
        hint = f"it belongs under `{mine if mine in home else home[0]}`"
    draft.problems.add(draft.origins.place(refusal.loc, key=True), message, hint)


def _entry(draft: Draft, loc: Sequence[str | int]) -> Mapping[str, Any]:
    """The machine that `loc` leads into, or nothing."""
    machine = draft.raw["machines"][loc[1]] if len(loc) > 1 and loc[0] == "machines" else {}
    return machine if isinstance(machine, dict) else {}


def _about_secret(refusal: Refusal) -> tuple[str, str]:
    if refusal.sort == "value_error":
        return str(refusal.fault["ctx"]["error"]), "write for example `{env: NAME}`"
    got = sort_of(refusal.fault["input"])
    return (
        f"expected a reference to a secret, got {got}",
        "secrets are references, not values: `{env: NAME}` or `{file: PATH}`",
    )


def _said(refusal: Refusal, draft: Draft) -> tuple[str, str]:
    """Message and hint. The value itself is shown only where nobody would put a secret."""
    fault, sort = refusal.fault, refusal.sort
    context, value = fault.get("ctx", {}), fault["input"]
    if sort in _WANTED:
        wanted = _WANTED[sort]
        return f"expected {wanted}, got {_got(sort, value)}", _quote_hint({wanted: None}, sort_of(value))
    if sort in _BOUNDS:
        return _BOUNDS[sort].format(**context), ""
    if sort == "string_pattern_mismatch":
        pattern = str(context["pattern"])
        return _PATTERNS.get(pattern, (f"must match the pattern `{pattern}`", ""))
    if sort in ("literal_error", "enum"):
        return _one_of(str(context["expected"]), value)
    if sort in ("value_error", "assertion_error"):
        return _own_words(str(context["error"]), refusal.loc, value, draft)
    return str(fault["msg"]).replace("Input should be", "must be"), ""


def _got(sort: str, value: object) -> str:
    return "a number with decimals" if sort.startswith("int") and isinstance(value, float) else sort_of(value)


def _one_of(expected: str, value: object) -> tuple[str, str]:
    options = [option.strip("' ") for option in expected.replace(" or ", ", ").split(",")]
    meant = nearest(value, options) if isinstance(value, str) else None
    return f"must be one of {quoted(options)}", f"did you mean `{meant}`?" if meant else ""


def _own_words(error: str, loc: Loc, value: object, draft: Draft) -> tuple[str, str]:
    """The validator's words; its remedy, after a semicolon, becomes the hint."""
    if error.startswith("an amount is a plain number with a unit"):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        written = draft.origins.text(loc) if number else None
        return "an amount is a plain number with a unit", f"write `{written or '0.05'} PEAQ`"
    message, _, hint = error.partition("; ")
    return message, "" if hint.startswith("got ") else hint


def _quote_hint(wanted: Mapping[str, None], got: str) -> str:
    if "text" in wanted and got in ("a number", "true or false"):
        return "put it in quotes"
    if got == "nothing":
        return "remove the key, or write its value"
    return "begin each entry with `- `" if "a list" in wanted else ""
