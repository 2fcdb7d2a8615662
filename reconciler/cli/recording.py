"""What commands say of what happens, for `--events`."""

from collections.abc import Mapping
from typing import Any

from reconciler.core.errors import FleetError
from reconciler.engine.events import Event


class Recorder:
    """Takes note of nothing, since nobody asked. The one who writes lines is imported only for those who do."""

    heard = False

    def plan(self, data: Mapping[str, Any], command: str) -> None: ...
    def event(self, event: Event) -> None: ...
    def result(self, data: Mapping[str, Any]) -> None: ...
    def error(self, error: FleetError) -> None: ...
    def ended(self, code: int, level: str = "info") -> None: ...
