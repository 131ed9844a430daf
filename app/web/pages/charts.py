"""Charts as plain geometry, for templates to draw: no script, no library in the browser."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

WIDTH, HEIGHT = 720.0, 180.0
LEAST_BARS = 12
"""A few bars are no wider than these many would be."""

GAP = 0.15
LABEL_WIDTH = 200.0
"""What a time takes under the chart, where letters are largest: on a phone."""


class Bar(NamedTuple):
    """What came in, and went back, in a bucket of time."""

    x: float
    width: float
    gross_y: float
    gross_height: float
    refunded_y: float
    refunded_height: float
    bucket: dict[str, Any]


class BarChart(NamedTuple):
    """Bars over time; `top` is the amount at the upper edge."""

    bars: list[Bar]
    top: str
    width: float = WIDTH
    height: float = HEIGHT

    @property
    def labels(self) -> list[tuple[float, str]]:
        """What begins under the first bar, what ends under the last one, and what is in the middle of them.

        Where they would come too close, it is the first and the last one alone, or the first.
        """
        if not self.bars:
            return []
        first, middle, last = self.bars[0], self.bars[len(self.bars) // 2], self.bars[-1]
        start, end = first.x, last.x + last.width
        places = [(start, first), (middle.x + middle.width / 2, middle), (end, last)]
        room = (end - start) / LABEL_WIDTH
        shown = places if room >= len(places) else places[::2] if room >= len(places[::2]) else places[:1]
        return [(x, bar.bucket["start"]) for x, bar in shown]


def bar_chart(buckets: Sequence[dict[str, Any]]) -> BarChart:
    """Return the chart of buckets of revenue, as the API gives them."""
    if not buckets:
        return BarChart([], "0")
    most = max(Decimal(bucket[name]) for bucket in buckets for name in ("gross", "refunded"))
    room, bars = WIDTH / max(LEAST_BARS, len(buckets)), []
    for at, bucket in enumerate(buckets):
        gross, back = (float(Decimal(bucket[name]) / most) * HEIGHT if most else 0.0 for name in ("gross", "refunded"))
        x, width = (at + GAP / 2) * room, (1 - GAP) * room
        bars.append(
            Bar(
                round(x, 2),
                round(width, 2),
                round(HEIGHT - gross, 2),
                round(gross, 2),
                round(HEIGHT - back, 2),
                round(back, 2),
                bucket,
            )
        )
    return BarChart(bars, f"{most:,f}")


def line(values: Sequence[float], width: float = 240.0, height: float = 40.0) -> str:
    """Return a line over values as the points of an SVG polyline; the highest value is at the upper edge."""
    most = max(values, default=0.0) or 1.0
    step = width / max(1, len(values) - 1)
    return " ".join(f"{at * step:.1f},{height - value / most * height:.1f}" for at, value in enumerate(values))
