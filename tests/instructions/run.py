"""Instructions of a request on the way of the Lambda binary: run.py PROGRAM [--pin]

PROGRAM is the bench `instructions`. Callgrind counts it; each figure is compared with tests/instructions/pins.json, and one above its pin
fails. `--pin` writes the pins anew: what was counted, and a tenth for other compilers.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

REPEATS = 20
HEAD_ROOM = 1.1
PINS = pathlib.Path(__file__).with_name("pins.json")


def count(program):
    """Instructions of one request, by measurement."""
    with tempfile.TemporaryDirectory() as folder:
        out = f"{folder}/out"
        subprocess.run(["valgrind", "--tool=callgrind", "--toggle-collect=measured_*", f"--callgrind-out-file={out}", program],
                       check=True, capture_output=True)
        table = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--threshold=100", "--auto=no", out], check=True,
                               capture_output=True, text=True).stdout
    lines = re.findall(r"^\s*([\d,]+)\s.*:measured_(\w+)", table, re.M)
    return {name: int(total.replace(",", "")) // REPEATS for total, name in lines}


def main():
    counts = count(sys.argv[1])
    pins = json.loads(PINS.read_text()) if PINS.exists() else {}
    if "--pin" in sys.argv:
        pins = {name: round(counts[name] * HEAD_ROOM) for name in sorted(counts)}
        PINS.write_text(json.dumps(pins, indent=2) + "\n")
    above = [name for name, pin in pins.items() if counts.get(name, pin + 1) > pin]
    for name in sorted(counts):
        print(f"{name:8} {counts[name]:>12,} instructions, pin {pins.get(name, 0):>12,}{'  ABOVE' if name in above else ''}")
    return 1 if above or not counts else 0


if __name__ == "__main__":
    sys.exit(main())
