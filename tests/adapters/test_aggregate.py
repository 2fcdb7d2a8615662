"""aggregate3 as we lay it out, against the general codec; and answers that are not what they should be."""

import pytest
from eth_abi.abi import decode, encode
from hypothesis import given
from hypothesis import strategies as st

from reconciler.adapters import aggregate

ADDRESSES = st.binary(min_size=20, max_size=20).map(lambda raw: "0x" + raw.hex())


@given(st.lists(st.tuples(ADDRESSES, st.binary(max_size=200)), max_size=30))
def test_calls_are_laid_out_as_the_abi_says(calls: list[tuple[str, bytes]]) -> None:
    expected = encode(["(address,bool,bytes)[]"], [[(to, True, data) for to, data in calls]])
    assert aggregate.calldata(calls) == aggregate.SELECTOR + expected


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=200)), max_size=30))
def test_answers_are_read_as_the_abi_says(answers: list[tuple[bool, bytes]]) -> None:
    data = encode(["(bool,bytes)[]"], [answers])
    assert [tuple(answer) for answer in decode(["(bool,bytes)[]"], data)[0]] == aggregate.answers(data)


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=40)), min_size=1, max_size=5), st.data())
def test_an_answer_that_is_cut_or_garbled_is_refused_or_harmless(
    answers: list[tuple[bool, bytes]], draw: st.DataObject
) -> None:
    data = bytearray(encode(["(bool,bytes)[]"], [answers]))
    data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    garbled = bytes(data[: draw.draw(st.integers(0, len(data)))])
    try:
        found = aggregate.answers(garbled)
    except ValueError:
        return
    assert len(found) <= len(garbled) // 32


@pytest.mark.parametrize("data", [b"", b"\0" * 31, (2**255).to_bytes(32, "big") * 4])
def test_nonsense_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        aggregate.answers(data)
