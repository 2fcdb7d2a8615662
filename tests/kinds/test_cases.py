"""Every kind against every sort of world: a fleet and a world in, a plan out, as data in cases/<kind>/<case>.yaml."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest
from kinds_harness import HERE, KINDS, play, shown, yaml

from reconciler.core.kind import Strength

FILES = {f"{path.parent.name}/{path.stem}": path for path in sorted(HERE.glob("cases/*/*.yaml"))}
CASES: Mapping[str, Mapping[str, Any]] = {name: yaml(path.read_text()) for name, path in FILES.items()}
SORTS = ("absent", "equal", "differs", "unreadable", "blocked")
IMPOSSIBLE = {
    ("registry", "absent"): "the contracts answer, or they are unreadable",
    ("registry", "differs"): "its terms are read, never declared",
    ("operator_identity", "differs"): "a registration has no fields",
    ("machine_nft", "differs"): "an NFT may be moved, so its holder is reported only",
    ("wallet_funding", "absent"): "every account has a balance",
    ("machine_funding", "absent"): "every account has a balance",
    ("dues", "absent"): "what is owed is at least nothing",
    ("dues", "differs"): "what is owed is read, never declared",
    ("predecessor", "absent"): "who was never registered cannot be followed, and that is said",
    ("predecessor", "differs"): "it is read, never changed",
    ("allowance", "blocked"): "where nothing can be paid, nothing has to be allowed",
    ("allowance", "absent"): "every account allows at least nothing",
    ("controller", "absent"): "it comes with the activation",
    ("verification_methods", "absent"): "they come with the activation",
    ("service_endpoints", "absent"): "they come with the activation",
    ("operation", "absent"): "it comes with the activation",
    ("ownership", "absent"): "it comes with the activation",
}
ACTING = ("create", "update", "replace", "delete")


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    case = CASES[name]
    expect, played = case["expect"], play(case)
    change = played.change(case["resource"])
    observation = played.observations[change.address]
    assert type(observation).__name__.lower() == expect["observation"]
    assert change.action == expect["action"], change.reason
    assert change.unreadable == (expect["observation"] == "unreadable")
    assert expect.get("reason", "") in change.reason
    assert [field.field for field in change.fields] == expect.get("fields", [])
    assert [shown(step) for step in change.steps] == expect.get("steps", [])
    actions = {str(each.address): each.action.value for each in played.plan.changes}
    assert {**actions, **expect.get("others", {})} == actions
    if missing := expect.get("nothing"):
        assert not [address for address in actions if address.endswith(missing)]
        assert not played.notices, "what could not be read proves nothing"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sort", SORTS)
def test_every_kind_has_a_case_of_every_sort(kind: str, sort: str) -> None:
    found = [name for name, case in CASES.items() if case["resource"].startswith(f"{kind}/") and case["sort"] == sort]
    if (kind, sort) in IMPOSSIBLE:
        assert not found, f"{found[0]} shows what cannot be: {IMPOSSIBLE[kind, sort]}"
    else:
        assert found, f"no case shows {kind} {sort}"


@pytest.mark.parametrize("name", CASES)
def test_a_case_says_what_its_sort_demands(name: str) -> None:
    case, kind = CASES[name], name.split("/", maxsplit=1)[0]
    expect = case["expect"]
    actions = {
        "absent": ("create",),
        "equal": ("no-op",),
        "differs": ("update", "replace", "delete"),
        "unreadable": ("blocked",),
        "blocked": ("blocked", "parked"),
    }
    assert case["resource"].startswith(f"{kind}/"), "a case lies in the directory of its kind"
    assert case["sort"] == "other" or expect["action"] in actions[case["sort"]]
    assert expect["action"] in ACTING or expect.get("reason"), "what is not done must say why"
    assert ("fields" in expect) or expect["action"] not in ACTING, "what is done must say which fields"


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case["expect"]["action"] == "update"])
def test_ignore_can_name_every_field_that_differs(name: str) -> None:
    kind = KINDS[name.split("/", maxsplit=1)[0]]
    for field in CASES[name]["expect"]["fields"]:
        assert any(fnmatchcase(field, known) for known in kind.fields), field


def test_no_exception_names_what_is_no_kind() -> None:
    assert {kind for kind, _ in IMPOSSIBLE} <= set(KINDS)


def test_the_first_top_up_shares_the_transaction_of_the_registration() -> None:
    case = CASES["wallet_funding/rides-with-the-registration"]
    (need,) = KINDS["wallet_funding"].needs(play(case).change(case["resource"]).resource.spec)
    assert (str(need.address), need.strength) == ("machine_identity/m1", Strength.RIDES)
