"""Clients of the SDK: the operator's from the environment, a machine's as the founding document builds it."""

from dataclasses import asdict

from eth_account import Account
from eth_account.messages import encode_defunct
from peaq_os_sdk import PeaqosClient


def proxy_client() -> PeaqosClient:
    return PeaqosClient.from_env()


def machine_client(proxy: PeaqosClient, key: str) -> PeaqosClient:
    """Reuses the proxy's endpoint and contracts, and signs with the machine's own key."""
    return PeaqosClient(rpc_url=proxy.rpc_url, private_key=key, **asdict(proxy.contracts))


def sign(key: str, message: str) -> str:
    """EIP-191, as 0x-hex."""
    return "0x" + bytes(Account.sign_message(encode_defunct(text=message), key).signature).hex()
