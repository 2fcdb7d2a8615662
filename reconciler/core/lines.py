"""What `--events FILE` holds: one JSON object a line, of these types. No secrets and no raw transactions.

The words are those of Terraform's machine-readable output where it has one. Readers pass over types and names they do
not know: additions grow the second number of `formatVersion`, the first one grows when something breaks.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from pydantic.alias_generators import to_camel

FORMAT = "1.0"
Level = Literal["info", "warn", "error"]


class Line(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    level: Level = Field("info", alias="@level")
    message: str = Field(alias="@message")
    """For people; its words may change."""
    timestamp: str = Field("", alias="@timestamp", pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
    """UTC, RFC 3339."""


class VersionLine(Line):
    """The first line."""

    type: Literal["version"] = "version"
    format_version: Literal["1.0"] = "1.0"
    fleetctl: str
    command: str


class Change(BaseModel):
    """A change as in the JSON answer, which may say more."""

    model_config = ConfigDict(extra="allow", frozen=True)

    address: str
    action: str
    reason: str = ""


class ChangeLine(Line):
    """What would be done to one resource, or has to be known of it (`resource_drift` under `fleetctl drift`)."""

    type: Literal["planned_change", "resource_drift"]
    change: Change


class SummaryLine(Line):
    """A plan in numbers: resources by action, wei by account and purpose."""

    type: Literal["change_summary"] = "change_summary"
    fleet: str
    digest: str
    summary: dict[str, int]
    cost: dict[str, dict[str, str]]


class ResourceLine(Line):
    """Something happened to a resource. `address` is empty where it is about many, or about none."""

    type: Literal[
        "apply_start",
        "apply_progress",
        "apply_complete",
        "apply_errored",
        "apply_parked",
        "apply_skipped",
        "apply_unknown",
        "recovered",
    ]
    address: str = ""


class TransactionLine(Line):
    """A transaction is recorded and about to be sent, or is in a block."""

    type: Literal["transaction_signed", "transaction_mined"]
    hash: str
    signer: str | None = None
    steps: int | None = None
    block: int | None = None


class DiagnosticLine(Line):
    """A refusal or an error (level error), or a notice (level warn)."""

    type: Literal["diagnostic"] = "diagnostic"
    code: str = ""
    where: str = ""
    hint: str = ""


class AppliedLine(Line):
    """An apply in numbers: resources by outcome."""

    type: Literal["apply_summary"] = "apply_summary"
    outcomes: dict[str, int]
    transactions: int
    writes: int


class ResultLine(Line):
    """The last line of a run that came to its end."""

    type: Literal["result"] = "result"
    exit_code: int


class InterruptedLine(Line):
    """The last line of a run that was told to stop; nothing is lost, apply again."""

    type: Literal["interrupted"] = "interrupted"
    signal: str


AnyLine = Annotated[
    VersionLine
    | ChangeLine
    | SummaryLine
    | ResourceLine
    | TransactionLine
    | DiagnosticLine
    | AppliedLine
    | ResultLine
    | InterruptedLine,
    Field(discriminator="type"),
]

LINES: TypeAdapter[AnyLine] = TypeAdapter(AnyLine)
"""Reads any line."""


def line_schema() -> dict[str, Any]:
    """JSON Schema of any line."""
    return {"title": "fleetctl event", **LINES.json_schema(by_alias=True, mode="serialization")}
