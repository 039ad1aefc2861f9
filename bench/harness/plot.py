"""Rates relative to ext4 as an SVG: one row an operation, one mark a subject, on a logarithmic axis."""

import math
from xml.sax.saxutils import escape

COLOURS = {"mergerfs": "#d1495b", "bindfs": "#edae49", "pxfs": "#00798c", "fastpath": "#30638e"}
LEFT, RIGHT, TOP, ROW = 170, 30, 60, 24
WIDTH = 860


def _ratios(result):
    rows = []
    for op in result["operations"]:
        by_subject = result["medians"][op["name"]]
        if "ext4" not in by_subject:
            continue
        base = by_subject["ext4"]
        marks = {}
        for name, median in by_subject.items():
            if name != "ext4":
                marks[name] = [median[key] / base["rate"] for key in ("rate_min", "rate", "rate_max")]
        if marks:
            rows.append((op["name"], marks))
    return rows


def svg(result):
    """The plot's text, or None where there is nothing to compare with ext4."""
    rows = _ratios(result)
    if not rows:
        return None
    values = [v for _, marks in rows for triple in marks.values() for v in triple] + [1.0]
    low = math.floor(math.log10(min(values)))
    high = max(math.log10(max(values)) * 1.05, 0.1)

    def x(value):
        return LEFT + (math.log10(value) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    height = TOP + ROW * len(rows) + 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
           f'font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           f'<text x="{LEFT}" y="18" font-size="14">Rate relative to ext4 '
           f'(marks: medians, lines: slowest to fastest round)</text>']
    position = LEFT
    for subject in result["subjects"]:
        name = subject["name"]
        if name == "ext4":
            continue
        out.append(f'<circle cx="{position + 5}" cy="36" r="5" fill="{COLOURS.get(name, "#666")}"/>'
                   f'<text x="{position + 15}" y="40">{escape(name)}</text>')
        position += 100
    for tick in [m * 10 ** e for e in range(low, math.ceil(high)) for m in (1, 2, 5)]:
        if math.log10(tick) > high:
            continue
        out.append(f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP - 8}" y2="{height - 24}" '
                   f'stroke="{"#888" if tick == 1 else "#ddd"}"/>'
                   f'<text x="{x(tick):.1f}" y="{height - 8}" text-anchor="middle">{tick:g}</text>')
    for index, (name, marks) in enumerate(rows):
        y = TOP + ROW * index + ROW / 2
        out.append(f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(name)}</text>')
        for subject, (slowest, median, fastest) in marks.items():
            colour = COLOURS.get(subject, "#666")
            out.append(f'<line x1="{x(slowest):.1f}" x2="{x(fastest):.1f}" y1="{y}" y2="{y}" '
                       f'stroke="{colour}" stroke-width="2" stroke-opacity="0.5"/>'
                       f'<circle cx="{x(median):.1f}" cy="{y}" r="5" fill="{colour}"/>')
    out.append("</svg>")
    return "\n".join(out) + "\n"
