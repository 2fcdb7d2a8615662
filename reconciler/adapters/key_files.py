"""Making key files."""

from pathlib import Path

from eth_account import Account

from reconciler.adapters.keyring import Secrets, open_key
from reconciler.adapters.sinks import write_private
from reconciler.core.errors import ConfigError
from reconciler.core.fleet import KeyRef


def generate(path: Path, what: str) -> str:
    """The address of the key at `path`, which is made unless it is there already: a name never gets a second key."""
    if path.exists():
        return str(open_key(Secrets(Path()), KeyRef(file=str(path)), f"the key of {what}").address)
    account = Account.create()
    try:
        write_private(path, "0x" + bytes(account.key).hex() + "\n")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}", hint="check the directory") from None
    return str(account.address)
