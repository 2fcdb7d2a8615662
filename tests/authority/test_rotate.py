"""New tokens because somebody asks for them, and nothing but new tokens."""

import shutil
from collections.abc import Callable

import pytest
from e2e_harness import Yard, writes
from eth_account import Account

MakeYard = Callable[..., Yard]
Tokens = dict[str, str]
CHOICES: list[tuple[list[str], set[str]]] = [
    (["--machine", "air-002"], {"air-002.ops"}),
    (["--agent", "night"], {"air-001.night"}),
    (["--machine", "air-001", "--agent", "ops"], {"air-001.ops"}),
    (["--machine", "air-001", "--machine", "air-002", "--agent", "ops"], {"air-001.ops", "air-002.ops"}),
    (["--all"], {"air-001.ops", "air-001.night", "air-002.ops"}),
]
NEVER_DUE = ["--due", "--within", "60"]


def tokens(yard: Yard) -> Tokens:
    return {path.name.removesuffix(".token"): path.read_text().strip() for path in yard.tokens().glob("*.token")}


@pytest.fixture
def yard(new_yard: MakeYard) -> Yard:
    """Two machines, one of them with two agents."""
    yard = new_yard(2)
    night = Account.create()
    yard.write_key("night", night)
    agent = {"address": night.address, "provider": "openai", "key": {"file": "keys/night.key"}}
    yard.manifest["agents"]["night"] = agent
    yard.machine("air-001")["pairings"].append({"agent": "night", "role": "trader"})
    assert yard.run("apply", "--yes").code == 0
    return yard


def test_the_chosen_tokens_are_replaced_and_nothing_else_is_touched(yard: Yard) -> None:
    # What the manifest wants besides is for apply to do, and makes no token due.
    yard.machine("air-002")["metadata"] = {"documentationUrl": "https://new.example.com"}
    yard.manifest["delegationPolicies"]["small"]["dailySpendLimit"] = 10
    yard.add("air-003")
    for options, chosen in CHOICES:
        before, old, met = yard.footprint(), tokens(yard), writes(yard.world)
        ran = yard.run("rotate", *options)
        assert ran.code == 0, ran.said
        # A rotation is a challenge and a session: two POSTs.
        assert writes(yard.world) == {**met, "POST": met["POST"] + 2 * len(chosen)}
        assert {**yard.footprint(), "writes": 0, "tokens": 0} == {**before, "writes": 0, "tokens": 0}
        new = tokens(yard)
        assert {name for name in new if new[name] != old[name]} == chosen, options
        for name in chosen:
            assert (yard.search(old[name]), yard.search(new[name])) == (401, 201)
    old = tokens(yard)
    assert yard.run("rotate", *NEVER_DUE).code == 0
    assert tokens(yard) == old
    assert all(yard.search(token) == 201 for token in old.values())


def test_due_are_those_that_end_soon(yard: Yard) -> None:
    first = tokens(yard)
    yard.world.service_faults(sessionTtlSeconds=300)
    assert yard.run("rotate", "--machine", "air-002").code == 0
    old = tokens(yard)
    assert yard.run("rotate", *NEVER_DUE).code == 0
    assert tokens(yard) == old
    yard.world.service_faults(sessionTtlSeconds=3600)
    ran = yard.run("rotate", "--due")
    assert ran.code == 0, ran.said
    new = tokens(yard)
    assert {name for name in new if new[name] != old[name]} == {"air-002.ops"}
    assert new["air-001.ops"] == first["air-001.ops"]
    assert yard.run("rotate", "--due").code == 0
    assert tokens(yard) == new
    (yard.tokens() / "air-001.night.token").unlink()  # what is lost is due
    assert yard.run("rotate", "--due", "--agent", "night").code == 0
    assert yard.search(tokens(yard)["air-001.night"]) == 201
    yard.check_quiet()


def test_one_must_say_which(yard: Yard) -> None:
    before = yard.footprint()
    ran = yard.run("rotate")
    assert ran.code == 64, ran.said
    assert "--machine, --agent, --all or --due" in ran.err
    assert yard.run("rotate", "--machine", "air-009").code == 3
    assert yard.run("rotate", "--agent", "night", "--machine", "air-002").code == 3
    assert yard.footprint() == before


def test_only_the_agents_keys_are_needed(yard: Yard) -> None:
    yard.manifest["operator"]["address"] = yard.operator.address
    del yard.environ["PEAQOS_PRIVATE_KEY"]
    for name in ("air-001", "air-002", "night"):
        (yard.root / "keys" / f"{name}.key").unlink()
    old = tokens(yard)
    ran = yard.run("rotate", "--all")
    assert ran.code == 0, ran.said
    assert "session_token/air-001/night: parked: the key of agent/night is not at hand" in ran.out, ran.out
    new = tokens(yard)
    assert {name for name in new if new[name] != old[name]} == {"air-001.ops", "air-002.ops"}
    assert yard.search(new["air-001.night"]) == 201


def test_a_sink_that_takes_nothing_is_found_out_before_a_token_is_lost(yard: Yard) -> None:
    old = tokens(yard)
    shutil.move(yard.tokens(), yard.root / "aside")
    yard.tokens().write_text("not a directory")
    ran = yard.run("rotate", "--all")
    assert ran.code == 3, ran.said
    assert "cannot write tokens" in ran.err
    assert all(yard.search(token) == 201 for token in old.values())
