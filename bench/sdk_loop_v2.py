"""The loop of sdk_loop.py by protocol v2, on peaq-os-sdk as published: one activation after the other.

Reads {"names": [...], "documentationUrl": ..., "dataApi": ...} from stdin; the operator's key is in the environment.
"""

import json
import os
import sys
import time
from typing import Any

started = time.perf_counter()

from peaq_os_sdk import DeploymentConfig, PeaqosClient  # noqa: E402
from peaq_os_sdk.onboarding.activation_types import ActivateMachineParams, ServiceEndpointInput  # noqa: E402


def main() -> None:
    wanted = json.load(sys.stdin)
    begun = time.perf_counter()
    operator = PeaqosClient(
        rpc_url=os.environ["PEAQOS_RPC_URL"],
        private_key=os.environ["PEAQOS_PRIVATE_KEY"],
        deployment=DeploymentConfig(deployment_id=os.environ["PEAQOS_DEPLOYMENT_ID"]),
    )
    ids = [activate(operator, name, wanted) for name in wanted["names"]]
    print(json.dumps({"ids": ids, "inside": time.perf_counter() - begun, "imports": begun - started}))


def activate(operator: PeaqosClient, name: str, wanted: dict[str, Any]) -> str:
    """A machine that the operator pays for, owns and controls."""
    services = (
        ("#documentation", "Documentation", wanted["documentationUrl"]),
        ("#data-api", "DataApi", wanted["dataApi"]),
    )
    params = ActivateMachineParams(
        controller=operator.address,
        verification_methods=(),
        authentication=(),
        service_endpoints=tuple(ServiceEndpointInput(key, sort, url.format(name=name)) for key, sort, url in services),
        machine_type="dock",
        credential_subject=f"docks {name}".encode(),
        manufacturer=operator.address,
        tier=0,
    )
    return str(operator.activate_machine(params).machine_id)


if __name__ == "__main__":
    main()
