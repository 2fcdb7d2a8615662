"""Of two long values a plan shows the part that differs."""

import io

from rich.console import Console

from reconciler.cli.render.plan_text import render_changes
from reconciler.core.address import Address
from reconciler.core.change import Action, FieldChange
from reconciler.core.kind import Resource
from reconciler.core.plan import Plan, PlannedChange
from reconciler.kinds.peaq_v2.service_endpoints import ServiceEndpoints

LONG = "#documentation Documentation https://docs.example.com/press-02, #telemetry Telemetry https://{}.example.com"


def shown(before: str, after: str) -> str:
    resource = Resource(ServiceEndpoints(), type("Named", (), {"address": Address("service_endpoints", "press-02")})())
    change = PlannedChange(resource, Action.UPDATE, fields=(FieldChange("serviceEndpoints", before, after),))
    written = io.StringIO()
    render_changes(Plan((change,), 1), Console(file=written, width=200), verbose=False)
    return written.getvalue()


def test_what_differs_far_behind_is_seen() -> None:
    text = shown(LONG.format("old"), LONG.format("new"))
    assert "https://old.example.com" in text
    assert "https://new.example.com" in text
    assert text.count("…") == 2


def test_what_differs_at_once_is_shown_from_its_beginning() -> None:
    assert "serviceEndpoints: #a" in shown("#a" * 40, "#b" * 40)
