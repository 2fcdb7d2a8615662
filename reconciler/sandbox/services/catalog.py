"""The fixed catalogue: skills a machine may carry, and the services an agent can buy."""

from typing import Any

Entry = dict[str, Any]

_UPDATED = "2026-05-16T12:00:00.000Z"


def _skill(key: str, provider: str, label: str, service_type: str, *operations: str, **other: Any) -> Entry:
    return {
        "key": key,
        "providerKey": provider,
        "label": label,
        "description": f"{label} for machines",
        "direction": "machine-consumes",
        "scope": "ecosystem",
        "source": "partner",
        "listedBy": "peaq",
        "lastVerifiedAt": _UPDATED,
        "kind": "runtime",
        "serviceTypes": [service_type],
        "operations": list(operations),
        "authType": "none",
        "authState": "configured",
        "accessMode": "public",
        "distribution": "peaq-native",
        "maturity": "production",
        "executionMode": "native",
        "integrationStatus": "native",
        "requiredEnv": [],
        "requiresHumanEnablement": False,
        "referenceUrl": None,
        "artifactUrl": None,
        "handoff": None,
        **other,
    }


_HANDOFF: Entry = {
    "executionMode": "external-handoff",
    "integrationStatus": "partner-required",
    "accessMode": "partner-approved",
    "requiresHumanEnablement": True,
    "handoff": {"label": "Contact the provider", "url": "https://provider.invalid/start", "notes": ["By hand"]},
}

SKILLS: dict[str, Entry] = {
    skill["key"]: skill
    for skill in (
        _skill("pyth-price-feed", "pyth", "Pyth price feed", "oracle.price-feed", "price.latest"),
        _skill("walrus-store", "walrus", "Walrus storage", "storage.object", "object.put", "object.get"),
        _skill("exa-search", "exa", "Exa search", "machine.commerce", "search.query"),
        _skill("akash-deploy", "akash", "Akash compute", "compute.marketplace", "deployment.create", **_HANDOFF),
        _skill("geodnet-rtk", "geodnet", "GEODNET corrections", "data.location", "rtk.stream"),
        _skill("world-id", "world", "Proof of person", "identity.proof-of-person", "proof.verify", **_HANDOFF),
        _skill(
            "qvac-inference", "qvac", "Local inference", "device.control", "inference.run",
            direction="machine-offers", scope="core-product", source="peaq", distribution="mcp",
        ),
        _skill("helium-console", "helium", "Helium console", "network.partner-console", "console.open", **_HANDOFF),
    )
}  # fmt: skip

# What one call costs, in USD.
PRICES: dict[str, float] = {
    "svc_pyth_price": 0.01,
    "svc_walrus_store": 2,
    "svc_exa_search": 6,
    "svc_akash_compute": 15,
    "svc_geodnet_rtk": 0.5,
    "svc_world_id": 1,
    "svc_qvac_inference": 0,
    "svc_helium_console": 0,
}


def _service(ident: str, skill_key: str) -> Entry:
    skill = SKILLS[skill_key]
    carried = (
        "providerKey", "operations", "authType", "accessMode", "executionMode", "integrationStatus",
        "distribution", "maturity", "kind", "requiresHumanEnablement", "referenceUrl", "artifactUrl", "handoff",
        "description",
    )  # fmt: skip
    return {
        "id": ident,
        "skillKey": skill_key,
        "providerId": f"prov_{skill['providerKey']}",
        "providerLabel": skill["label"],
        "serviceType": skill["serviceTypes"][0],
        "name": skill["label"],
        **{name: skill[name] for name in carried},
        "capabilities": [operation.split(".")[0] for operation in skill["operations"][:1]],
        "region": "global",
        "freshnessSeconds": 60,
        "metadata": {"price": PRICES[ident], "currency": "USD"},
        "operationContracts": [
            {"operation": operation, "inputFields": [], "outputFields": [], "exampleInput": {}, "notes": []}
            for operation in skill["operations"]
        ],
        "updatedAt": _UPDATED,
    }


SERVICES: dict[str, Entry] = {
    ident: _service(ident, skill_key) for ident, skill_key in zip(PRICES, SKILLS, strict=True)
}


def manifest(skill: Entry) -> Entry:
    return {
        "key": skill["key"],
        "providerKey": skill["providerKey"],
        "label": skill["label"],
        "summary": skill["description"],
        "inputs": [{"key": "input", "type": "object", "required": False, "description": "Operation input"}],
        "outputs": [{"key": "result", "type": "object", "description": "Operation result"}],
    }
