"""Maintenance windows at moments that matter: their edges, several at once, time zones, nights of clock changes."""

from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.core import windows
from reconciler.core.fleet import Fleet, Machine, Network
from reconciler.core.rules import Window

NIGHT = {"allow": "0 22 * * *", "for": "2h"}
FREEZE = {"deny": "0 0 24 12 *", "for": "3d"}
BERLIN = {**NIGHT, "timeZone": "Europe/Berlin"}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def judged(now: str, *given: dict[str, Any]) -> str:
    return str(windows.judge([Window.model_validate(window) for window in given], moment(now)))


@pytest.mark.parametrize(
    ("now", "given", "state"),
    [
        ("2026-06-01 21:59:59", [NIGHT], "closed until 2026-06-01 22:00 UTC"),
        ("2026-06-01 22:00:00", [NIGHT], "open until 2026-06-02 00:00 UTC"),
        ("2026-06-01 23:59:59", [NIGHT], "open until 2026-06-02 00:00 UTC"),
        ("2026-06-02 00:00:00", [NIGHT], "closed until 2026-06-02 22:00 UTC"),
        ("2026-06-01 20:00:00", [BERLIN], "open until 2026-06-02 00:00 Europe/Berlin"),
        ("2026-12-01 20:30:00", [BERLIN], "closed until 2026-12-01 22:00 Europe/Berlin"),
        ("2026-12-25 12:00:00", [FREEZE], "closed until 2026-12-27 00:00 UTC"),
        ("2026-12-27 00:00:00", [FREEZE], "open until 2027-12-24 00:00 UTC"),
        ("2026-12-25 22:30:00", [NIGHT, FREEZE], "closed until 2026-12-27 22:00 UTC"),
        ("2026-12-23 23:00:00", [NIGHT, FREEZE], "open until 2026-12-24 00:00 UTC"),
        # Either of two that allow is enough, and one that follows at once makes the time longer.
        ("2026-06-01 23:00:00", [NIGHT, {"allow": "0 0 * * *", "for": "1h"}], "open until 2026-06-02 01:00 UTC"),
        ("2026-06-01 12:00:00", [{"allow": "* * * * *", "for": "2h"}], "open"),
        ("2026-06-01 12:00:00", [NIGHT, {"deny": "* * * * *", "for": "1h"}], "closed, and never open again"),
        # 02:30 does not exist in this night.
        (
            "2026-03-29 00:30:00",
            [{"allow": "30 2 * * *", "for": "1h", "timeZone": "Europe/Berlin"}],
            "closed until 2026-03-29 03:00 Europe/Berlin",
        ),
        # What lasts for long and begins often is judged as fast.
        ("2026-06-01 12:00:00", [{"deny": "*/5 * * * *", "for": "30d"}], "closed, and never open again"),
        ("2026-06-01 12:00:00", [{"allow": "* 9-10 * * *", "for": "2h"}], "open until 2026-06-01 12:59 UTC"),
        ("2026-06-01 11:00:00", [{"allow": "30 8 1 * *", "for": "20d"}], "open until 2026-06-21 08:30 UTC"),
        # Two hours are two hours, although the clock shows one.
        (
            "2026-03-29 01:30:00",
            [{"allow": "30 1 * * *", "for": "2h", "timeZone": "Europe/Berlin"}],
            "open until 2026-03-29 04:30 Europe/Berlin",
        ),
    ],
)
def test_windows(now: str, given: list[dict[str, Any]], state: str) -> None:
    assert judged(now, *given) == state


def fleet(*given: dict[str, Any]) -> Fleet:
    contracts = dict.fromkeys(("identityRegistry", "identityStaking", "machineNft"), f"0x{1:040x}")
    network = Network.model_validate({"rpcUrl": "http://localhost", "chainId": 1, "contracts": contracts})
    machines = (
        Machine(name="air-1", labels={"site": "berlin"}),
        Machine(name="air-2", labels={"site": "bern", "tier": "x"}),
        Machine(name="sea-1"),
    )
    rules = tuple(Window.model_validate(window) for window in given)
    return Fleet(name="f", network=network, operators={}, machines=machines, windows=rules)


@pytest.mark.parametrize(
    ("who", "held"),
    [
        ({"machines": ["air-*"]}, {"air-1", "air-2"}),
        ({"labels": {"site": "ber*"}}, {"air-1", "air-2"}),
        ({"labels": {"site": "berlin"}}, {"air-1"}),
        ({"labels": {"site": "*", "tier": "x"}}, {"air-2"}),
        ({"machines": ["sea-1"], "labels": {"site": "*"}}, set()),
    ],
)
def test_a_window_of_some_machines_holds_them_alone(who: dict[str, Any], held: set[str]) -> None:
    particular = fleet({**NIGHT, **who})
    assert windows.whole(particular, moment("2026-06-01 12:00").timestamp()) is None
    found = windows.held(particular, moment("2026-06-01 12:00").timestamp())
    assert set(found) == held
    reason = "held back: its maintenance window is closed until 2026-06-01 22:00 UTC"
    assert set(found.values()) <= {reason}
    assert not windows.held(particular, moment("2026-06-01 22:30").timestamp())


def test_a_window_of_the_fleet_holds_no_machine_but_all() -> None:
    general = fleet(NIGHT)
    state = windows.whole(general, moment("2026-06-01 12:00").timestamp())
    assert state is not None and not state.open
    assert not windows.held(general, moment("2026-06-01 12:00").timestamp())
    assert windows.whole(fleet(), 0) is None
