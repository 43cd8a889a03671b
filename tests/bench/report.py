"""What was found, as a table for a terminal, as Markdown, as JSON and as a drawing."""
import html
import json
import os

import goals

BAR, LEFT, LINE, LIMIT = 420, 560, 22, 2.0  # of the drawing, in pixels; LIMIT: what is beyond is cut, in goals


def number(value):
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return "%.0f" % value
    return "%.1f" % value if abs(value) >= 10 else "%.2f" % value


def judged(row):
    """The value that is compared, and the goal, in words."""
    if row["goal"] is None:
        return number(row["value"]) if row["value"] != row["figure"] else "", ""
    return number(row["value"]), "%s %s" % ({"at least": "≥", "at most": "≤"}[row["direction"]], number(row["goal"]))


def cells(row):
    value, goal = judged(row)
    reference = "%s (%s)" % (number(row["reference"]), row["reference_name"]) if row["reference"] is not None else ""
    figure = "%s %s" % (number(row["figure"]), row["unit"]) if row["figure"] is not None else "–"
    return [row["what"], figure, reference, value, goal, row["verdict"]]


HEAD = ["", "figure", "reference", "compared", "goal", "verdict"]


def table(rows):
    lines = []
    width = [max(len(cells(row)[i]) for row in rows) for i in range(len(HEAD) - 1)]
    for group in dict.fromkeys(row["group"] for row in rows):
        lines += ["", group.upper()]
        for row in rows:
            if row["group"] == group:
                lines.append("  " + "  ".join([*(cell.ljust(w) for cell, w in zip(cells(row), width)), row["verdict"]]))
    return "\n".join(lines)


def summary(rows):
    count = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in (goals.MET, goals.MISSED)}
    rest = sum(row["verdict"].startswith("not applicable") for row in rows)
    return "%d goals met, %d missed, %d not applicable" % (count[goals.MET], count[goals.MISSED], rest)


def markdown(rows, about, command):
    lines = ["# Benchmarks: a run", "",
             "Written by `%s`; [BENCHMARKS.md](../BENCHMARKS.md) says how it is measured. %s." % (command, summary(rows)), "",
             "![each goal, and how near the figure is](results.svg)", ""]
    lines += ["- %s: %s" % (name, value if value else "not installed") for name, value in about.items()]
    for group in dict.fromkeys(row["group"] for row in rows):
        lines += ["", "## " + group.capitalize(), "", "| " + " | ".join(HEAD) + " |", "|---|---|---|---|---|---|"]
        for row in rows:
            if row["group"] == group:
                lines.append("| " + " | ".join("**missed**" if cell == goals.MISSED else cell for cell in cells(row)) + " |")
    return "\n".join(lines) + "\n"


# ---- the drawing ----

STYLE = """text { font: 13px system-ui, sans-serif; fill: #222 } .head { font-weight: 600 } .paper { fill: #fff }
.met { fill: #2e7d32 } .missed { fill: #c62828 } .goal { stroke: #222 }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .goal { stroke: #ddd } .paper { fill: #1b1b1b } .met { fill: #66bb6a }
.missed { fill: #ef5350 } }"""


def share(row):
    """What of its goal a figure uses up: 1 is exactly the goal, less is better."""
    value, goal = row["value"], row["goal"]
    if row["direction"] == "at most":
        return max(0.0, value / goal)
    return goal / value if value > 0 else LIMIT


def drawing(rows):
    shown = [row for row in rows if row["verdict"] in (goals.MET, goals.MISSED)]
    height, scale, at = LINE * (len(shown) + 2) + 16, BAR / LIMIT, LEFT + BAR / LIMIT
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img"><title>Figures beside their goals</title>' % (
        LEFT + BAR + 150, height), "<style>%s</style>" % STYLE, '<rect class="paper" width="100%" height="100%"/>',
        '<text class="head" x="%d" y="%d" text-anchor="middle">the goal; a shorter bar is better</text>' % (at, LINE)]
    for i, row in enumerate(shown):
        y, long = LINE * (i + 1) + 10, min(share(row), LIMIT) * scale
        value, goal = judged(row)
        parts.append('<text x="%d" y="%d" text-anchor="end">%s</text>' % (LEFT - 8, y + 15, html.escape(shorten(row["what"]))))
        parts.append('<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>' % (row["verdict"], LEFT, y + 3, max(long, 1), LINE - 6))
        parts.append('<text x="%d" y="%d">%s, goal %s</text>' % (LEFT + BAR + 8, y + 15, value, html.escape(goal)))
    parts.append('<line class="goal" x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke-dasharray="4 3"/>' % (at, at, LINE + 8, height - 12))
    return "\n".join([*parts, "</svg>"]) + "\n"


def shorten(text):
    text = text.split(";")[0]
    return text if len(text) <= 78 else text[:77] + "…"


def save(folder, rows, about, command):
    os.makedirs(folder, exist_ok=True)
    for name, text in (("results.md", markdown(rows, about, command)), ("results.svg", drawing(rows)),
                       ("results.json", as_json(rows, about))):
        with open(os.path.join(folder, name), "w") as handle:
            handle.write(text)


def as_json(rows, about):
    return json.dumps({"about": about, "rows": rows}, indent=2, ensure_ascii=False) + "\n"
