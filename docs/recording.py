"""Records `rollcall demo` as an animated picture, docs/src/tutorial/demo.svg.

Run by `make recording`. It plays the demo, notes when each line comes, and draws the lines in their colours. What differs from run
to run is masked: the port, the secret of the link and the folder of the data.
"""

import html
import os
import pathlib
import re
import subprocess
import sys
import time

TARGET = pathlib.Path("docs/src/tutorial/demo.svg")
COMMAND = "rollcall demo"
WIDTH, LINE, LEFT, TOP, CHARACTER = 1010, 19, 20, 52, 7.8
# Longer lines end with an ellipsis: the picture has so many columns.
COLUMNS = int((WIDTH - 2 * LEFT) / CHARACTER)
# Longest pause between two lines in seconds: who watches has seen the bar.
LONGEST_PAUSE = 1.6
CLASSES = {"1": "b", "2": "d", "32": "g", "33": "y"}


def play() -> list[tuple[float, str]]:
    """The lines with the seconds at which they came."""
    command = ["target/debug/rollcall", "demo", "--listen", "127.0.0.1:0"] + sys.argv[1:]
    environment = {**os.environ, "CLICOLOR_FORCE": "1"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    begun, lines = time.monotonic(), []
    for line in process.stdout:
        lines.append((time.monotonic() - begun, line.rstrip("\n")))
        if "Ctrl-C" in line:
            break
    process.terminate()
    process.wait(timeout=60)
    return lines


def masked(line: str) -> str:
    line = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:3000", line)
    line = re.sub(r"link_\w+", "link_…", line)
    return re.sub(r"/\S*/rollcall-demo-[0-9a-f]{8}[0-9a-f]*", "/tmp/rollcall-demo-1f0c7a52", line)


def spans(line: str) -> str:
    """A line with marks of colour, as elements. It is cut to the columns of the picture."""
    parts, left, name = [], COLUMNS, ""
    for number, part in enumerate(re.split(r"\x1b\[([0-9;]*)m", line)):
        if number % 2:
            name = CLASSES.get(part, "")
            continue
        text = part if len(part) <= left else part[: max(left - 1, 0)] + "…" * (left > 0)
        left -= len(text)
        if text:
            text = html.escape(text, quote=False)
            parts.append(f'<tspan class="{name}">{text}</tspan>' if name else text)
    return "".join(parts)


def draw(lines: list[tuple[float, str]]) -> str:
    rows, clock, before = [f'<text x="{LEFT}" y="{TOP}"><tspan class="p">$</tspan> {COMMAND}</text>'], 0.6, 0.0
    for number, (at, line) in enumerate(lines, 1):
        clock, before = clock + min(at - before, LONGEST_PAUSE), at
        text = spans(masked(line))
        if text:
            rows.append(f'<text x="{LEFT}" y="{TOP + number * LINE}" style="animation-delay:{clock:.2f}s">{text}</text>')
    height = TOP + (len(lines) + 1) * LINE
    style = (
        "text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#d7dde5;white-space:pre}"
        "text[style]{animation:in .2s both}@keyframes in{from{opacity:0}to{opacity:1}}"
        ".b{font-weight:700;fill:#fff}.d{fill:#8b98a9}.g{fill:#7ee2a8}.y{fill:#f2cc60}.p{fill:#7ee2a8}"
        "@media (prefers-reduced-motion:reduce){text[style]{animation:none}}"
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-labelledby="t">'
    dots = "".join(f'<circle cx="{20 + 18 * n}" cy="20" r="6" fill="{c}"/>' for n, c in enumerate(["#ff5f57", "#febc2e", "#28c840"]))
    return "\n".join(
        [head, '<title id="t">rollcall demo, recorded</title>', f"<style>{style}</style>", f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#10151c"/>', dots, *rows, "</svg>", ""]
    )


def main() -> int:
    lines = play()
    if not any("Ctrl-C" in line for _, line in lines):
        print("the demo has not come to its end; run target/debug/rollcall demo to see why")
        return 1
    TARGET.write_text(draw(lines))
    print(f"{TARGET}: {len(lines)} lines")
    return 0


sys.exit(main())
