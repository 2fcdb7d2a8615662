"""Which endpoints a key or a token may be sent to."""

from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, WithJsonSchema


def is_endpoint(url: str) -> bool:
    """True for a whole http or https URL with a host, and with a port that can be one."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def is_private(url: str) -> bool:
    """True where nobody on the way can read what is sent: https, or http that stays on this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or _loopback(parts.hostname or "")


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _whole(url: str) -> str:
    if not is_endpoint(url):
        raise ValueError("not an endpoint: `http://` or `https://`, a host and perhaps a port are expected")
    return url


def _checked(url: str) -> str:
    # Not by a pattern: `http://localhost:x@example.com` begins like loopback and is not. And never quoted.
    if not is_endpoint(url):
        raise ValueError("not an endpoint: a URL with `https://` is expected")
    if not is_private(url):
        raise ValueError("plain http is refused beyond this machine: anyone could read it")
    return url


Endpoint = Annotated[str, AfterValidator(_whole)]
PrivateUrl = Annotated[str, AfterValidator(_checked), WithJsonSchema({"type": "string", "pattern": "^https?://"})]
"""https, or http on this machine."""
