#!/usr/bin/env python3
"""Draws the order of a boot: `packaging/man/boot.py >packaging/man/boot.svg`. The same drawing every time; tests/manual.rs compares it."""

from xml.sax.saxutils import escape

WIDTH, HEIGHT = 960, 330
INK, SOFT, LINE, STEP, UNIT, OTHER = "#1f2328", "#59636e", "#818b98", "#ddf4ff", "#f6f8fa", "#fff8c5"
# The steps of a run, left to right: where each begins, its name, and what it uses. Two in one column run at the same time.
STEPS = [
    (40, 200, "settings", "flags, variables,", "tags, file"),
    (155, 200, "guard", "nf_tables,", "with block_imds"),
    (270, 172, "identity", "IMDSv2, STS", ""),
    (270, 242, "fetch", "S3, https, file", ""),
    (385, 200, "lint", "as its readers", "parse it"),
    (500, 200, "install", "one rename", ""),
    (615, 200, "agent", "restart, only", "if asked"),
    (730, 200, "report", "JSON, log,", "exit status"),
]


def text(x, y, words, size=13, ink=INK, weight="normal", anchor="middle"):
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{ink}" font-weight="{weight}" text-anchor="{anchor}">{escape(words)}</text>'


def box(x, y, width, height, fill):
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="{fill}" stroke="{LINE}"/>'


def arrow(*points):
    return f'<polyline points="{" ".join(f"{x},{y}" for x, y in points)}" fill="none" stroke="{SOFT}" stroke-width="1.5" marker-end="url(#tip)"/>'


def unit(x, width, name, what, fill=UNIT):
    middle = x + width / 2
    return [box(x, 50, width, 52, fill), text(middle, 72, name, weight="bold"), text(middle, 90, what, 12, SOFT)]


def step(x, y, name, first, second):
    height = 62 if second or name == "install" else 50
    lines = [box(x, y, 95, height, STEP), text(x + 47.5, y + 19, name, weight="bold"), text(x + 47.5, y + 36, first, 10.5, SOFT)]
    return lines + ([text(x + 47.5, y + 50, second, 10.5, SOFT)] if second else [])


def between():
    """The arrows from each step to the next; identity and fetch part and meet again."""
    yield arrow((135, 231), (153, 231))
    for y in (197, 267):
        yield arrow((250, 231), (258, 231), (258, y), (268, y))
        yield arrow((365, y), (374, y), (374, 231), (383, 231))
    for x in (480, 595, 710):
        yield arrow((x, 231), (x + 18, 231))


def drawing():
    yield f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="Helvetica, Arial, sans-serif">'
    yield "<title>The order of a boot with ecs-bootstrap</title>"
    yield f'<defs><marker id="tip" markerWidth="9" markerHeight="9" refX="7" refY="4" orient="auto"><path d="M0,0 L8,4 L0,8 Z" fill="{SOFT}"/></marker></defs>'
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#ffffff"/>'
    yield text(24, 30, "At each boot, in this order", 14, INK, "bold", "start")
    yield from unit(24, 250, "ecs-bootstrap-guard.service", "blocks IMDS for containers")
    yield arrow((274, 76), (338, 76))
    yield from unit(340, 190, "docker.service", "requires the guard", OTHER)
    yield arrow((530, 76), (686, 76))
    yield from unit(688, 248, "ecs.service", "only with the verified file", OTHER)
    yield box(24, 132, 822, 182, UNIT)
    yield text(40, 153, "ecs-bootstrap.service: ecs-bootstrap run", 13, INK, "bold", "start")
    yield text(317, 305, "at the same time", 10.5, SOFT)
    for one in STEPS:
        yield from step(*one)
    yield from between()
    yield arrow((149, 102), (149, 130))
    yield text(157, 121, "then", 11, SOFT, anchor="start")
    yield arrow((825, 231), (888, 231), (888, 104))
    yield text(882, 250, "exit", 11, SOFT)
    yield text(882, 264, "status 0", 11, SOFT)
    yield "</svg>"


if __name__ == "__main__":
    print("\n".join(drawing()))
