"""Runs operations on the SDK as it was published: a JSON line [name, arguments] in, a JSON line out.

The operations are the public functions of the modules that are named on the command line.
"""

import importlib
import inspect
import json
import sys
from collections.abc import Callable
from typing import Any


def operations(names: list[str]) -> dict[str, Callable[..., Any]]:
    modules = [importlib.import_module(name) for name in names]
    functions = [found for module in modules for _, found in inspect.getmembers(module, inspect.isfunction)]
    return {found.__name__: found for found in functions if found.__module__ in names}


def answer(operation: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"result": operation(**arguments)}
    except Exception as error:
        code = str(getattr(error, "code", ""))
        return {"error": {"kind": type(error).__name__, "code": code, "message": str(error)}}


def main() -> None:
    out, sys.stdout = sys.stdout, sys.stderr  # whatever the SDK prints is not an answer
    known = operations(sys.argv[1:])
    for line in sys.stdin:
        name, arguments = json.loads(line)
        print(json.dumps(answer(known[name], arguments)), file=out, flush=True)


if __name__ == "__main__":
    main()
