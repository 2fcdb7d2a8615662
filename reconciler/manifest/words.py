"""YAML's own words for what stands in a file."""


def sort_of(value: object) -> str:
    """`text`, `a number`, `a list`, … never the value itself."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list | tuple) else "a mapping"
