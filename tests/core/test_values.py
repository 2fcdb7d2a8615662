"""Addresses and Outputs, differences, order of need, and money."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.core.address import NEVER, Address, Burden, Output, Placeholder, bind, expected, placeholders
from reconciler.core.diff import compare, same
from reconciler.core.effects import ChainCall, ChainGroup, HttpRequest, Signer, Step
from reconciler.core.errors import PlanError
from reconciler.core.graph import ordered
from reconciler.core.money import GWEI, PEAQ, Cost, cost_of, format_amount, parse_amount
from reconciler.core.value import Value

CALM = settings(deadline=None)
"""A busy machine is no reason to fail."""
ID = Output(Address("machine_identity", "m"), "id", expected="7")
BOB, MACHINE = Signer("operator", "bob"), Signer("machine", "m")


class Nested(Value):
    address: Address
    value: Any


# --- address.bind -----------------------------------------------------------------------------------------------------


def resolve(placeholder: Placeholder) -> object | None:
    return {"id": "42", "empty": "", "zero": 0}.get(placeholder.field) if isinstance(placeholder, Output) else 5


@pytest.mark.parametrize(
    ("value", "bound"),
    [
        (ID, "42"),
        (Output(ID.address, "empty"), ""),
        (Output(ID.address, "zero"), 0),
        (Burden("machine/m"), 5),
        (Output(ID.address, "other"), Output(ID.address, "other")),
        ((1, (ID, "x")), (1, ("42", "x"))),
        ({"a": {"b": ID}, "c": None}, {"a": {"b": "42"}, "c": None}),
        (b"bytes", b"bytes"),
        (NEVER, NEVER),
        (Nested(ID.address, {"x": (ID,)}), Nested(ID.address, {"x": ("42",)})),
    ],
)
def test_bind_replaces_what_is_known_and_leaves_the_rest(value: Any, bound: Any) -> None:
    assert bind(value, resolve) == bound


def test_bind_returns_what_holds_nothing_as_it_is() -> None:
    value = Nested(Address("a", "b"), (1, "x"))
    assert bind(value, resolve) == value
    assert not list(placeholders(value))


def test_placeholders_are_found_everywhere() -> None:
    burden = Burden("machine/m")
    value = Nested(ID.address, {"a": [ID], "b": (burden, {"c": Nested(ID.address, ID)})})
    assert list(placeholders(value)) == [ID, burden, ID]


def test_what_to_assume_is_no_part_of_an_outputs_identity() -> None:
    assert Output(ID.address, "id") == ID
    assert expected(ID) == "7"
    assert expected("x") == "x"


def test_names_read_as_in_plans() -> None:
    assert str(Address("machine_nft", "press-07")) == "machine_nft/press-07"
    assert str(ID) == "(known after apply)"


# --- diff -------------------------------------------------------------------------------------------------------------

SCALARS = st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=5)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


def tupled(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(tupled(item) for item in reversed(value))
    return {key: tupled(value[key]) for key in reversed(value)} if isinstance(value, dict) else value


@CALM
@given(JSON)
def test_same_is_reflexive_in_any_order_of_items_and_keys(value: Any) -> None:
    assert same(value, value)
    assert same(tupled(value), value)


@CALM
@given(JSON, JSON)
def test_same_is_symmetric(one: Any, other: Any) -> None:
    assert same(one, other) == same(other, one)


@CALM
@given(st.lists(st.text(max_size=4), unique=True, max_size=5), st.text(min_size=5, max_size=6))
def test_one_item_more_is_a_difference(items: list[str], more: str) -> None:
    assert not same([*items, more], items)
    assert not same(items, [*items, more])


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (5, 5.0, True),
        ({"amount": 5}, {"amount": 5.0}, True),
        ([5], [5.0], True),
        (5, 6, False),
        (5, "5", False),
        ("a", "A", False),
        (None, "", False),
        (("a", "b"), ["b", "a"], True),
        ({"a": "1"}, {"a": "1", "b": "2"}, False),
        ("0x" + "aB" * 20, "0x" + "Ab" * 20, True),
        ("did:peaq:0x" + "aB" * 20, "did:peaq:0x" + "Ab" * 20, True),
        ("0x" + "aB" * 20, "0x" + "ac" * 20, False),
        ("0x" + "aB" * 19, "0x" + "Ab" * 19, False),
        ("see 0x" + "aB" * 20, "see 0x" + "Ab" * 20, False),
    ],
)
def test_same(one: Any, other: Any, equal: bool) -> None:
    assert same(one, other) is equal


def test_compare_looks_at_declared_fields_only() -> None:
    changes = compare({"a": 1, "b": None, "c": "x"}, {"a": 2, "b": 5, "d": 7})
    assert [(change.field, change.before, change.after) for change in changes] == [("a", 2, 1), ("c", None, "x")]


def test_what_is_known_after_apply_always_differs() -> None:
    (change,) = compare({"ids": (ID,)}, {"ids": [str(ID)]})
    assert change.field == "ids"


# --- graph ------------------------------------------------------------------------------------------------------------


def a(name: str) -> Address:
    return Address("kind", name)


@CALM
@given(st.dictionaries(st.integers(0, 8), st.sets(st.integers(0, 8)), max_size=9))
def test_each_comes_after_what_it_needs(graph: dict[int, set[int]]) -> None:
    acyclic = {a(str(node)): [a(str(n)) for n in needs if n < node] for node, needs in graph.items()}
    order = ordered(acyclic, acyclic.__getitem__)
    assert sorted(order) == sorted(acyclic)
    for node, needs in acyclic.items():
        assert all(order.index(n) < order.index(node) for n in needs if n in acyclic)


def test_ties_keep_the_order_given_and_strangers_are_no_matter() -> None:
    needs = {a("z"): [], a("y"): [a("stranger")], a("x"): []}
    assert ordered(needs, needs.__getitem__) == (a("z"), a("y"), a("x"))


def test_a_cycle_is_named() -> None:
    needs = {a("w"): [a("x")], a("x"): [a("y")], a("y"): [a("z")], a("z"): [a("x")]}
    with pytest.raises(PlanError) as caught:
        ordered(needs, needs.__getitem__)
    assert all(f"kind/{name}" in str(caught.value) for name in "xyz")
    assert "kind/w" not in str(caught.value)


# --- money ------------------------------------------------------------------------------------------------------------


@CALM
@given(st.integers(0, 10**40))
@example(10**39 + 1)
def test_amounts_survive_being_written_out(wei: int) -> None:
    assert parse_amount(format_amount(wei, 18)) == wei


@CALM
@given(st.integers(0, 10**30))
def test_a_short_amount_is_never_understated(wei: int) -> None:
    shown = parse_amount(format_amount(wei))
    assert wei <= shown < wei + 10**12


@pytest.mark.parametrize(
    ("text", "wei"),
    [
        ("0.05 PEAQ", 5 * 10**16),
        ("1 peaq", PEAQ),
        ("2 AGUNG", 2 * PEAQ),
        ("2 AGNG", 2 * PEAQ),
        ("5 gwei", 5 * GWEI),
        ("1.5gwei", 1_500_000_000),
        ("7 wei", 7),
        ("  1  wei ", 1),
        ("0.000000000000000001 PEAQ", 1),
        ("123456789012345678901.000000000000000001 PEAQ", 123456789012345678901 * PEAQ + 1),
    ],
)
def test_amounts(text: str, wei: int) -> None:
    assert parse_amount(text) == wei


@pytest.mark.parametrize(
    "text", ["5", 5, 5.0, "", "PEAQ", "-1 PEAQ", "1e3 PEAQ", "1 EUR", ".5 PEAQ", "1. PEAQ", "1,5 PEAQ", None, True]
)
def test_an_amount_without_a_unit_is_none(text: Any) -> None:
    with pytest.raises(ValueError, match="a plain number with a unit"):
        parse_amount(text)


@pytest.mark.parametrize("text", ["0.5 wei", "0.0000000000000000001 PEAQ", "0.0000000001 gwei"])
def test_nothing_is_finer_than_a_wei(text: str) -> None:
    with pytest.raises(ValueError, match="finer than one wei"):
        parse_amount(text)


def test_amounts_are_written_without_trailing_zeros() -> None:
    assert [format_amount(wei) for wei in (0, PEAQ, 10 * PEAQ, PEAQ // 20)] == [
        "0 PEAQ",
        "1 PEAQ",
        "10 PEAQ",
        "0.05 PEAQ",
    ]
    assert format_amount(1) == "0.000001 PEAQ"
    assert Decimal(format_amount(PEAQ + 1).split()[0]) == Decimal("1.000001")


def test_costs_are_by_signer_and_purpose() -> None:
    calls = (
        ChainCall(BOB, "r", "register()", (), 100, gas=10, purpose="bond"),
        ChainCall(BOB, "0x1", value=7, gas=1),
        ChainCall(BOB, "r", "register()", (), ID, gas=5, purpose="bond"),
    )
    late = ChainCall(Output(ID.address, "controller", expected=MACHINE), "did", "f()", deposit=9, gas=2)
    steps = [
        Step("a", ChainGroup(calls)),
        Step("b", ChainGroup((late,))),
        Step("c", HttpRequest("POST", ("x",))),
    ]
    costs = cost_of(steps, 3)
    assert costs == {BOB: Cost(bond=100, transfer=7, gas=48), MACHINE: Cost(deposit=9, gas=6)}
    assert costs[BOB].total == 155
