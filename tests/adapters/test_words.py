"""Reads as we lay them out, against the general codec; and answers that are not what they should be."""

from typing import Any

import pytest
from eth_abi.abi import decode, encode
from hypothesis import given
from hypothesis import strategies as st

from reconciler.adapters import words

ADDRESSES = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "uint8": st.integers(0, 2**8 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "uint256": st.integers(0, 2**256 - 1),
    "address": ADDRESSES,
    "bool": st.booleans(),
    "bytes": st.binary(max_size=100),
}
PLAIN = st.sampled_from(sorted(VALUES))
TUPLES = st.lists(PLAIN, min_size=1, max_size=4).map(lambda kinds: f"({','.join(kinds)})")


def value_of(kind: str) -> st.SearchStrategy[Any]:
    if kind.startswith("("):
        return st.tuples(*(VALUES[part] for part in kind[1:-1].split(",")))
    return VALUES[kind]


@st.composite
def typed(draw: st.DrawFn, kinds: st.SearchStrategy[str]) -> tuple[tuple[str, ...], tuple[Any, ...]]:
    types = tuple(draw(st.lists(kinds, max_size=5)))
    return types, tuple(draw(value_of(kind)) for kind in types)


@given(typed(PLAIN))
def test_questions_are_laid_out_as_the_abi_says(given: tuple[tuple[str, ...], tuple[Any, ...]]) -> None:
    types, values = given
    assert words.encoder(types)(values) == encode(types, values)


@given(typed(PLAIN | TUPLES))
def test_answers_are_read_as_the_abi_says(given: tuple[tuple[str, ...], tuple[Any, ...]]) -> None:
    types, values = given
    data = encode(types, values)
    assert words.decoder(types)(data) == decode(types, data)


@given(typed(PLAIN | TUPLES), st.data())
def test_an_answer_that_is_cut_or_garbled_is_refused_where_the_abi_refuses_it(
    given: tuple[tuple[str, ...], tuple[Any, ...]], draw: st.DataObject
) -> None:
    types, values = given
    data = bytearray(encode(types, values) or b"\0")
    data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    garbled = bytes(data[: draw.draw(st.integers(0, len(data)))])
    try:
        found = words.decoder(types)(garbled)
    except ValueError:
        return
    assert found == decode(types, garbled)


@pytest.mark.parametrize("kind", ["int256", "string", "bytes32", "uint256[]", "uint7", "uint512", "((bytes),bool)"])
def test_other_types_are_left_to_the_general_codec(kind: str) -> None:
    with pytest.raises(words.Unknown):
        words.decoder((kind,))


def test_two_is_neither_true_nor_false() -> None:
    with pytest.raises(ValueError, match="neither"):
        words.decoder(("bool",))((2).to_bytes(32, "big"))


@pytest.mark.parametrize("value", ["0x1234", "0x" + "11" * 21])
def test_an_address_has_twenty_bytes(value: str) -> None:
    with pytest.raises(ValueError, match="20 bytes"):
        words.encoder(("address",))((value,))
