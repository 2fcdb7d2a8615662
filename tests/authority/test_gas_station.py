"""Wallets paid by the Gas Station: enrolment, one code a step, one payment however often we are killed, and refusals.

The sandbox's time steps are made short, so that pacing can be seen: the period is part of the enrolment's URI.
"""

import json
import os
import pty
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any

import pyotp
import pytest
from authority_harness import Serve
from e2e_harness import MANY, PEAQ, Ran, World, Yard

from reconciler.adapters.gas_station import SENTENCES

MakeYard = Callable[..., Yard]
PERIOD = 3
PAID = 1 * PEAQ
"""What the sandbox's Gas Station gives."""
FUND = "/gas-station/faucet/fund"


@pytest.fixture(autouse=True)
def short_steps(world: World) -> None:
    world.service_faults(count_of_funds(), totpPeriodSeconds=PERIOD, totpReuse=False)


def count_of_funds() -> dict[str, Any]:
    """A delay of nothing, as a rule, counts what it matches."""
    return {"action": "delay", "method": "POST", "path": FUND, "count": MANY}


def asked(world: World) -> int:
    """Requests for coins that reached the Gas Station since the last faults were set."""
    rules = world.http.get(f"{world.info.url}/sandbox/faults/services").json()["rules"]
    return sum(MANY - rule["count"] for rule in rules if rule["path"] == FUND and rule["count"] > MANY // 2)


def refuse(world: World, **rule: Any) -> None:
    """From now on the rule comes before what counts, and so must count itself."""
    world.http.delete(f"{world.info.url}/sandbox/faults/services")
    given = {"method": "POST", "path": FUND, **rule}
    world.service_faults(given, count_of_funds(), totpPeriodSeconds=PERIOD, totpReuse=False)


def station_yard(new_yard: MakeYard, machines: int, **funding: str) -> Yard:
    """A fleet whose funding is the Gas Station's, and nothing else that takes time."""
    yard = new_yard(machines)
    yard.manifest["services"] = {"gasStation": {"url": "${PEAQOS_GAS_STATION_URL}"}}
    yard.manifest["operator"]["totp"] = {"file": "keys/gas.totp"}
    yard.manifest["v1"] = {"funding": {"from": "gasStation", "below": "0.3 PEAQ", "to": "0.5 PEAQ", **funding}}
    for name in ("agents", "delegationPolicies"):
        del yard.manifest[name]
    yard.manifest["defaults"] = {"metadata": {"documentationUrl": "https://docs.example.com/{name}"}}
    for machine in yard.manifest["machines"]:
        del machine["pairings"]
    return yard


def enrolled(yard: Yard) -> Yard:
    done = yard.run("gas-station", "setup", "--out", str(yard.root / "keys" / "gas.totp"))
    assert done.code == 0, done.said
    done = yard.run("gas-station", "confirm")
    assert done.code == 0, done.said
    return yard


def secret(yard: Yard) -> str:
    totp = pyotp.parse_uri((yard.root / "keys" / "gas.totp").read_text().strip())
    return str(totp.secret)


def balances(yard: Yard) -> list[int]:
    return [yard.world.balance(account.address) for account in yard.accounts.values()]


def requests(yard: Yard) -> list[tuple[str, str]]:
    """Ids of requests for coins in the journal, with their outcomes, oldest first."""
    query = "select request, outcome from intents where request like '%faucet%' order by id"
    try:
        with sqlite3.connect(f"file:{yard.journal}?mode=ro", uri=True) as db:
            rows = db.execute(query).fetchall()
    except sqlite3.OperationalError:
        return []  # it is being made just now
    return [(request.rsplit(" ", 1)[1], outcome) for request, outcome in rows]


def came(world: World) -> bool:
    """Whether the rule that comes before what counts has struck."""
    rules = world.http.get(f"{world.info.url}/sandbox/faults/services").json()["rules"]
    return bool(rules[0]["count"] == 0)


def wait_for(what: Callable[[], Any], seconds: float = 20) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not happen")


def test_from_enrolment_to_two_funded_machines(new_yard: MakeYard) -> None:
    yard = enrolled(station_yard(new_yard, 2))
    path = yard.root / "keys" / "gas.totp"
    assert path.stat().st_mode & 0o777 == 0o600
    assert "Gas Station" in yard.run("preflight").out
    plan = yard.run("plan")
    assert "TOTP pacing: 2 codes, about 1 min" in plan.out, plan.said
    ran = yard.run("apply", "--yes", "-v")
    assert ran.code == 0, ran.said
    # The server takes no code twice, and it was not asked in vain: each request had a code of its own.
    assert asked(yard.world) == 2
    assert all(PAID // 2 < wei <= PAID for wei in balances(yard))
    assert "transfer" not in {name for name, _ in yard.effects()}
    assert [outcome for _, outcome in requests(yard)] == ["done", "done"]
    assert len({ident for ident, _ in requests(yard)}) == 2
    again = yard.run("apply", "--yes", "--output", "json")
    assert again.code == 0 and asked(yard.world) == 2, again.said
    for said in (plan, ran, again):
        assert secret(yard).lower() not in said.said.lower()
    assert secret(yard).encode() not in yard.journal.read_bytes()


def test_the_secret_is_shown_on_a_terminal_only(new_yard: MakeYard) -> None:
    yard = station_yard(new_yard, 1)
    for options in ((), ("--output", "json")):
        ran = yard.run("gas-station", "setup", *options)
        assert ran.code == 3 and "--out" in ran.said, ran.said
    master, slave = pty.openpty()
    process = yard.spawn("gas-station", "setup", stdout=slave, stderr=slave)
    os.close(slave)
    shown = b"".join(read_all(master)).decode()
    assert process.wait(timeout=30) == 0, shown
    uri = re.search(r"otpauth://totp/\S+", shown)
    assert uri is not None and "▀" in shown and "█" in shown
    # What was shown is what the Gas Station expects.
    code = pyotp.parse_uri(uri[0]).now()  # type: ignore[union-attr]
    done = yard.run("gas-station", "confirm", code, "--output", "json")
    assert done.code == 0 and json.loads(done.out)["active"] is True
    again = yard.run("gas-station", "setup", "--out", str(yard.root / "again"))
    assert again.code == 1 and SENTENCES["2FA_ALREADY_CONFIGURED"] in again.err, again.said
    assert not (yard.root / "again").exists()


def read_all(terminal: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:
            return
        if not data:
            return
        yield data


def test_a_secret_in_use_is_never_written_over(new_yard: MakeYard) -> None:
    yard = enrolled(station_yard(new_yard, 1))
    before = (yard.root / "keys" / "gas.totp").read_text()
    ran = yard.run("gas-station", "setup", "--out", str(yard.root / "keys" / "gas.totp"))
    assert ran.code == 3 and "exists" in ran.err
    assert (yard.root / "keys" / "gas.totp").read_text() == before


@pytest.mark.parametrize("fate", ["the request never came", "its answer was lost"])
def test_killed_between_journal_and_answer_it_is_paid_once(new_yard: MakeYard, fate: str) -> None:
    yard = enrolled(station_yard(new_yard, 1))
    lost = fate == "its answer was lost"
    # The delayed request is worked on although whoever sent it is dead.
    hold = {"action": "delay", "delayMs": 4000, "count": 1} if lost else {"action": "dropBefore", "count": 1}
    refuse(yard.world, **hold)
    # However much the wallet holds, a second request would be paid too.
    yard.world.service_faults(minGasBalance=str(100 * PEAQ))
    process = yard.spawn("apply", "--yes")
    try:
        wait_for(lambda: requests(yard) and (came(yard.world) if lost else requests(yard)[0][1] == "unknown"))
    finally:
        process.kill()
        process.communicate()
    first = requests(yard)[0]
    assert first[1] in ("pending", "unknown")
    ran = yard.run("apply", "--yes")
    assert ran.code == 0, ran.said
    assert {ident for ident, _ in requests(yard)} == {first[0]}
    assert requests(yard)[-1][1] == "done"
    time.sleep(5 if lost else 0)
    assert PAID // 2 < balances(yard)[0] <= PAID


def test_a_lost_answer_is_asked_for_again_with_the_same_id(new_yard: MakeYard) -> None:
    yard = enrolled(station_yard(new_yard, 1))
    refuse(yard.world, action="dropAfter")
    ran = yard.run("apply", "--yes")
    assert ran.code == 0, ran.said
    assert [outcome for _, outcome in requests(yard)] == ["unknown", "done"]
    assert len({ident for ident, _ in requests(yard)}) == 1
    assert PAID // 2 < balances(yard)[0] <= PAID


def test_a_lock_stops_at_once(new_yard: MakeYard) -> None:
    yard = enrolled(station_yard(new_yard, 3, fallback="operator"))
    yard.world.service_faults(totpLocked=True)
    ran = yard.run("apply", "--yes")
    assert ran.code == 5, ran.said
    assert asked(yard.world) == 1
    assert ran.out.count("2FA_LOCKED") == 3 and SENTENCES["2FA_LOCKED"] in " ".join(ran.out.split())
    # A lock is something to look at, not to pay around.
    assert balances(yard) == [0, 0, 0]


def test_wrong_codes_end_long_before_the_lock(new_yard: MakeYard) -> None:
    yard = enrolled(station_yard(new_yard, 3))
    (yard.root / "keys" / "gas.totp").write_text(
        pyotp.TOTP(pyotp.random_base32(), interval=PERIOD).provisioning_uri(name="x")
    )
    ran = yard.run("apply", "--yes")
    assert ran.code == 5, ran.said
    assert asked(yard.world) == 2
    assert "INVALID_2FA" in ran.out


def test_a_cap_parks_until_another_day(new_yard: MakeYard) -> None:
    yard = enrolled(station_yard(new_yard, 2))
    refuse(yard.world, action="status", status=429, code="CAP_EXCEEDED_OWNER", count=-1)
    ran = yard.run("apply", "--yes", "--output", "json")
    assert ran.code == 0, ran.said
    outcomes = {o["address"]: o["outcome"] for o in ran.data["result"]["outcomes"]}
    assert outcomes["wallet_funding/air-001"] == outcomes["machine_did/air-002"] == "parked"
    assert outcomes["machine_nft/air-001"] == "done"
    refuse(yard.world, action="delay", count=0)
    ran = yard.run("apply", "--yes")
    assert ran.code == 0 and all(balances(yard)), ran.said


@pytest.mark.parametrize("code", ["CAP_EXCEEDED_OWNER", "CAP_EXCEEDED_WALLET"])
def test_a_cap_falls_back_where_that_is_declared(new_yard: MakeYard, code: str) -> None:
    yard = enrolled(station_yard(new_yard, 1, fallback="operator"))
    refuse(yard.world, action="status", status=429, code=code, count=-1)
    ran = yard.run("apply", "--yes")
    assert ran.code == 0, ran.said
    assert yard.effects()["transfer", yard.accounts["air-001"].address.lower()] == 1
    assert 0.3 * PEAQ < balances(yard)[0] < 0.6 * PEAQ


def test_what_the_station_thinks_enough_is_topped_up_by_the_fallback(new_yard: MakeYard) -> None:
    yard = enrolled(station_yard(new_yard, 1, below="0.8 PEAQ", to="0.9 PEAQ", fallback="operator"))
    yard.world.fund(yard.accounts["air-001"].address, 0.6)
    ran = yard.run("apply", "--yes")
    assert ran.code == 0, ran.said
    assert yard.effects()["transfer", yard.accounts["air-001"].address.lower()] == 1
    del yard.manifest["v1"]["funding"]["fallback"]
    yard.world.fund(yard.accounts["air-001"].address, 0.6)
    ran = yard.run("apply", "--yes")
    assert ran.code == 5 and "lower v1.funding.below" in " ".join(ran.out.split()), ran.said


def test_a_limit_on_the_rate_is_waited_for(new_yard: MakeYard) -> None:
    yard = enrolled(station_yard(new_yard, 1))
    refuse(yard.world, action="rateLimit", retryAfter=5)
    begun = time.monotonic()
    ran = yard.run("apply", "--yes")
    assert ran.code == 0, ran.said
    assert time.monotonic() - begun > 5
    assert len({ident for ident, _ in requests(yard)}) == 1


def test_a_transfer_that_failed_is_tried_again_as_the_same(new_yard: MakeYard) -> None:
    yard = enrolled(station_yard(new_yard, 1))
    refuse(yard.world, action="status", status=502, code="TRANSFER_FAILED", count=2)
    ran = yard.run("apply", "--yes")
    assert ran.code == 0, ran.said
    assert [outcome for _, outcome in requests(yard)] == ["unknown", "unknown", "done"]
    assert len({ident for ident, _ in requests(yard)}) == 1


def test_a_wallet_that_ran_dry_gets_a_new_request(new_yard: MakeYard) -> None:
    yard = enrolled(station_yard(new_yard, 1))
    assert yard.run("apply", "--yes").code == 0
    yard.world.fund(yard.accounts["air-001"].address, 0.01)
    ran = yard.run("apply", "--yes")
    assert ran.code == 0, ran.said
    assert len({ident for ident, _ in requests(yard)}) == 2
    assert balances(yard)[0] > PAID


def test_without_the_secret_here_funding_is_parked(new_yard: MakeYard) -> None:
    yard = station_yard(new_yard, 1)
    ran = yard.run("apply", "--yes")
    assert ran.code == 0, ran.said
    assert "wallet_funding/air-001: parked: the key of totp/default is not at hand" in ran.out
    assert asked(yard.world) == 0 and yard.world.machine_id(yard.accounts["air-001"].address)


def test_what_is_missing_in_the_manifest_is_said(new_yard: MakeYard) -> None:
    yard = station_yard(new_yard, 1)
    del yard.manifest["services"], yard.manifest["operator"]["totp"]
    ran = yard.run("validate")
    assert ran.code == 3 and "no Gas Station under services" in ran.err and "has no `totp`" in ran.err, ran.said
    yard = station_yard(new_yard, 1)
    yard.manifest["operator"]["totp"] = "JBSWY3DPEHPK3PXP"
    ran = yard.run("validate")
    assert ran.code == 3 and "JBSWY3DPEHPK3PXP" not in ran.said, ran.said


def test_another_server_at_that_address_is_told_apart(new_yard: MakeYard, serve: Serve) -> None:
    yard = enrolled(station_yard(new_yard, 1))
    page = {"name": "NotFound", "message": "Page not found", "code": 404, "className": "not-found"}
    yard.environ["PEAQOS_GAS_STATION_URL"] = serve(lambda *_: (404, page))
    ran: Ran = yard.run("apply", "--yes")
    assert ran.code == 5 and "check services.gasStation.url" in ran.out, ran.said
