"""The one error type of Machine Markets, and the HTTP status of each code."""

from starlette.responses import JSONResponse

# The product publishes one status only (400 for paging). The rest are this sandbox's reading:
# clients must branch on the code.
STATUS: dict[str, int] = {
    "AUTH_REQUIRED": 401,
    "AUTH_INVALID": 401,
    "AGENT_AUTH_REQUIRED": 401,
    "AGENT_AUTH_INVALID": 401,
    "AGENT_AUTH_EXPIRED": 401,
    "VALIDATION_ERROR": 400,
    "NOT_FOUND": 404,
    "MACHINE_NOT_ACTIVE": 409,
    "MACHINE_NOT_ACTIVATED": 409,
    "MACHINE_IDENTITY_EXISTS": 409,
    "MACHINE_IDENTITY_IMMUTABLE": 409,
    "MACHINE_IDENTITY_PROOF_REQUIRED": 400,
    "MACHINE_IDENTITY_PROOF_INVALID": 403,
    "MACHINE_IDENTITY_PROOF_EXPIRED": 410,
    "PEAQOS_IDENTITY_UNAVAILABLE": 503,
    "AGENT_PAIRING_PROOF_REQUIRED": 400,
    "AGENT_PAIRING_PROOF_INVALID": 403,
    "AGENT_PAIRING_PROOF_EXPIRED": 410,
    "AGENT_PAIRING_UNAVAILABLE": 409,
    "AGENT_PAIRING_REQUIRED": 403,
    "AGENT_PAIRING_INACTIVE": 409,
    "AGENT_POLICY_DENIED": 403,
    "AGENT_SPEND_LIMIT_EXCEEDED": 403,
    "AGENT_DAILY_LIMIT_EXCEEDED": 403,
    "EXECUTION_UNSUPPORTED": 409,
    "INTERNAL_ERROR": 500,
}


class ApiError(Exception):
    """A refusal of Machine Markets."""

    def __init__(self, code: str, message: str, *, status: int | None = None, details: object = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = STATUS[code] if status is None else status
        self.details = details

    def response(self) -> JSONResponse:
        error: dict[str, object] = {"code": self.code, "message": self.message}
        if self.details is not None:
            error["details"] = self.details
        return JSONResponse({"error": error}, status_code=self.status)


def invalid(field: str, problem: str) -> ApiError:
    return ApiError("VALIDATION_ERROR", f"{field}: {problem}", details={"field": field, "problem": problem})


def not_found(what: str) -> ApiError:
    return ApiError("NOT_FOUND", f"{what} not found")
