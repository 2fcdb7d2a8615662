"""One-time codes: made as late as possible, and never two in one time step of an owner, whatever process asks."""

import fcntl
import json
import os
from pathlib import Path
from typing import Protocol

import pyotp

from reconciler.adapters.secrets import Secrets
from reconciler.core.effects import Signer
from reconciler.core.errors import ConfigError
from reconciler.core.fleet import SecretRef
from reconciler.core.ports import Clock
from reconciler.core.value import Value

PERIOD = 30
"""Seconds of a time step, unless an otpauth URI says otherwise."""
SHORT = "112 bits"
"""Under this pyotp makes no codes, after NIST SP 800-63B."""
FAR = 600
"""Seconds ahead from which on a used step was written by a clock that was wrong, and is not waited for."""
EDGE = 0.05
"""Part of a step, at both its ends, in which no code is made: clocks never agree quite."""


class Generators(Protocol):
    """Makes codes from secrets that stay with it."""

    def period(self, signer: Signer) -> int:
        """Seconds of one time step."""
        ...

    def code(self, signer: Signer, step: int) -> str: ...


def open_totp(secrets: Secrets, ref: SecretRef, what: str) -> pyotp.TOTP:
    """The generator behind a reference to a base32 secret or an otpauth URI. Missing or ConfigError."""
    text = secrets.read(ref, what)
    try:
        found = pyotp.parse_uri(text) if text.startswith("otpauth://") else pyotp.TOTP(text.replace(" ", ""))
        found.generate_otp(1)
    except Exception as error:
        if SHORT in str(error):
            hint = "ask peaq to enrol the operator anew with a longer one, or declare v1.funding.from: operator"
            raise ConfigError(f"{what} is shorter than {SHORT}, which is not safe", hint=hint) from None
        raise _no_secret(what) from None
    if not isinstance(found, pyotp.TOTP):
        raise _no_secret(what)
    return found


def _no_secret(what: str) -> ConfigError:
    hint = "it must be base32 or an otpauth:// URI, as `fleetctl gas-station setup` writes it"
    return ConfigError(f"{what} is not a TOTP secret", hint=hint)


class UsedSteps(Value):
    """When the last used step of each owner ends, in files that all processes of a user share."""

    directory: Path

    def claim(self, owner: str, begins: float, ends: float) -> bool:
        """Take the step for us, durably; False where it, or a later one, is taken. Server time, in seconds."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self.directory / f"{owner.lower()}.json").open("a+") as stream:
            # The kernel lets go of the lock when the file is closed, however that comes about.
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.seek(0)
            last = _number(stream.read())
            if begins < last <= ends + FAR:
                return False
            stream.truncate(0)
            stream.write(json.dumps(ends))
            stream.flush()
            os.fsync(stream.fileno())
            return True


class Pace(Value):
    """Gives codes, one a time step and owner."""

    generators: Generators
    used: UsedSteps
    clock: Clock

    def spend(self, owner: str, skew: float) -> None:
        """Take the present step of an owner whose code came from elsewhere."""
        begins = (self.clock.now() + skew) // PERIOD * PERIOD
        self.used.claim(owner, begins, begins + PERIOD)

    async def code(self, signer: Signer, owner: str, skew: float) -> str:
        """A code that was never used, waiting for the next step where it must; `skew` is server minus us, seconds."""
        period = self.generators.period(signer)
        edge = period * EDGE
        while True:
            step, into = divmod(self.clock.now() + skew, period)
            if edge <= into <= period - edge and self.used.claim(owner, step * period, (step + 1) * period):
                return self.generators.code(signer, int(step))
            await self.clock.sleep(edge - into if into < edge else period - into + edge)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
