"""Making key files: plain ones of mode 0600, or encrypted keystores."""

import json
from pathlib import Path

from eth_account import Account

from reconciler.adapters.keys import open_key
from reconciler.adapters.secrets import Secrets
from reconciler.adapters.sinks import write_private
from reconciler.core.errors import ConfigError
from reconciler.core.fleet import KeyRef


def generate(secrets: Secrets, ref: KeyRef, what: str) -> tuple[str, Path]:
    """Address and file of the key that `ref` names, made unless it is there: a name never gets a second key."""
    place = ref.file or ref.keystore
    if place is None:
        raise ConfigError(f"the key of {what} is not kept in a file", hint="keys are made into files and keystores")
    path = secrets.path(place)
    if path.exists():
        return open_key(secrets, ref, f"the key of {what}").address, path
    account = Account.create()
    text = "0x" + bytes(account.key).hex()
    if ref.keystore is not None:
        if ref.password is None:
            raise ConfigError(f"the keystore of {what} has no password reference", hint="add `password: {env: …}`")
        text = json.dumps(Account.encrypt(account.key, secrets.read(ref.password, f"the password of {path.name}")))
    try:
        write_private(path, text + "\n", new=True)
    except FileExistsError:
        return open_key(secrets, ref, f"the key of {what}").address, path
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}", hint="check the directory") from None
    return str(account.address), path
