"""From v1 to v2: successors that say whose place they take, old machines that leave only then, and nothing twice."""

from collections.abc import Callable

import pytest
from e2e_harness import AT, Yard

MakeYard = Callable[..., Yard]


@pytest.fixture
def yard(new_yard: MakeYard) -> Yard:
    yard = new_yard(3)
    applied = yard.run("apply", "--yes")
    assert applied.code == 0, applied.said
    return yard


def test_whole(yard: Yard) -> None:
    shown = yard.run("migrate", "plan", "--deactivate")
    print(shown.said)
    shown = yard.run("migrate", "plan", "--write", "--deactivate")
    assert shown.code == 0
    print(yard.file.read_text())
    applied = yard.run_as_is("apply", "--yes")
    print(applied.said)
    assert applied.code == 0
    print(yard.run_as_is("plan").said)
    print(yard.run_as_is("status").said)
    print(yard.run_as_is("migrate", "plan").said)
