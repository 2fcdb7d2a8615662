"""Runs operations on the SDK as it was published: a JSON line [name, arguments] in, a JSON line out."""

import json
import sys
from typing import Any

import changing
import founding
import reading

OPERATIONS = {
    operation.__name__: operation
    for operation in (
        founding.founding_flow,
        reading.read_fleet,
        reading.search,
        changing.write_attribute,
        changing.change_pairing,
        changing.change_record,
        changing.change_policy,
        changing.delete_endpoint,
        changing.drain,
    )
}


def answer(operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"result": OPERATIONS[operation](**arguments)}
    except Exception as error:
        code = str(getattr(error, "code", ""))
        return {"error": {"kind": type(error).__name__, "code": code, "message": str(error)}}


def main() -> None:
    out, sys.stdout = sys.stdout, sys.stderr  # whatever the SDK prints is not an answer
    for line in sys.stdin:
        print(json.dumps(answer(*json.loads(line))), file=out, flush=True)


if __name__ == "__main__":
    main()
