"""EIP-55, without the weight of a chain library."""


def checksum(address: str) -> str:
    """`address` in its checksummed spelling."""
    # Only where it is needed: most of what it imports is for addresses in mixed case alone.
    from eth_hash.auto import keccak

    digits = address[2:].lower()
    digest = keccak(digits.encode()).hex()
    return "0x" + "".join(d.upper() if int(h, 16) >= 8 else d for d, h in zip(digits, digest, strict=False))
