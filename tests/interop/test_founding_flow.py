"""A fleet that the official SDK took live, by peaq's own guide, is adopted as it is: nothing is to do, nor done."""

from pathlib import Path
from typing import Any

from interop_harness import Fleetctl, Official, World, differences, write_key
from interop_manifests import FOUNDED, founded

NAMES = ("sensor-1", "sensor-2", "sensor-3")
LOWER = "sensor-3"
"""Written by a program that leaves the checksum of addresses out; the others are written as in the guide."""
ALLOWED: dict[str, Any] = {}
"""Differences that a fleet of the SDK's making may show, as `differences` gives them. None."""


def test_a_fleet_of_the_founding_flow_is_left_alone(world: World, official_python: Path, tmp_path: Path) -> None:
    made, environ = _found(world, official_python, tmp_path)
    fleetctl = _adopt(made, tmp_path / "fleet", environ)
    accounts = [m["address"] for m in (*made["machines"], made["operator"], made["agent"])]
    before, files = world.state(accounts), _tokens(fleetctl)
    sent = before["nonces"][made["operator"]["address"]]
    assert sent == 2 + 2 * len(NAMES)  # itself, the list, and each machine twice
    world.count_requests()
    plan = fleetctl.plan(expect=0)
    applied = fleetctl.apply()
    requests = world.counted()

    assert differences(plan) == ALLOWED == differences(applied)
    assert {change["address"] for change in plan["changes"]} >= _expected()
    assert requests == 0
    assert world.state(accounts) == before
    assert _tokens(fleetctl) == files
    assert (applied["result"]["transactions"], applied["result"]["writes"]) == (0, 0)

    # Whoever did not keep the tokens needs others, and nothing else.
    lost = [fleetctl.token_file(f"{name}/ops") for name in NAMES[1:]]
    for path in lost:
        path.unlink()
    rotations = {f"session_token/{name}/ops": ("update", ["token"]) for name in NAMES[1:]}
    here = fleetctl.here()
    assert differences(here.plan(expect=2)) == rotations
    assert here.apply()["result"]["transactions"] == 0
    assert all(path.read_text() not in files.values() for path in lost)
    assert world.state(accounts)["nonces"] == before["nonces"]
    here.plan(expect=0)


def _found(world: World, python: Path, home: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """What a new operator's founding flow made, and that operator's environment."""
    operator = world.operator()
    environ = world.environ("0x" + bytes(operator.key).hex())
    (home / "official").mkdir()
    with Official(python, environ, home / "official") as official:
        made = official.call("founding_flow", names=NAMES, lower=[LOWER], **FOUNDED)
    assert made["operator"]["address"] == operator.address
    assert [machine["funded"] for machine in made["machines"]] == ["success"] * len(NAMES)
    return made, environ


def _adopt(made: dict[str, Any], directory: Path, environ: dict[str, str]) -> Fleetctl:
    """A manifest beside the keys, and the tokens where fleetctl would keep them.

    The user of the SDK was shown each token once, when pairing, and kept it. An adopter puts it into the token sink,
    in a private file <machine>.<agent>.token; without it a rotation is planned, as no token can be asked for again.
    """
    directory.mkdir()
    fleetctl = Fleetctl(directory, environ)
    (directory / "secrets").mkdir(mode=0o700)
    for machine in made["machines"]:
        write_key(directory, machine["name"], machine["key"])
        path = fleetctl.token_file(f"{machine['name']}/ops")
        path.touch(mode=0o600)
        path.write_text(machine["pairing"]["token"] + "\n")
    write_key(directory, "ops", made["agent"]["key"])
    addresses = {machine["name"]: machine["address"] for machine in made["machines"]}
    fleetctl.manifest.write_text(founded(addresses, made["agent"]["address"]))
    return fleetctl


def _expected() -> set[str]:
    """Every resource that must have been looked at: an empty plan of an empty fleet would prove nothing."""
    kinds = ("machine_identity", "machine_nft", "wallet_funding", "machine_did", "machine_record")
    paired = ("agent_pairing", "session_token")
    return {
        "operator_identity/default",
        "operator_did/default",
        *(f"{kind}/{name}" for kind in kinds for name in NAMES),
        *(f"{kind}/{name}/ops" for kind in paired for name in NAMES),
    }


def _tokens(fleetctl: Fleetctl) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((fleetctl.directory / "secrets").iterdir())}
