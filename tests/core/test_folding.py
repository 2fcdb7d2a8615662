"""Many mistakes told as a few: every sort is seen, nothing is lost of the count, and it stays short."""

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.errors import Problem
from reconciler.core.folding import EXAMPLES, FEW, SORTS, WORDINGS, apart, folded


def problems(count: int, message: str = "unknown key `x`", start: int = 1, file: str = "fleet.yaml") -> list[Problem]:
    """On one line each; `{n}` in the message is the number of the line."""
    return [Problem(file, n, 5, message.replace("{n}", str(n)), "take it out") for n in range(start, start + count)]


def test_few_problems_are_told_one_by_one_and_in_the_order_of_the_file() -> None:
    few = [*problems(FEW - 1), *problems(1, "missing key `name`", start=3)]
    assert [sort.problems for sort in folded(few)] == [(problem,) for problem in sorted(few)]


def test_one_more_and_they_are_folded() -> None:
    (sort,) = folded(problems(FEW + 1))
    assert sort.shown == tuple(problems(EXAMPLES))
    assert sort.more == FEW + 1 - EXAMPLES
    assert sort.rest == f"… and {sort.more} more, the last at fleet.yaml:{FEW + 1}:5"


def test_a_sort_among_thousands_of_another_is_seen_where_it_begins() -> None:
    many = [
        *problems(10_000),
        *problems(1, "missing key `name`", start=2),
        *problems(2, "unknown key `y`", start=9_000),
    ]
    sorts = folded(many)
    assert [(sort.problems[0].message, len(sort.problems)) for sort in sorts] == [
        ("unknown key `x`", 10_000),
        ("missing key `name`", 1),
        ("unknown key `y`", 2),
    ]
    assert [sort.more for sort in sorts] == [10_000 - EXAMPLES, 0, 0]
    assert sorts[0].rest.startswith("… and 9,997 more, ")


def test_a_rest_of_one_is_shown_instead_of_counted() -> None:
    sorts = folded([*problems(FEW), *problems(EXAMPLES + 1, "missing key `name`")])
    assert {len(sort.shown): sort.more for sort in sorts} == {EXAMPLES: FEW - EXAMPLES, EXAMPLES + 1: 0}
    assert [sort.rest for sort in sorts if not sort.more] == [""]


def test_messages_that_each_name_another_machine_are_one_sort() -> None:
    (sort,) = folded(problems(500, "two machines are called `air-{n}`"))
    assert sort.more == 500 - EXAMPLES
    (sort,) = folded(problems(500, "expected 3 cells, as in the header, got {n}"))
    assert sort.more == 500 - EXAMPLES


def test_a_few_names_are_told_apart() -> None:
    many = [problem for word in range(WORDINGS) for problem in problems(50, f"unknown key `k{word}`")]
    assert len(folded(many)) == WORDINGS
    assert len(folded([*many, *problems(50, "unknown key `another`")])) == 1


def test_the_rest_says_in_how_many_files_it_is() -> None:
    many = [problem for site in range(10) for problem in problems(40, file=f"site-{site}.yaml")]
    (sort,) = folded(many)
    assert sort.rest == "… and 397 more in 10 files, the last at site-9.yaml:40:5"


@given(
    st.lists(st.builds(Problem, st.sampled_from("abc"), st.integers(0, 99), st.just(1), st.text("ab`7 ", max_size=6)))
)
def test_nothing_is_lost_and_it_is_never_long(some: list[Problem]) -> None:
    for fold in (folded, apart):
        found = fold(some)
        assert sorted(problem for sort in found for problem in sort.problems) == sorted(some)
        assert all(sort.problems == tuple(sorted(sort.problems)) for sort in found)
        assert all(len(sort.shown) + sort.more == len(sort.problems) for sort in found)
    assert sum(len(sort.shown) for sort in folded(some)) <= max(FEW, SORTS * (EXAMPLES + 1))


def test_more_sorts_than_can_be_told_apart_end_in_one_of_what_is_left() -> None:
    letters = [chr(ord("a") + n % 26) * (n // 26 + 1) for n in range(200)]
    many = [Problem("fleet.yaml", n, 1, f"mistake {word}") for n, word in enumerate(letters)]
    sorts = folded(many)
    assert len(sorts) == SORTS
    assert len(sorts[-1].problems) == 200 - (SORTS - 1)
