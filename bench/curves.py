"""A plot of costs over N, both axes logarithmic, as an SVG written by hand: no library draws twelve lines better."""

from collections.abc import Iterator, Mapping
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT, LEFT, TOP, LEGEND = 560, 420, 60, 20, 260
COLOURS = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#d68910", "#16a085", "#7f8c8d", "#34495e")
Points = Mapping[int, float]


def svg(curves: Mapping[str, Points]) -> str:
    """All of them in one plot, each with its name; a dashed line shows what linear would be."""
    xs = [size for points in curves.values() for size in points]
    ys = [value for points in curves.values() for value in points.values()]
    frame = _Frame(_decades(xs), _decades(ys))
    parts = [*frame.grid(), frame.linear()]
    for number, (name, points) in enumerate(curves.items()):
        parts += frame.curve(name, points, number)
    size = f'width="{LEFT + WIDTH + LEGEND}" height="{TOP + HEIGHT + 40}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>"]) + "\n"


def _decades(values: list[float] | list[int]) -> tuple[int, int]:
    return floor(log10(min(values))), ceil(log10(max(values)))


class _Frame:
    """The area between whole powers of ten."""

    def __init__(self, across: tuple[int, int], up: tuple[int, int]) -> None:
        self._across = across
        self._up = up

    def _x(self, size: float) -> float:
        low, high = self._across
        return LEFT + WIDTH * (log10(size) - low) / max(high - low, 1)

    def _y(self, value: float) -> float:
        low, high = self._up
        return TOP + HEIGHT * (1 - (log10(value) - low) / max(high - low, 1))

    def grid(self) -> Iterator[str]:
        for power in range(self._across[0], self._across[1] + 1):
            x = self._x(10.0**power)
            yield f'<path d="M{x:.1f} {TOP}V{TOP + HEIGHT}" stroke="#ddd"/>'
            yield f'<text x="{x:.1f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{10**power:,}</text>'
        for power in range(self._up[0], self._up[1] + 1):
            y = self._y(10.0**power)
            yield f'<path d="M{LEFT} {y:.1f}H{LEFT + WIDTH}" stroke="#ddd"/>'
            yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>'
        yield f'<text x="{LEFT + WIDTH / 2}" y="{TOP + HEIGHT + 36}" text-anchor="middle">machines</text>'

    def linear(self) -> str:
        """From the lower left corner, as far as it goes."""
        decades = min(self._across[1] - self._across[0], self._up[1] - self._up[0])
        x, y = (self._x(10.0 ** (self._across[0] + decades)), self._y(10.0 ** (self._up[0] + decades)))
        path = f"M{LEFT} {TOP + HEIGHT}L{x:.1f} {y:.1f}"
        return f'<path d="{path}" stroke="#999" stroke-dasharray="5 4" fill="none"/>'

    def curve(self, name: str, points: Points, number: int) -> Iterator[str]:
        colour = COLOURS[number % len(COLOURS)]
        dashes = ' stroke-dasharray="2 3"' if number >= len(COLOURS) else ""
        places = [(self._x(size), self._y(value)) for size, value in sorted(points.items())]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        yield f'<path d="M{path}" stroke="{colour}" stroke-width="2"{dashes} fill="none"/>'
        yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places)
        y = TOP + 12 + 20 * number
        line = f"M{LEFT + WIDTH + 14} {y}h24"
        yield f'<path d="{line}" stroke="{colour}" stroke-width="2"{dashes}/>'
        yield f'<text x="{LEFT + WIDTH + 44}" y="{y + 4}">{escape(name)}</text>'
