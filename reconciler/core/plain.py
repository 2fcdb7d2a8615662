"""Values as JSON has them, to be shown, compared and remembered."""

from collections.abc import Mapping
from typing import Any

from reconciler.core.value import Value


def plain(value: Any) -> Any:
    """`value` as JSON data: values by field, bytes as hex, anything else as its text."""
    if isinstance(value, Value):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return value if isinstance(value, str | int | float | bool | None) else str(value)
