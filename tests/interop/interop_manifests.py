"""The manifests of these tests."""

MACHINES = ("dock-1", "dock-2", "dock-3")
AGENTS = ("ops", "buyer")

HEAD = """\
apiVersion: fleetctl/v1
kind: Fleet
network: sandbox
protocol: v1
services:
  markets: {url: "${PEAQOS_ORCHESTRATION_URL}", apiKey: {env: PEAQOS_API_KEY}}
  mcr: {url: "${PEAQOS_MCR_API_URL}"}
operator: {key: {env: PEAQOS_PRIVATE_KEY}}
v1: {publishFleet: true, funding: {from: operator, below: 0.05 PEAQ, to: 0.2 PEAQ}}
tokens: {mode: onChange, sink: {directory: secrets/}}
"""

APPLIED = (
    HEAD
    + """\
name: docks
delegationPolicies:
  careful: {allowedSkillKeys: [pyth-price-feed], perTransactionLimit: 5, dailySpendLimit: 20, currency: USD}
  generous: {deniedServiceIds: [], perTransactionLimit: 12.5, dailySpendLimit: 80, currency: EUR}
machinePolicies:
  docks-eu: {regionRules: [eu], nativeOnly: true}
  docks-cheap: {budgetCap: {currency: USD, amount: 40}}
agents:
  ops: {provider: anthropic, key: {file: keys/ops.key}}
  buyer: {provider: openai, key: {file: keys/buyer.key}}
defaults:
  metadata: {documentationUrl: "https://docs.example.com/{name}", dataApi: "https://data.example.com/{name}"}
  v1: {dataVisibility: public}
  market: {machineType: dock, runtimeProfile: linux-arm64, capabilities: [price-feed], policies: [docks-eu]}
machines:
  - name: dock-1
    key: {file: keys/dock-1.key}
    pairings: [{agent: ops, role: ops, delegationPolicy: careful}]
    runtimeEndpoints: {qvac: {endpointBaseUrl: "http://10.0.0.7:8080", networkScope: lan}}
  - name: dock-2
    key: {file: keys/dock-2.key}
    market: {policies: [docks-eu, docks-cheap], labels: {site: berlin}}
    pairings:
      - {agent: ops, role: ops, delegationPolicy: careful}
      - {agent: buyer, role: buyer, delegationPolicy: generous, description: buys data}
  - name: dock-3
    key: {file: keys/dock-3.key}
    v1: {dataVisibility: onchain}
    market: {displayName: The third dock}
    pairings: [{agent: buyer, role: buyer, delegationPolicy: generous}]
"""
)

FOUNDED = {
    "metadata": {
        "documentationUrl": "https://example.com/docs",
        "dataApi": "https://example.com/events",
        "dataVisibility": "public",
    },
    "market": {"machineType": "sensor", "runtimeProfile": "linux-arm64", "capabilities": ["price-feed"]},
    "agent": {"provider": "anthropic", "role": "ops"},
    "policy": {
        "allowedSkillKeys": ["pyth-price-feed"],
        "perTransactionLimit": 5,
        "dailySpendLimit": 20,
        "currency": "USD",
    },
}
"""What the founding flow is told; `founded` declares the same."""


def founded(machines: dict[str, str], agent: str) -> str:
    """The manifest of a fleet that exists already: addresses by name, and keys in keys/."""
    listed = "".join(
        f'  - {{name: {name}, address: "{address}", key: {{file: keys/{name}.key}}}}\n'
        for name, address in machines.items()
    )
    return (
        HEAD
        + f"""\
name: founded
delegationPolicies:
  small: {{allowedSkillKeys: [pyth-price-feed], perTransactionLimit: 5, dailySpendLimit: 20, currency: USD}}
agents:
  ops: {{address: "{agent}", provider: anthropic, key: {{file: keys/ops.key}}}}
defaults:
  metadata: {{documentationUrl: "https://example.com/docs", dataApi: "https://example.com/events"}}
  v1: {{dataVisibility: public}}
  market: {{machineType: sensor, runtimeProfile: linux-arm64, capabilities: [price-feed]}}
  pairings: [{{agent: ops, role: ops, delegationPolicy: small}}]
machines:
{listed}"""
    )
