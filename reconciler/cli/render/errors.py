"""An error as JSON data. Light, because every command may need it."""

from typing import Any

from reconciler.core.errors import FleetError, ManifestError
from reconciler.core.value import asdict

FORMAT = "1.1"


def error_data(error: FleetError) -> dict[str, Any]:
    data: dict[str, Any] = {"code": error.code, "message": error.message, "where": error.where, "hint": error.hint}
    if isinstance(error, ManifestError):
        data["problems"] = [asdict(problem) for problem in error.problems]
    return {"formatVersion": FORMAT, "error": data, "exitCode": error.exit_code}
