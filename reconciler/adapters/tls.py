"""Whom connections trust, read once: that takes as long as a dozen requests."""

import ssl
from functools import lru_cache

import httpx


@lru_cache(maxsize=1)
def trusted() -> ssl.SSLContext:
    """The certificates that are trusted. The clients of httpx say themselves what they offer over it."""
    return httpx.create_ssl_context()


@lru_cache(maxsize=1)
def offering() -> ssl.SSLContext:
    """The same for a connection that only asks: HTTP/2 is offered, and 1.1."""
    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context
