"""HashiCorp Vault, KV version 2: tokens as secrets of one mount (https://developer.hashicorp.com/vault/api-docs)."""

import hashlib
from collections.abc import Callable
from urllib.parse import quote

import httpx

from reconciler.adapters.exchange import Reply, exchange_now, trouble
from reconciler.adapters.redact import host_of
from reconciler.core.errors import ConfigError
from reconciler.core.ports import Stored

SECONDS = 30.0


class VaultSink:
    """Writes `{"token": …}` to `<address>/v1/<mount>/data/<prefix>/<name>` and reads it back from there."""

    def __init__(self, address: str, mount: str, prefix: str, token: Callable[[], str]) -> None:
        """`token` is asked for when it is needed first: who only plans need not have it."""
        self._address = address.rstrip("/")
        self._mount, self._prefix = mount.strip("/"), prefix.strip("/")
        self._token = token

    def write(self, name: str, secret: str) -> None:
        """Raises ConfigError where Vault does not take it."""
        response = self._ask("POST", name, {"data": {"token": secret}})
        if response.status not in (200, 204):
            raise self._error(f"it answered {response.status}")

    def check(self) -> None:
        """ConfigError where Vault does not answer us, or not with this token."""
        response = self._ask("GET", ".check")
        if response.status == 403:
            raise self._error("it refuses our token")
        if response.status == 404 and _errors(response):
            raise self._error(f"nothing is mounted at {self._mount}")
        if response.status not in (200, 404):
            raise self._error(f"it answered {response.status}")

    def stored(self, name: str) -> Stored:
        try:
            response = self._ask("GET", name)
            if response.status == 404 and not _errors(response):
                return Stored(readable=True)
            secret = response.json()["data"]["data"]["token"] if response.status == 200 else None
        except (ConfigError, ValueError, KeyError, TypeError):
            return Stored(readable=False)
        if not isinstance(secret, str):
            return Stored(readable=False)
        return Stored(True, hashlib.sha256(secret.encode()).hexdigest(), secret[-4:])

    def _ask(self, method: str, name: str, body: object = None) -> Reply:
        path = "/".join(quote(part, safe="") for part in (*self._prefix.split("/"), *name.split("/")) if part)
        url = f"{self._address}/v1/{self._mount}/data/{path}"
        headers = {"X-Vault-Token": self._token(), "X-Vault-Request": "true"}
        try:
            return exchange_now(method, url, seconds=SECONDS, json=body, headers=headers)
        except (httpx.HTTPError, UnicodeError) as error:
            raise self._error(trouble(error)) from None

    def _error(self, why: str) -> ConfigError:
        return ConfigError(f"Vault at {host_of(self._address)} cannot be used: {why}", hint="check tokens.sink.vault")


def _errors(response: Reply) -> bool:
    """True where a 404 is not about a secret: of one that is not there Vault has nothing to say."""
    try:
        return bool(response.json().get("errors"))
    except (ValueError, AttributeError):
        return True
