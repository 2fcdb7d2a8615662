"""EIP-55, without the weight of a chain library."""

_DIGITS = "0123456789abcdef"
_SPELT = {(digit, nibble): digit.upper() if nibble >= "8" else digit for digit in _DIGITS for nibble in _DIGITS}
"""How a digit is written beside a digit of the hash: a look costs a fleet of thousands less than a comparison."""


def checksum(address: str) -> str:
    """`address` in its checksummed spelling."""
    # Only where it is needed: most of what it imports is for addresses in mixed case alone.
    from eth_hash.auto import keccak

    digits = address[2:].lower()
    digest = keccak(digits.encode()).hex()
    return "0x" + "".join([_SPELT[pair] for pair in zip(digits, digest, strict=False)])
