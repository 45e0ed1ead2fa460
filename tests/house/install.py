"""`cargo install` as the pages write it installs `rollcall` and nothing else.

Run by `make check-install`, after the tests: it installs what they have built, into build/install. Every page names the same
flags, because without them cargo would install the Lambda binary of the default features.
"""

import pathlib
import re
import shutil
import subprocess
import sys

FLAGS = "--features local --bin rollcall"
PAGES = ["README.md", "docs/src/operate/deploy.md", "docs/src/operate/upgrade.md", "docs/src/guides/doctor-in-ci.md"]
ROOT = pathlib.Path("build/install")


def main() -> int:
    failures = []
    for page in PAGES:
        commands = re.findall(r"cargo install (--locked --profile cli --(?:path|git) \S+)([^\n`]*)", pathlib.Path(page).read_text())
        if not commands:
            failures.append(f"{page}: no cargo install --locked --profile cli; name the command there, or take the page off this list")
        for source, flags in commands:
            if flags.strip() != FLAGS:
                failures.append(f"{page}: cargo install {source}{flags}: the flags must be {FLAGS}")
    shutil.rmtree(ROOT, ignore_errors=True)
    # The development profile, which is built already.
    command = ["cargo", "install", "--quiet", "--locked", "--path", ".", *FLAGS.split(), "--debug", "--no-track", "--root", ROOT]
    subprocess.run(command, check=True)
    installed = sorted(file.name for file in (ROOT / "bin").iterdir())
    if installed != ["rollcall"]:
        failures.append(f"cargo install installs {', '.join(installed)}; it must be rollcall alone")
    print("\n".join(failures) or "cargo install installs rollcall alone")
    return 1 if failures else 0


sys.exit(main())
