"""What a good manifest becomes."""

import re
from pathlib import Path

import pytest
from manifest_harness import EXAMPLE, HEAD, KINDS, address, checksum, example, problems, read

from reconciler.kinds.markets.machine_record import MarketSection
from reconciler.kinds.peaq_v1.machine_did import DidSection
from reconciler.kinds.peaq_v1.wallet_funding import FundingSection
from reconciler.manifest.expand import expand
from reconciler.manifest.parse import Manifest, load

ENDPOINTS = {
    "PEAQOS_ORCHESTRATION_URL": "https://markets.example",
    "PEAQOS_MCR_API_URL": "http://127.0.0.1:8000",
    "PEAQOS_GAS_STATION_URL": "https://gas.example",
}


@pytest.fixture
def whole(tmp_path: Path) -> Manifest:
    return load(example(tmp_path), KINDS, ENDPOINTS, checksum=checksum)


def test_the_example_parses_whole(whole: Manifest) -> None:
    assert [m.name for m in whole.fleet.machines] == ["air-001", "air-101", "air-102", "site-a"]
    assert [path.name for path in whole.files] == ["fleet.yaml", "sensors.csv", "a.yaml"]
    assert whole.fleet.services.mcr is not None
    assert whole.fleet.services.mcr.url == "http://127.0.0.1:8000"


def test_kinds_find_their_sections(whole: Manifest) -> None:
    funding = whole.fleet.section(FundingSection)
    assert funding is not None and funding.funding is not None
    machine = whole.fleet.machines[0]
    did = machine.section(DidSection)
    assert did is not None and did.attributes == {"firmware": "2.4.1"}
    market = machine.section(MarketSection)
    assert market is not None and market.machine_type == "air-sensor"


def test_defaults_lie_under_each_machine_with_its_name(whole: Manifest) -> None:
    assert [m.metadata.documentation_url for m in whole.fleet.machines[:2]] == [
        "https://docs.example.com/air-001",
        "https://docs.example.com/air-101",
    ]


def test_a_null_opts_out_of_a_default_and_lists_replace(tmp_path: Path) -> None:
    text = HEAD + (
        "services: {markets: {url: https://m.example}}\n"
        "defaults: {market: {machineType: t, runtimeProfile: p, capabilities: [a, b]}}\nmachines:\n"
        f'  - {{name: out, address: "{address(1)}", market: null}}\n'
        f'  - {{name: one, address: "{address(2)}", market: {{capabilities: [c]}}}}\n'
    )
    out, one = read(tmp_path, text).fleet.machines
    assert out.section(MarketSection) is None
    market = one.section(MarketSection)
    assert market is not None and (market.machine_type, market.capabilities) == ("t", ("c",))


def test_doubled_braces_are_braces(tmp_path: Path) -> None:
    text = (
        HEAD
        + f'defaults: {{metadata: {{dataApi: "{{{{x}}}}/{{name}}"}}}}\nmachines: [{{name: m, address: {address(1)}}}]\n'
    )
    assert read(tmp_path, text).fleet.machines[0].metadata.data_api == "{x}/m"


def test_an_address_needs_no_quotes(tmp_path: Path) -> None:
    assert read(tmp_path, HEAD + f"machines: [{{name: m, address: {address(1)}}}]\n").fleet.machines[
        0
    ].address == address(1)


def test_presets(tmp_path: Path) -> None:
    network = read(tmp_path, HEAD).fleet.network
    assert (network.chain_id, network.live, network.confirmations.depth) == (31338, False, 1)
    live = read(tmp_path, HEAD.replace("sandbox", "agung") + "protocol: v1\n").fleet.network
    assert (live.chain_id, live.live, live.confirmations.tag, live.did_deposit) == (9990, True, "finalized", 10**17)


def test_the_environment_replaces_the_endpoint_of_a_preset_only(tmp_path: Path) -> None:
    environ = {"PEAQOS_RPC_URL": "https://other.example"}
    found = read(tmp_path, HEAD, environ=environ)
    assert found.fleet.network.rpc_urls == ("https://other.example",)
    assert found.notices == ()
    live = read(tmp_path, HEAD.replace("sandbox", "peaq") + "protocol: v1\n", environ=environ)
    assert live.notices == ("PEAQOS_RPC_URL replaces the endpoint of peaq",)
    assert read(tmp_path, HEAD.replace("sandbox", CUSTOM), environ=environ).fleet.network.rpc_urls == (
        "https://a.example",
    )


CUSTOM = (
    "{rpcUrl: [https://a.example], chainId: 3338, contracts: {"
    f"identityRegistry: '{address(1)}', identityStaking: '{address(2)}', machineNft: '{address(3)}'}}}}\nprotocol: v1"
)


def test_a_custom_network_on_a_live_chain_is_live(tmp_path: Path) -> None:
    network = read(tmp_path, HEAD.replace("sandbox", CUSTOM)).fleet.network
    assert network.live
    assert network.confirmations.tag == "finalized"
    assert "protocol" in problems(tmp_path, HEAD.replace("sandbox", CUSTOM.removesuffix("\nprotocol: v1")))[0].message


def test_a_preset_with_changes(tmp_path: Path) -> None:
    text = HEAD.replace("sandbox", "{preset: sandbox, rpcUrl: 'http://localhost:1', confirmations: {tag: safe}}")
    network = read(tmp_path, text).fleet.network
    assert (network.rpc_urls, network.chain_id, network.confirmations.tag) == (("http://localhost:1",), 31338, "safe")


def test_variables_of_endpoints(tmp_path: Path) -> None:
    text = HEAD + 'services: {mcr: {url: "${MCR}"}, markets: {url: "${M:-https://m.example}"}}\n'
    assert problems(tmp_path, text) == []
    missing = problems(tmp_path, text, environ={})
    assert [(p.line, p.column, p.message) for p in missing] == [(6, 23, "the environment variable MCR is not set")]
    markets = read(tmp_path, text, environ={"MCR": "https://x.example"}).fleet.services.markets
    assert markets is not None and markets.url == "https://m.example"


def test_the_digest_changes_with_any_file(tmp_path: Path) -> None:
    path = example(tmp_path)
    before = load(path, KINDS, None).digest
    assert load(path, KINDS, None).digest == before
    (tmp_path / "sensors.csv").write_text(f"id,address\n101,{address(0x111)}\n")
    assert load(path, KINDS, None).digest != before


def test_expand_gives_every_resource_once(whole: Manifest) -> None:
    resources = expand(whole.fleet, KINDS)
    addresses = [str(resource.address) for resource in resources]
    assert len(set(addresses)) == len(addresses)
    assert {"machine_nft/air-101", "agent_pairing/air-001/ops"} <= set(addresses)


def test_expand_refuses_needs_of_no_kind(whole: Manifest) -> None:
    kinds = {name: kind for name, kind in KINDS.items() if name != "machine_identity"}
    with pytest.raises(ValueError, match="there is no kind machine_identity"):
        expand(whole.fleet, kinds)


def test_expand_refuses_two_resources_of_one_address(whole: Manifest) -> None:
    kinds = {**KINDS, "again": KINDS["machine_nft"]}
    with pytest.raises(ValueError, match="two resources are called machine_nft/air-001"):
        expand(whole.fleet, kinds)


# Keys that the manifest itself chooses are names, not known keys.
_CHOSEN = {"buyer-small", "eu-only", "ops", "firmware", "qvac", "key"}
_BARE = re.sub(r"#.*", lambda m: " " * len(m[0]), EXAMPLE)
_KEYS = list(re.finditer(r"([A-Za-z][A-Za-z-]{3,}): ", _BARE))
_KNOWN = [m for m in _KEYS if m[1] not in _CHOSEN and not EXAMPLE[: m.start()].endswith('"')]


@pytest.mark.parametrize("match", _KNOWN, ids=[f"{m[1]}-{m.start()}" for m in _KNOWN])
@pytest.mark.parametrize("typo", ["missing", "doubled", "swapped"])
def test_any_typo_in_a_known_key_is_told_with_the_right_word(tmp_path: Path, match: re.Match[str], typo: str) -> None:
    word = match[1]
    wrong = {
        "missing": word[:1] + word[2:],
        "doubled": word[:2] + word[1:],
        "swapped": word[0] + word[2] + word[1] + word[3:],
    }
    text = EXAMPLE[: match.start()] + wrong[typo] + EXAMPLE[match.start() + len(word) :]
    example(tmp_path)
    line = text.count("\n", 0, match.start()) + 1
    column = match.start() - text.rfind("\n", 0, match.start())
    found = problems(tmp_path, text)
    at = [p for p in found if (p.line, p.column) == (line, column)]
    if wrong[typo] == word:
        assert found == []
    else:
        assert [f"`{word}`" in p.message + p.hint for p in at] == [True], found


def test_what_stands_where_is_forgotten_and_found_again(whole: Manifest) -> None:
    (source,) = {entry.source for entry in whole.origin.machines if entry.file == str(whole.path) and not entry.row}
    assert source.data is None
    before = whole.origin.place(("machines", 0, "v1", "attributes", "firmware"))
    line = whole.path.read_text().splitlines()[before[1] - 1]
    assert before[0] == str(whole.path)
    assert "2.4.1" in line[before[2] - 1 :]
    # Of the text that was read, whatever became of the file.
    whole.path.write_text("")
    whole.origin.forget()
    assert whole.origin.place(("machines", 0, "v1", "attributes", "firmware")) == before
