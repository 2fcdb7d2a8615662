"""What a machine is asked to sign, for a person to read before it does."""

from collections.abc import Iterator

from reconciler.core.signing import Call, Deed, Said, Write
from reconciler.core.text import one_line

WORDS = {
    "approve": "let {spender} take up to {amount}",
    "activateMachine": "activate {machine}, which pays its bond and writes its DID document",
    "activate": "open the subscription of {machine}",
    "renew": "renew the subscription of {machine}",
    "suspend": "suspend {machine}",
    "resume": "resume {machine}",
    "setController": "let {controller} control {machine}",
    "setVerificationMethods": "replace the keys of {machine}",
    "setAuthentication": "replace what {machine} authenticates with",
    "setServiceEndpoints": "replace the services of {machine}",
}
"""By function; what of its arguments is not named here stands below."""


def said(deed: Deed) -> Iterator[str]:
    """Lines, of which all but the first are indented."""
    if isinstance(deed, Write):
        yield _written(deed)
    else:
        yield from _called(deed)


def _written(write: Write) -> str:
    if write.action == "remove":
        return f"remove DID attribute {write.attribute!r}"
    return f"{write.action} DID attribute {write.attribute!r} = {write.value!r}"


def _called(call: Call) -> Iterator[str]:
    words = WORDS[call.function]
    yield one_line(words.format(**call.arguments))
    for name, value in call.arguments.items():
        if f"{{{name}}}" not in words:
            yield f"    {one_line(f'{name}: {_listed(value)}')}"


def _listed(value: Said) -> str:
    return value if isinstance(value, str) else ", ".join(value) or "none"
