"""Faults of a real RPC endpoint, as data: rules tried in order against each request."""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from reconciler.sandbox.shapes import SHAPES, Shape

Action = Literal[
    "rateLimit", "status", "delay", "dropBefore", "dropAfter",  # of the HTTP request
    "error", "null", "stale", "unknownBlock",  # of one call in it
]  # fmt: skip
WHOLE_REQUEST: frozenset[Action] = frozenset({"rateLimit", "status", "delay", "dropBefore", "dropAfter"})


class BadRule(Exception):
    """Not a rule."""


class Rule(BaseModel):
    """One fault. `method` is a glob; `count` is how often it strikes, None for ever."""

    model_config = ConfigDict(extra="forbid", strict=True)

    action: Action
    method: str = "*"
    count: int | None = 1
    each: bool = False
    """Count for each distinct first parameter apart: `null` for 3 polls of every receipt."""
    retryAfter: float = 1.0  # seconds
    status: int = Field(502, ge=200, le=599)
    ms: int = Field(0, ge=0)
    code: int = -32603
    message: str = "injected fault"
    data: str | None = None
    blocks: int = Field(1, ge=1)
    _struck: dict[str, int] = PrivateAttr(default_factory=dict)

    @property
    def struck(self) -> dict[str, int]:
        """How often it has hit, by first parameter where it counts them apart."""
        return self._struck

    def strike(self, call: dict[str, Any]) -> bool:
        """Whether it hits this call, and count it."""
        if not fnmatchcase(str(call.get("method")), self.method):
            return False
        params = call.get("params") or [""]
        key = str(params[0]) if self.each and isinstance(params, list) else ""
        if self.count is not None and self._struck.get(key, 0) >= self.count:
            return False
        self._struck[key] = self._struck.get(key, 0) + 1
        return True


@dataclass
class Faults:
    """What the front does wrong at the moment."""

    shape: Shape = "frontier"
    rules: list[Rule] = field(default_factory=list)

    def add(self, body: Any) -> None:
        """Take a rule, a list of rules, or {"errorShape": …, "rules": […]}. All or nothing."""
        if isinstance(body, dict) and "action" not in body:
            shape, entries = body.get("errorShape", self.shape), body.get("rules", [])
            if shape not in SHAPES or set(body) - {"errorShape", "rules"}:
                raise BadRule(f"say errorShape ({' or '.join(SHAPES)}) and rules")
        else:
            shape, entries = self.shape, body if isinstance(body, list) else [body]
        if not isinstance(entries, list):
            raise BadRule("rules is a list")
        rules = [_rule(entry) for entry in entries]
        self.shape = shape
        self.rules += rules

    def reset(self) -> None:
        """Behave again."""
        self.shape, self.rules = "frontier", []

    def show(self) -> dict[str, Any]:
        """The present faults."""
        return {
            "errorShape": self.shape,
            "rules": [{**rule.model_dump(), "struck": rule.struck} for rule in self.rules],
        }

    def of_request(self, calls: list[dict[str, Any]]) -> list[Rule]:
        """The rules that hit the request as a whole: delays, and the first of any other action."""
        found: list[Rule] = []
        for rule in self.rules:
            if rule.action in WHOLE_REQUEST and any(rule.strike(call) for call in calls):
                found.append(rule)
                if rule.action != "delay":
                    break
        return found

    def of_call(self, call: dict[str, Any], *, pinned: bool) -> Rule | None:
        """The first rule that hits this one call. `pinned`: it names a block by number."""
        for rule in self.rules:
            if rule.action in WHOLE_REQUEST or (rule.action == "unknownBlock" and not pinned):
                continue
            if rule.strike(call):
                return rule
        return None


def _rule(entry: Any) -> Rule:
    try:
        return Rule.model_validate(entry)
    except ValidationError as error:
        raise BadRule(str(error)) from error
