"""Second factors of Gas Station owners: enrolment, verification, lock-out."""

import struct
import zlib

import pyotp

from reconciler.sandbox.config import SandboxConfig
from reconciler.sandbox.services.clock import now_ms
from reconciler.sandbox.services.faults import Faults
from reconciler.sandbox.services.store import Document, Store

ISSUER = "peaq sandbox"


class GasError(Exception):
    """A refusal of the Gas Station."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class SecondFactors:
    def __init__(self, config: SandboxConfig, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults
        if config.totp_secret and config.operator_address:
            preset = self._load(config.operator_address) or self._blank(config.operator_address)
            self._store.put("totp", preset | {"secret": config.totp_secret, "active": True})

    def enrol(self, owner: str) -> str:
        """The otpauth URI. Asked again before confirmation, the secret is a new one."""
        entry = self._load(owner)
        if entry is not None and entry["active"]:
            raise GasError(409, "2FA_ALREADY_CONFIGURED", "2FA is already configured for this owner")
        entry = self._blank(owner)
        self._store.put("totp", entry)
        return self._generator(entry["secret"]).provisioning_uri(name=owner, issuer_name=ISSUER)

    def confirm(self, owner: str, code: str) -> None:
        self._verify(self._configured(owner), code, spend=False)
        self._store.put("totp", self._configured(owner) | {"active": True})

    def check(self, owner: str, code: str) -> None:
        entry = self._configured(owner)
        if not entry["active"]:
            raise GasError(403, "2FA_NOT_ACTIVE", "2FA is not confirmed for this owner")
        self._verify(entry, code, spend=True)

    def _configured(self, owner: str) -> Document:
        entry = self._load(owner)
        if entry is None:
            raise GasError(400, "2FA_NOT_CONFIGURED", "2FA is not set up for this owner")
        return entry

    def _verify(self, entry: Document, code: str, *, spend: bool) -> None:
        switches = self._faults.switches
        if switches.totpLocked or now_ms() < entry["lockedUntilMs"]:
            raise GasError(423, "2FA_LOCKED", "2FA is locked after too many invalid codes")
        step = _matching_step(self._generator(entry["secret"]), code, switches.totpWindow)
        if step is None or (not switches.totpReuse and step <= entry["lastStep"]):
            failures = entry["failures"] + 1
            locked = failures >= switches.totpMaxFailures
            until = now_ms() + switches.totpLockSeconds * 1000 if locked else 0
            self._store.put("totp", entry | {"failures": 0 if locked else failures, "lockedUntilMs": until})
            raise GasError(401, "INVALID_2FA", "Invalid 2FA code")
        self._store.put("totp", entry | {"failures": 0, "lastStep": step if spend else entry["lastStep"]})

    def _generator(self, secret: str) -> pyotp.TOTP:
        return pyotp.TOTP(secret, interval=self._faults.switches.totpPeriodSeconds)

    def _load(self, owner: str) -> Document | None:
        return self._store.get("totp", owner.lower())

    def _blank(self, owner: str) -> Document:
        return {
            "id": owner.lower(),
            "secret": pyotp.random_base32(),
            "active": False,
            "failures": 0,
            "lockedUntilMs": 0,
            "lastStep": 0,
        }


def _matching_step(totp: pyotp.TOTP, code: str, window: int) -> int | None:
    """The time step a code belongs to, among the current one and its neighbours."""
    current = now_ms() // 1000 // totp.interval
    for offset in sorted(range(-window, window + 1), key=abs):
        if pyotp.utils.strings_equal(code, totp.generate_otp(current + offset)):
            return current + offset
    return None


def image(uri: str, kind: str) -> bytes:
    """Stands in for the QR image. An SVG carries the URI as text; a PNG is blank."""
    if kind == "svg":
        text = uri.replace("&", "&amp;").replace("<", "&lt;")
        size = 'width="720" height="24"'
        return f'<svg xmlns="http://www.w3.org/2000/svg" {size}><text y="16">{text}</text></svg>'.encode()
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\x00" + b"\xff" * 8) * 8)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
