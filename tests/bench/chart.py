"""Charts as SVG, without a library: bars and lines, readable on light and dark pages."""

import math

COLOURS = ["#2a6fdb", "#d9822b", "#3a9a5b", "#9b59b6", "#8a8a8a", "#c0392b"]
STYLE = "<style>text{font:13px sans-serif;fill:#555}.title{font-weight:bold;font-size:15px}</style>"


def _svg(width, height, parts):
    frame = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    return "\n".join([frame, STYLE, *parts, "</svg>"]) + "\n"


def _text(x, y, text, anchor="start", kind=""):
    escaped = str(text).replace("&", "&amp;").replace("<", "&lt;")
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}"{f" class={kind!r}" if kind else ""}>{escaped}</text>'


def bars(title, rows, unit):
    """`rows` are (name, value), drawn to one scale with a logarithm where they differ much."""
    largest = max(value for _, value in rows)
    smallest = min(value for _, value in rows)
    scale = (lambda value: math.log1p(value) / math.log1p(largest)) if largest > 20 * smallest else (lambda value: value / largest)
    parts = [_text(10, 22, title + (", logarithmic" if largest > 20 * smallest else ""), kind="title")]
    for index, (name, value) in enumerate(rows):
        y = 40 + index * 26
        parts += [
            _text(190, y + 15, name, "end"),
            f'<rect x="200" y="{y}" width="{max(scale(value) * 420, 1):.0f}" height="20" fill="{COLOURS[min(index, 5)]}"/>',
            _text(206 + scale(value) * 420, y + 15, f"{value:.4g} {unit}"),
        ]
    return _svg(760, 50 + len(rows) * 26, parts)


def lines(title, x_name, y_name, series):
    """`series` maps a name to its points (x, y); both axes are logarithmic."""
    points = [point for one in series.values() for point in one if point[0] > 0 and point[1] > 0]
    low = [math.floor(math.log10(min(axis))) for axis in zip(*points)]
    high = [math.ceil(math.log10(max(axis))) for axis in zip(*points)]
    high = [max(top, bottom + 1) for top, bottom in zip(high, low)]
    place = lambda value, axis: (math.log10(value) - low[axis]) / (high[axis] - low[axis])
    x, y = (lambda value: 70 + place(value, 0) * 460), (lambda value: 330 - place(value, 1) * 280)
    parts = [_text(10, 22, title, kind="title"), _text(300, 375, x_name, "middle"), _text(10, 42, y_name)]
    for exponent in range(low[0], high[0] + 1):
        parts += [f'<path d="M{x(10**exponent):.0f} 50V330" stroke="#ccc"/>', _text(x(10**exponent), 350, f"{10**exponent:g}", "middle")]
    for exponent in range(low[1], high[1] + 1):
        parts += [f'<path d="M70 {y(10**exponent):.0f}H530" stroke="#ccc"/>', _text(64, y(10**exponent) + 4, f"{10**exponent:g}", "end")]
    for index, (name, one) in enumerate(series.items()):
        drawn = " ".join(f"{x(a):.0f},{y(b):.0f}" for a, b in one if a > 0 and b > 0)
        colour = COLOURS[index % len(COLOURS)]
        parts += [f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>', f'<rect x="545" y="{52 + index * 22}" width="12" height="12" fill="{colour}"/>']
        parts.append(_text(563, 63 + index * 22, name))
    return _svg(800, 390, parts)
