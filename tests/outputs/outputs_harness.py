"""Plan data as `plan --output json` gives it, made up: of many machines, or out of hostile text."""

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from reconciler.cli.render.blocks import Heading
from reconciler.core.change import Action

Data = dict[str, Any]
GOLDEN = Path(__file__).parent / "golden"
PLAN, DRIFT, APPLY = (Heading(command, "berlin-air") for command in ("plan", "drift", "apply"))


def field(name: str, before: object, after: object, **more: object) -> Data:
    return {"field": name, "before": before, "after": after, "note": "", "replaces": False, "widens": False, **more}


def change(address: str, action: Action, *fields: Data, **more: object) -> Data:
    base: Data = {
        "address": address,
        "action": str(action),
        "reason": "",
        "fields": list(fields),
        "steps": [f"{action} it"] if action.acts else [],
        "irreversible": False,
        "rotates": False,
        "widens": False,
        "unreadable": False,
    }
    return base | more


def plan(*changes: Data, **more: object) -> Data:
    """As plan_data would say it, with sums of its changes."""
    summary = {str(action): sum(c["action"] == action for c in changes) for action in Action}
    base: Data = {
        "formatVersion": "1.0",
        "fleet": "berlin-air",
        "network": {"name": "sandbox", "chainId": "31338", "block": "12"},
        "manifestDigest": "aa",
        "digest": "bb",
        "headline": f"Plan: {summary['create']} to add, {summary['update']} to change, {summary['delete']} to remove",
        "summary": summary,
        "changes": list(changes),
        "cost": {},
        "notices": [],
        "refusals": [],
    }
    return base | more


def cost(bond: int = 0, transfer: int = 0, deposit: int = 0, gas: int = 0) -> Data:
    parts = {"bond": bond, "transfer": transfer, "deposit": deposit, "gas": gas}
    return {name: str(wei) for name, wei in {**parts, "total": sum(parts.values())}.items()}


def small() -> Data:
    """A bit of everything."""
    return plan(
        change("machine_identity/air-002", Action.CREATE, field("address", None, "0x1"), irreversible=True),
        change("machine_identity/air-003", Action.CREATE, field("address", None, "0x2"), irreversible=True),
        change("machine_record/air-001", Action.UPDATE, field("displayName", "a|b", "`c`", moved="world")),
        change("agent_pairing/air-001/ops", Action.DELETE, reason="no longer declared"),
        change("machine_did/air-004", Action.PARKED, reason="the key of machine/air-004 is not at hand"),
        change("machine_nft/air-005", Action.NO_OP),
        cost={"operator/default": cost(bond=2 * 10**18, gas=10**17), "machine/air-001": cost(gas=10**15)},
        notices=["labels that peaq's SDK <rewrites>"],
        refusals=[{"code": "guard.max_spend", "message": "the plan may cost 2.1 PEAQ", "hint": "ask @alice"}],
    )  # fmt: skip


def thousand() -> Data:
    """1,000 machines, each with something of its own to change, and a new NFT each."""
    changes = []
    for number in range(1000):
        name = f"air-{number:04}"
        renamed = field("displayName", f"old name of {name}", f"new name of {name}", source="defaults.market")
        changes.append(change(f"machine_record/{name}", Action.UPDATE, renamed, moved="manifest"))
        changes.append(change(f"machine_nft/{name}", Action.CREATE, irreversible=True))
    wallets = {f"machine/air-{number:04}": cost(gas=10**15) for number in range(1000)}
    return plan(*changes, cost={"operator/default": cost(bond=10**21, gas=10**18), **wallets})


NASTY = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=()), max_size=40),
    st.sampled_from(
        [
            "@octocat", "#123", "GH-7", "org/repo#1", "</details>", "<script>alert(1)</script>", "<!-- x -->", "-->",
            "```", "`" * 400, "~~~\n# heading", "| a | b |", "[x](javascript:alert(1))", "![x](http://evil/x.png)",
            "https://evil.example", "www.evil.example", "a@evil.example", "*b* _i_ ~s~", "\u202egnp.exe", "\x1b[31m",
            "\ud800", "\ufffe", "x" * 5000, "&lt;b&gt;", "\\`", "$x$", "\n\n## hello", "<", "&", "\"'", "]]>", "",
        ]
    ),
)  # fmt: skip
"""Text of somebody who wishes us no good, including what is no text at all."""
VALUES = st.one_of(NASTY, st.none(), st.integers(), st.booleans(), st.lists(NASTY, max_size=3))
FIELDS = st.builds(field, NASTY, VALUES, VALUES, source=NASTY, moved=st.sampled_from(["world", "both", "unknown", "x"]))
CHANGES = st.builds(
    lambda kind, name, action, fields, reason, steps, marks: change(
        f"{kind}/{name}", action, *fields, reason=reason, steps=steps, **marks
    ),
    NASTY,
    NASTY,
    st.sampled_from(Action),
    st.lists(FIELDS, max_size=3),
    NASTY,
    st.lists(NASTY, max_size=2),
    st.fixed_dictionaries({name: st.booleans() for name in ("irreversible", "rotates", "widens", "unreadable")}),
)
REFUSALS = st.fixed_dictionaries({"code": NASTY, "message": NASTY, "hint": NASTY})
OUTCOMES = st.fixed_dictionaries(
    {
        "address": NASTY,
        "action": st.just("create"),
        "outcome": st.sampled_from(["done", "failed", "skipped", "parked", "unknown"]),
        "reason": NASTY,
        "hint": NASTY,
    }
)
RESULTS = st.fixed_dictionaries(
    {
        "headline": NASTY,
        "outcomes": st.lists(OUTCOMES, max_size=15),
        "transactions": st.just(1),
        "writes": st.just(1),
        "unsettled": st.lists(NASTY, max_size=2),
    }
)
ERRORS = st.fixed_dictionaries({"code": NASTY, "message": NASTY, "where": NASTY, "hint": NASTY})


@st.composite
def hostile(draw: st.DrawFn) -> Data:
    """An answer of any kind whose every text is somebody else's."""
    if draw(st.integers(0, 9)) == 0:
        return {"formatVersion": "1.0", "error": draw(ERRORS), "exitCode": 3}
    times = draw(st.sampled_from([1, 1, 1, 60]))
    changes = [
        {**each, "address": f"{each['address']}{number}"}
        for number in range(times)
        for each in draw(st.lists(CHANGES, max_size=8))
    ]
    more = {
        "headline": draw(NASTY),
        "fleet": draw(NASTY),
        "notices": draw(st.lists(NASTY, max_size=15)),
        "refusals": draw(st.lists(REFUSALS, max_size=12)),
        "cost": {f"operator/{draw(NASTY)}": cost(gas=10**18) for _ in range(draw(st.integers(0, 12)))},
    }
    result = draw(st.one_of(st.just({}), RESULTS))
    return plan(*changes, **more) | ({"result": result} if result else {})


def headings() -> st.SearchStrategy[Heading]:
    return st.builds(Heading, st.sampled_from(["plan", "drift", "apply"]), NASTY, NASTY)
