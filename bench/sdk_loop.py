"""The loop of the founding document on peaq-os-sdk as published. Runs in an environment that has nothing but the SDK.

Reads {"names": [...], "keys": [...], "fundWei": n, "proxyMachineId": n, ...} from stdin.
The proxy's own key is in the environment.
"""

import json
import sys
import time
from dataclasses import asdict
from typing import Any

started = time.perf_counter()

from eth_account import Account  # noqa: E402
from peaq_os_sdk import PeaqosClient  # noqa: E402

TRANSFER_GAS = 21_000


def main() -> None:
    wanted = json.load(sys.stdin)
    begun = time.perf_counter()
    proxy = PeaqosClient.from_env()
    ids = []
    for name, key in zip(wanted["names"], wanted["keys"], strict=True):
        ids.append(activate(proxy, name, key, wanted))
    proxy.write_proxy_did_attributes(wanted["proxyMachineId"], ids)
    print(json.dumps({"ids": ids, "inside": time.perf_counter() - begun, "imports": begun - started}))


def activate(proxy: PeaqosClient, name: str, key: str, wanted: dict[str, Any]) -> int:
    """One turn of the loop, with a plain transfer in the place of the Gas Station."""
    address = Account.from_key(key).address
    machine_id = proxy.register_for(address)
    proxy.mint_nft(machine_id, address)
    token = proxy.token_id_of(machine_id)
    transfer(proxy, address, wanted["fundWei"])
    machine = PeaqosClient(rpc_url=proxy.rpc_url, private_key=key, **asdict(proxy.contracts))
    machine.write_machine_did_attributes(
        machine_id=machine_id,
        nft_token_id=token,
        operator_did=f"did:peaq:{proxy.address}",
        documentation_url=wanted["documentationUrl"].format(name=name),
        data_api=wanted["dataApi"].format(name=name),
        data_visibility="public",
    )
    return machine_id


def transfer(proxy: PeaqosClient, to: str, wei: int) -> None:
    eth = proxy.web3.eth
    fields = {
        "to": to,
        "value": wei,
        "gas": TRANSFER_GAS,
        "gasPrice": eth.gas_price,
        "nonce": eth.get_transaction_count(proxy.address),
        "chainId": eth.chain_id,
    }
    sent = eth.send_raw_transaction(proxy.account.sign_transaction(fields).raw_transaction)
    if eth.wait_for_transaction_receipt(sent, timeout=60)["status"] != 1:
        raise RuntimeError(f"the transfer to {to} failed")


if __name__ == "__main__":
    main()
