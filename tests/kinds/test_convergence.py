"""Any small fleet in any world: a plan is made without a fault, and once it is done there is nothing left to do."""

from collections.abc import Callable, Mapping
from typing import Any

from fakes import BOND, FakeWorld, Interpreter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kinds_harness import ACCOUNTS, fleet_of, observed
from saved_harness import saved_of

from reconciler.core.address import NEVER, Burden, Placeholder, Resolve, bind
from reconciler.core.change import Action
from reconciler.core.effects import Signer
from reconciler.core.kind import Resource
from reconciler.core.money import burdens_of
from reconciler.core.plan import Plan, Scene, build_plan, judge, known_outputs, steps_of
from reconciler.core.staleness import approved
from reconciler.kinds.peaq_v2.ground import token_id

OP, OTHER, AGENT, AGENT2 = (ACCOUNTS[name] for name in ("op", "other", "agent", "agent2"))
MACHINES = {"m1": ACCOUNTS["m1"], "m2": ACCOUNTS["m2"]}
FLEETS = [
    fleet_of(text)[1]
    for text in (
        'machines: [{name: m1, address: "@m1"}]',
        """
v1: {funding: {from: gasStation, below: 0.05 PEAQ, to: 0.2 PEAQ}}
machines:
  - {name: m1, address: "@m1", v1: {custody: none}}
  - {name: m2, address: "@m2", v1: {status: deactivated, attributes: {a: "1", b: null}}}
""",
        """
v1: {funding: {below: 0.05 PEAQ, to: 0.2 PEAQ}}
tokens: {mode: keepFresh, rotateBefore: 5m}
machinePolicies: {eu: {nativeOnly: true, budgetCap: {currency: USD, amount: 5}}}
delegationPolicies: {small: {allowedSkillKeys: [y, x], perTransactionLimit: 5}}
machines:
  - name: m1
    address: "@m1"
    v1: {attributes: {a: "1", b: null}}
    market: {machineType: sensor, runtimeProfile: linux, capabilities: [p, q], policies: [eu]}
    pairings: [{agent: ops, role: ops, delegationPolicy: small}]
    runtimeEndpoints: {qvac: {endpointBaseUrl: "http://h:1"}, old: null}
  - name: m2
    address: "@m2"
    market: {machineType: robot, runtimeProfile: linux, labels: {site: roof}}
    pairings: [{agent: ops, role: buyer, paused: true}]
""",
        """
protocol: v2
defaults: {v2: {machineType: sensor, credentialSubject: "{name}", renewBefore: 30d}}
machines:
  - name: m1
    metadata: {dataApi: "https://d.example.com"}
    v2:
      paused: true
      verificationMethods:
        - {id: "#one", type: T, publicKeyMultibase: z1}
        - {id: "#two", type: T, publicKeyMultibase: z2}
      authentication: ["#two"]
    market: {machineType: sensor, runtimeProfile: linux}
    pairings: [{agent: ops, role: ops}]
  - {name: m2, address: "@m2", key: {env: M2}, v2: {custody: machine, maxBond: 0.5 PEAQ, serviceEndpoints: []}}
""",
        """
protocol: v2
defaults: {v2: {machineType: sensor, credentialSubject: "{name}", custody: handover, owner: "@other"}}
machines:
  - {name: m1, v2: {verificationMethods: [{id: "#two", type: T, publicKeyMultibase: z2}], authentication: []}}
  - {name: m2, state: retired}
""",
    )
]
SIGNERS = {Signer("operator", "default"): OP, Signer("agent", "ops"): AGENT, Signer("agent", "known"): AGENT2}
SIGNERS |= {Signer("machine", name): account for name, account in MACHINES.items()}
TEXT = st.sampled_from(["", "1", "2", f"did:peaq:{OP}"])
OFF = "unreachable"
NO_PRICE = "rejects PriceNotAvailable"
NOW = 10**9


def some(values: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of these entries, or all, or none."""
    return st.fixed_dictionaries({}, optional={key: st.just(value) for key, value in values.items()})


@st.composite
def markets(draw: st.DrawFn, number: int, account: str) -> dict[str, Any]:
    """A record of a machine, perhaps with a pairing and endpoints. Never half a server's answer."""
    fields = {
        "displayName": draw(TEXT),
        "machineType": "sensor",
        "capabilities": draw(st.sampled_from([[], ["q", "p"]])),
    }
    status = draw(st.sampled_from(["draft", "active", "active", "blocked"]))
    record = {"id": f"mach_{number}", "identityRef": f"did:peaq:{account}", "status": status, **fields}
    pairing = {
        "id": f"pair_{number}",
        "agentAddress": draw(st.sampled_from([AGENT, AGENT.upper().replace("X", "x"), OTHER])),
        "agentProvider": "anthropic",
        "agentRole": draw(st.sampled_from(["ops", "buyer"])),
        "status": draw(st.sampled_from(["active", "paused", "revoked"])),
        "delegationPolicy": draw(st.sampled_from([{}, {"allowedSkillKeys": ["x", "y"], "perTransactionLimit": 5.0}])),
        "hasAuthToken": draw(st.booleans()),
        "updatedAt": "2026-01-01T00:00:00Z",
    }
    endpoints = [
        {"providerKey": key, "endpointBaseUrl": "http://h:1"} for key in draw(st.sets(st.sampled_from(["qvac", "old"])))
    ]
    return {
        "record": record,
        f"machines/mach_{number}/agent-pairings": draw(st.sampled_from([[], [pairing], OFF])),
        f"machines/mach_{number}/runtime-endpoints": draw(st.sampled_from([endpoints, endpoints, OFF])),
    }


@st.composite
def machines_v2(draw: st.DrawFn, account: str, machine_id: str) -> dict[str, Any]:
    """What the contracts of v2 say of a machine, if there is one."""
    if draw(st.booleans()):
        return {}
    methods = [[f"#{name}", "T", OP, f"z{key}"] for key, name in enumerate(("one", "two", "three"), 1)]
    methods = methods[: draw(st.integers(0, 3))]
    places = draw(st.lists(st.integers(0, len(methods) - 1), max_size=2)) if methods else []
    start, end = draw(st.sampled_from([(1, NOW + 10**8), (1, NOW + 10**6), (0, 0)]))
    registry = {
        "ownerOf": draw(st.sampled_from([OP, OP, OTHER, account, OFF])),
        "controllerOf": draw(st.sampled_from([OP, OP, OTHER, account])),
        "manufacturerOf": draw(st.sampled_from([OP, OP, OP, OTHER])),
        "verificationMethodsOf": draw(st.sampled_from([[methods], [methods], OFF])),
        "authenticationOf": [places],
        "serviceEndpointsOf": [draw(st.sampled_from([[], [["#api", "Api", "https://a.example.com"]]]))],
    }
    state = {"isOperatorPaused": draw(st.booleans()), "isGeneralPaused": draw(st.sampled_from([False, False, True]))}
    return {
        **{f"machineRegistry.{name}({machine_id})": value for name, value in registry.items()},
        **{f"machineStateAndSync.{name}({machine_id})": value for name, value in state.items()},
        f"machineSubscription.subscriptions({machine_id})": [0, start, end, BOND, 0],
        f"machineSubscription.subscriptionStatus({machine_id})": draw(st.sampled_from([1, 1, 4])),
    }


@st.composite
def worlds(draw: st.DrawFn) -> FakeWorld:
    views: dict[str, Any] = draw(some({f"identityRegistry.machineIdOfOwner({OP})": 10, "machineNft.paused()": True}))
    lists: dict[str, Any] = {
        "machines": [],
        **draw(some({"policies": [{"id": "pol_1", "name": "eu", "nativeOnly": False}]})),
    }
    balances, attributes = draw(some(dict.fromkeys(MACHINES.values(), 10**18))), {}
    for number, account in enumerate(MACHINES.values(), 1):
        if draw(st.booleans()):
            views[f"identityRegistry.machineIdOfOwner({account})"] = draw(st.sampled_from([number, number, OFF]))
            operator = draw(st.sampled_from([OP, OP, ACCOUNTS["zero"], OTHER]))
            views[f"identityRegistry.operatorOf({number})"] = operator
            status = draw(st.integers(1, 4))
            views[f"identityRegistry.getVerificationInfo({number})"] = [account, account, True, status]
            if draw(st.booleans()):
                views[f"machineNft.tokenIdOf({number})"] = draw(st.sampled_from([70 + number, OFF]))
                views[f"machineNft.ownerOf({70 + number})"] = draw(st.sampled_from([account, OTHER]))
        attributes[account] = draw(
            st.dictionaries(st.sampled_from(["machineId", "operator", "a", "b"]), TEXT, max_size=3)
        )
        if draw(st.booleans()):
            market = draw(markets(number, account))
            lists["machines"].append(market.pop("record"))
            lists |= market
        views |= draw(machines_v2(account, str(token_id("sensor", f"m{number}".encode()))))
    attributes[OP] = draw(some({"machineId": "9", "machines": draw(st.sampled_from(["[1, 7]", "junk", "[]"]))}))
    views |= draw(some({"machineSubscription.pendingVoucherCredit": 7 * 10**17}))
    views |= draw(some({"machineSubscription.requiredPeaqAmount": draw(st.sampled_from([10**17, NO_PRICE, OFF]))}))
    return FakeWorld(views=views, balances=balances, attributes=attributes, lists=lists, now=NOW)


def scene_of(resources: tuple[Resource, ...], world: FakeWorld, keys: frozenset[Signer]) -> Scene:
    return Scene(resources, observed(resources, world), keys.__contains__, gas_price=10**9, allow_token_loss=True)


def carry_out(
    plan: Plan,
    resources: tuple[Resource, ...],
    world: FakeWorld,
    keys: frozenset[Signer],
    between: Callable[[], None] = lambda: None,
) -> None:
    """Do every acting change in the order of the plan, each judged afresh, as the engine does."""
    by_address = {resource.address: resource for resource in resources}
    burdens = burdens_of(steps_of(plan.acting), plan.gas_price)
    interpreter = Interpreter(world, SIGNERS.__getitem__)

    def resolver(scene: Scene) -> Resolve:
        known = known_outputs(scene)

        def resolve(wanted: Placeholder) -> object:
            if isinstance(wanted, Burden):
                return burdens.get(wanted, 0)
            value = known(wanted)
            return NEVER if value is None else value

        return resolve

    for planned in plan.acting:
        scene = scene_of(resources, world, keys)
        now = judge(scene, by_address[planned.address], resolver(scene))
        assert now.action.acts or now.action is Action.NO_OP, f"{now.address} became {now.action}: {now.reason}"
        for step in now.steps:
            interpreter.perform(bind(step.effect, resolver(scene_of(resources, world, keys))))
            between()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(FLEETS), worlds(), st.sets(st.sampled_from(sorted(SIGNERS)), max_size=2))
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(
    resources: tuple[Resource, ...], world: FakeWorld, missing: set[Signer]
) -> None:
    keys = frozenset(SIGNERS) - missing
    first = build_plan(scene_of(resources, world, keys))
    carry_out(first, resources, world, keys)
    again = build_plan(scene_of(resources, world, keys))
    assert not again.acting, [(str(c.address), c.action, c.reason, c.fields) for c in again.acting]
    for change in first.changes:
        assert change.action.acts or not change.steps, f"{change.address} is {change.action} and has steps"


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(FLEETS), worlds(), st.sets(st.sampled_from(sorted(SIGNERS)), max_size=2))
def test_a_saved_plan_can_be_finished_from_wherever_it_was_stopped(
    resources: tuple[Resource, ...], world: FakeWorld, missing: set[Signer]
) -> None:
    keys = frozenset(SIGNERS) - missing
    first = build_plan(scene_of(resources, world, keys))
    saved = saved_of(first)

    def stopped_here() -> None:
        scene = scene_of(resources, world, keys)
        fresh = build_plan(scene)
        assert approved(saved, fresh, scene).acting == fresh.acting

    carry_out(first, resources, world, keys, stopped_here)
    scene = scene_of(resources, world, keys)
    assert not approved(saved, build_plan(scene), scene).acting
