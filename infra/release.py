"""What a release has, in `build/release`, from binaries that the Makefile has built. Publishes nothing.

    python3 infra/release.py TARGET BOOTSTRAP…

TARGET is the platform of `target/cli/rollcall`, and each BOOTSTRAP is `build/ARCHITECTURE/bootstrap`. Archives have
one owner and one time in them, so that the same binaries give the same bytes.
"""

import gzip
import hashlib
import io
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile

OUT = pathlib.Path("build/release")
RUST_NAME = {"arm64": "aarch64-unknown-linux-gnu", "x86_64": "x86_64-unknown-linux-gnu"}
AS_THEY_ARE = ["openapi.json", "template.yaml", "infra/data.yaml"]
WITH_THE_BINARY = ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"]


def lambda_zip(bootstrap, file):
    """The zip that Lambda takes: `bootstrap` alone, executable."""
    entry = zipfile.ZipInfo("bootstrap", (1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(entry, bootstrap.read_bytes(), compresslevel=9)


def command_archive(name, file):
    """`rollcall` with its licences, in a folder of that name."""
    with open(file, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, 0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for source in ["target/cli/rollcall", *WITH_THE_BINARY]:
            content = pathlib.Path(source).read_bytes()
            entry = tarfile.TarInfo(f"{name}/{pathlib.Path(source).name}")
            entry.size, entry.mode = len(content), 0o755 if source.startswith("target") else 0o644
            tar.addfile(entry, io.BytesIO(content))


def bill(file, *words):
    """Writes the bill of materials of a binary."""
    with open(file, "w") as out:
        subprocess.run([sys.executable, "infra/sbom.py", *words], check=True, stdout=out)


def notes(version):
    """The section of the changelog for a version; before it is released, what is unreleased."""
    sections = re.split(r"^## ", pathlib.Path("CHANGELOG.md").read_text(), flags=re.M)[1:]
    by_name = {re.split(r"[ \n]", section)[0].strip("[]"): section.partition("\n")[2] for section in sections}
    return by_name.get(version, by_name["Unreleased"]).strip() + "\n"


def main():
    target, bootstraps = sys.argv[1], [pathlib.Path(word) for word in sys.argv[2:]]
    with open("Cargo.toml", "rb") as manifest:
        version = tomllib.load(manifest)["package"]["version"]
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    name = f"rollcall-{target}"
    command_archive(f"rollcall-{version}", OUT / f"{name}.tar.gz")
    bill(OUT / f"{name}.cdx.json", "rollcall", target, "--features", "local")
    for bootstrap in bootstraps:
        name = f"bootstrap-{bootstrap.parent.name}"
        lambda_zip(bootstrap, OUT / f"{name}.zip")
        bill(OUT / f"{name}.cdx.json", "bootstrap", RUST_NAME[bootstrap.parent.name])
    for file in AS_THEY_ARE:
        shutil.copy(file, OUT)
    (OUT / "notes.md").write_text(notes(version))
    files = sorted(OUT.iterdir())
    sums = "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
    (OUT / "SHA256SUMS").write_text(sums)
    print(sums, end="")


main()
