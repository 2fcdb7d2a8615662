"""What machines say alike is one object, and nothing that differs is."""

from collections.abc import Mapping

import pytest

from reconciler.core.alike import Alike
from reconciler.core.section import Section


class Part(Section):
    number: int | float | bool | None = None
    words: Mapping[str, str] = {}


class Whole(Section):
    name: str
    part: Part = Part()
    more: tuple[Part, ...] = ()


def test_equal_parts_become_one_and_nothing_is_lost() -> None:
    alike = Alike()
    given = [Whole(name=name, part=Part(number=1, words={"a": "b"}), more=(Part(number=2),)) for name in "xy"]
    one, other = (alike.thinned(whole) for whole in given)
    assert one.part is other.part
    assert one.more is other.more
    assert [one, other] == given
    assert [one.model_fields_set, one.part.model_fields_set] == [{"name", "part", "more"}, {"number", "words"}]


@pytest.mark.parametrize("other", [Part(number=True), Part(number=1.0), Part(number=1, words={}), Part(words={})])
def test_what_was_written_otherwise_stays_apart(other: Part) -> None:
    alike = Alike()
    one, two = alike.thinned(Whole(name="x", part=Part(number=1))), alike.thinned(Whole(name="y", part=other))
    assert repr(two.part) == repr(other)
    assert two.part.model_fields_set == other.model_fields_set
    assert one.part is not two.part


def test_the_order_of_names_is_kept() -> None:
    alike, orders = Alike(), [{"a": "1", "b": "2"}, {"b": "2", "a": "1"}]
    found = [alike.thinned(Whole(name="x", part=Part(words=words))).part.words for words in orders]
    assert [list(words) for words in found] == [["a", "b"], ["b", "a"]]
