"""Where values come from: every field of every kind is found at the very line that says it."""

from pathlib import Path

import pytest
from fakes import FakeWorld
from kinds_harness import ACCOUNTS, KINDS, named, observed

from reconciler.cli.provenance import NOWHERE, sources
from reconciler.core.plan import Scene, build_plan
from reconciler.manifest.expand import expand
from reconciler.manifest.parse import load
from reconciler.manifest.provenance import BUILT_IN

FLEET = """\
apiVersion: fleetctl/v1
kind: Fleet
name: test
network: sandbox
services: {markets: {url: "http://127.0.0.1:9"}}
operator:
  address: "@op"
  key: {env: KEY}
v1:
  funding:
    below: 0.05 PEAQ
    to: 0.2 PEAQ
agents:
  ops:
    address: "@agent"
    did: "did:pkh:eip155:3338:@agent"
    provider: anthropic
machinePolicies:
  eu:
    allowedSkillKeys: [policy-skill]
    deniedSkillKeys: [policy-not]
    budgetCap: {currency: USD, amount: 5}
    regionRules: [eu]
    nativeOnly: true
    handoffAllowed: false
    requiredCapabilities: [gps]
delegationPolicies:
  small:
    allowedSkillKeys: [skill-a]
    deniedSkillKeys: [skill-b]
    allowedServiceIds: [service-a]
    deniedServiceIds: [service-b]
    perTransactionLimit: 5
    dailySpendLimit: 20
    currency: EUR
defaults:
  metadata:
    documentationUrl: https://docs.example.com/{name}
    dataApi: https://default.example.com
  market:
    machineType: sensor
    runtimeProfile: linux
    labels: {site: default}
machineSets:
  - from: {csv: machines.csv}
    template:
      name: "m{id}"
      address: "{address}"
      v1: {attributes: {firmware: "{firmware}"}}
      market: {runtimeProfile: arm}
include: [sites/*.yaml]
v2:
  funding:
    reserve: 0.02 PEAQ
"""
SITE = """\
machines:
  - name: m1
    address: "@m1"
    metadata:
      dataApi: https://own.example.com
    v1:
      dataVisibility: public
      status: active
      attributes:
        colour: red
    market:
      displayName: First
      ownerId: did:peaq:other
      capabilities: [price-feed]
      labels: {site: roof}
      policies: [eu]
      skillKeys: [skill-c]
      status: active
    pairings:
      - agent: ops
        role: operations
        delegationPolicy: small
        description: the first
        paused: true
    runtimeEndpoints:
      QVAC:
        endpointBaseUrl: http://h:1
        label: local
        modelAlias: alias
        networkScope: lan
        probePath: /health
        authType: bearer
        authToken: {env: TOKEN}
"""
CSV = f"id,address,firmware\n2,{ACCOUNTS['m2']},2.4.1\n"
LOCK = 'machines:\n  m3: "0x00000000000000000000000000000000000000b3"\n'
V2 = """\
  - name: v2
    protocol: v2
    v2:
      machineType: sensor
      credentialSubject: v2
      manufacturer: "@agent"
      tier: basic
      controller: "@op"
      custody: handover
      owner: "@other"
      paused: true
      renewBefore: 30d
      verificationMethods: [{id: "#k", type: T, publicKeyMultibase: z}]
      authentication: ["#k"]
      serviceEndpoints: [{id: "#s", type: S, url: "https://s.example.com"}]
  - name: m1-v2
    protocol: v2
    successorOf: m1
    v2: {machineType: sensor, credentialSubject: "peaqos:v1:31338:0x1000000000000000000000000000000000000001:7:@m1"}
  - name: own
    protocol: v2
    address: "@agent2"
    v2: {machineType: sensor, credentialSubject: own, custody: machine}
"""
BARE = "  - {name: m3, key: {file: m3.key}, market: {machineType: robot, runtimeProfile: x}}\n"
Explained = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Explained]:
    """The directory of a manifest that writes out everything, and what it says of its fields by resource."""
    root = tmp_path_factory.mktemp("fleet")
    (root / "sites").mkdir()
    files = {"fleet.yaml": FLEET, "sites/a.yaml": SITE + BARE + V2, "machines.csv": CSV, "fleet.lock.yaml": LOCK}
    for name, text in files.items():
        (root / name).write_text(named(text))
    manifest = load(root / "fleet.yaml", KINDS, None)
    resources = expand(manifest.fleet, KINDS)
    plan = build_plan(Scene(resources, observed(resources, FakeWorld()), lambda signer: True))
    found = sources(manifest, resources, plan)
    return root, {str(a): {k: v.replace(f"{root}/", "") for k, v in fields.items()} for a, fields in found.items()}


NOT_WRITTEN = {
    ("allowance/default", "allowance"): NOWHERE,
    ("operator_identity/default", "bond"): "registry/v1",
    ("machine_identity/m1", "bond"): "registry/v1",
    ("operator_did/default", "machineId"): "operator_identity/default",
    ("machine_did/m1", "machineId"): "machine_identity/m1",
    ("machine_did/m1", "nftTokenId"): "machine_nft/m1",
    ("machine_did/m1", "operator"): "machine_identity/m1",
}
LINES = {
    ("machine_activation/v2", "did"): "credentialSubject:",
    ("subscription/v2", "periodEnd"): "renewBefore:",
    ("operator_did/default", "machines"): "machineSets:",
    ("session_token/m1/ops", "token"): "- agent: ops",
    ("wallet_funding/m1", "balance"): "to: 0.2 PEAQ",
    ("machine_funding/own", "balance"): "reserve: 0.02 PEAQ",
    ("agent_pairing/m1/ops", "agentAddress"): 'address: "@agent"',
    ("agent_pairing/m1/ops", "agentDid"): "did:",
    ("agent_pairing/m1/ops", "agentProvider"): "provider:",
    ("agent_pairing/m1/ops", "agentRole"): "role:",
    ("agent_pairing/m1/ops", "status"): "paused:",
    ("machine_record/m1", "identityRef"): 'address: "@m1"',
    ("machine_record/m1", "policyIds"): "policies:",
    ("machine_identity/m1", "account"): 'address: "@m1"',
    ("machine_nft/m1", "recipient"): 'address: "@m1"',
    ("operator_identity/default", "account"): 'address: "@op"',
    ("machine_did/m1", "documentation_url"): "documentationUrl:",
    ("machine_did/m1", "data_api"): "dataApi: https://own",
    ("machine_did/m1", "data_visibility"): "dataVisibility:",
}
"""How the line begins, where it is not the field's own name."""
ABOUT = [kind for kind in KINDS if kind not in ("registry", "dues", "predecessor")]


@pytest.mark.parametrize("kind", ABOUT)
def test_every_field_is_found_at_its_line(kind: str, explained: tuple[Path, Explained]) -> None:
    root, found = explained
    names = ("m1", "m1/ops", "m1/qvac", "default", "eu", "v2", "own")
    of_kind = {name.partition("/")[2]: name for name in found if name.partition("/")[0] == kind}
    address = next(of_kind[name] for name in names if name in of_kind)
    assert found[address]
    for field, source in found[address].items():
        if (address, field) in NOT_WRITTEN:
            assert source == NOT_WRITTEN[address, field]
            continue
        assert source not in (NOWHERE, BUILT_IN), (address, field)
        file, _, line = source.split(",")[0].removesuffix(" (default)").partition(":")
        text = (root / file).read_text().splitlines()[int(line) - 1].strip()
        expected = LINES.get((address, field), f"{field.removeprefix('delegationPolicy.')}:")
        assert text.removeprefix("- ").startswith(named(expected).removeprefix("- ")), (address, field, source, text)


def test_no_kind_leaves_its_fields_to_chance(explained: tuple[Path, Explained]) -> None:
    """A kind that can differ in a field says where that field is written: the place is a choice, not the default."""
    for kind in (KINDS[name] for name in ABOUT):
        assert "written" in vars(type(kind)), kind.name


@pytest.mark.parametrize(
    ("address", "field", "source"),
    [
        ("machine_record/m1", "machineType", "fleet.yaml:41 (default)"),
        ("machine_record/m1", "displayName", "sites/a.yaml:12"),
        ("machine_record/m1", "labels", "sites/a.yaml:15, over the default at fleet.yaml:43"),
        ("machine_record/m2", "status", BUILT_IN),
        ("machine_record/m2", "displayName", "machines.csv:2, template at fleet.yaml:47"),
        ("machine_record/m2", "runtimeProfile", "fleet.yaml:50 (template), over the default at fleet.yaml:42"),
        ("machine_record/m2", "ownerId", "fleet.yaml:7"),
        ("machine_did/m2", "firmware", "machines.csv:2, template at fleet.yaml:49"),
        ("machine_nft/m3", "recipient", "fleet.lock.yaml:2"),
        ("machine_identity/m2", "status", BUILT_IN),
        ("machine_record/v2", "identityRef", "sites/a.yaml:39"),
        ("machine_activation/m1-v2", "successorOf", "sites/a.yaml:52"),
    ],
)
def test_by_what_way_a_value_comes(address: str, field: str, source: str, explained: tuple[Path, Explained]) -> None:
    assert explained[1][address][field] == source
