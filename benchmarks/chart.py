"""The chart of a run, as SVG: a bar for each contender, a line for the range of its rounds."""

from html import escape

from .goals import Results
from .measures import Range, figure

_ROW, _LEFT, _WIDTH, _TOP = 30, 190, 720, 46
_OURS, _THEIRS, _INK = "#2b6cb0", "#a0aec0", "#1a202c"


def svg(results: Results) -> str:
    """CPU per request of all contenders, the least first."""
    found = {
        name: (Range.of([one["cpu"] for one in contender["turns"]]), contender)
        for name, contender in results["contenders"].items()
    }
    rows = sorted(found.items(), key=lambda row: row[1][0].median)
    scale = (_WIDTH - _LEFT - 90) / max(cpu.high for _, (cpu, _) in rows)
    height = _TOP + _ROW * len(rows) + 8
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'font-family="sans-serif" font-size="13" fill="{_INK}">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        '<text x="8" y="22" font-size="15">CPU per request, microseconds, all processes of the '
        "server</text>",
    ]
    for number, (name, (cpu, contender)) in enumerate(rows):
        y = _TOP + _ROW * number
        middle = y + _ROW / 2 - 2
        end = _LEFT + cpu.median * scale
        colour = _OURS if contender["ours"] else _THEIRS
        low, high = (_LEFT + value * scale for value in (cpu.low, cpu.high))
        lines += [
            f"<g><title>{escape(contender['does'])}; {escape(contender['version'])}</title>",
            f'<text x="{_LEFT - 8}" y="{middle + 5}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{_LEFT}" y="{y + 3}" width="{end - _LEFT:.1f}" height="{_ROW - 10}" '
            f'fill="{colour}"/>',
            f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="{_INK}"/>',
            f'<text x="{max(end, high) + 6:.1f}" y="{middle + 5}">{figure(cpu.median)}</text></g>',
        ]
    return "\n".join([*lines, "</svg>", ""])
