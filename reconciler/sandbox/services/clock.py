"""Wall-clock time in milliseconds, and a write clock that never gives the same instant twice."""

import time
from datetime import UTC, datetime


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def iso(ms: int) -> str:
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


class WriteClock:
    """Strictly increasing, so that `updatedAt` orders any two writes, also after a restart."""

    def __init__(self, last_ms: int) -> None:
        self.last_ms = last_ms

    def tick(self) -> int:
        self.last_ms = max(now_ms(), self.last_ms + 1)
        return self.last_ms
