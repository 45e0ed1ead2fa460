"""What a release has, in `build/release`, from binaries that are built already. Publishes nothing.

    python3 infra/release.py add BINARY…               archives and bills of materials of binaries
    python3 infra/release.py clients CLIENTS POSTMAN   what `make clients postman` has generated
    python3 infra/release.py finish                    the files of every release, then SHA256SUMS over all

A BINARY is `…/TARGET/rollcall`, where TARGET is the platform as Rust names it, or `…/ARCHITECTURE/bootstrap`, the Lambda
binary. Archives have one owner and one time in them and their entries in one order, so that the same binaries give the
same bytes.
"""

import gzip
import hashlib
import io
import os
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
LICENCES = ["LICENSE-APACHE", "LICENSE-MIT"]
AS_THEY_ARE = ["openapi.json", "template.yaml", "infra/data.yaml", *LICENCES]
PACKAGE = [*(f"infra/package/{name}" for name in ["README.md", "deploy.sh", "samconfig.toml"]), "infra/data.yaml", "infra/edge.yaml"]
# A template that tools other than SAM take: they upload the code themselves, and say where it is.
CODE_PARAMETERS = """\
  CodeBucket:
    Type: String
    Description: The bucket that you uploaded bootstrap.zip to, in the Region of the stack
  CodeKey:
    Type: String
    Description: The key of bootstrap.zip in that bucket; another one for each release
"""


def version():
    with open("Cargo.toml", "rb") as manifest:
        return tomllib.load(manifest)["package"]["version"]


def zipped(entries):
    """A zip of (name, bytes, mode), in their order."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name, content, mode in entries:
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, (0o100000 | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content, compresslevel=9)
    return raw.getvalue()


def tarred(entries):
    """A compressed tar of (name, bytes, mode), in their order."""
    raw = io.BytesIO()
    with gzip.GzipFile("", "wb", 9, raw, 0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for name, content, mode in entries:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return raw.getvalue()


def once(text, old, new, times=1):
    """Replaces what is in a template so many times, or ends: a template of another form would deploy something else."""
    if text.count(old) != times:
        raise SystemExit(f"template.yaml has {old!r} {text.count(old)} times instead of {times}; adapt infra/release.py")
    return text.replace(old, new)


def packaged(template, architecture, code):
    """The template of the application, for code that is built: nothing in it asks for Rust."""
    functions = template.count("    Type: AWS::Serverless::Function\n")
    build = "    Metadata:\n      BuildMethod: rust-cargolambda\n      BuildProperties: {Binary: bootstrap}\n"
    template = once(template, build, "", functions)
    template = once(template, "    Default: arm64\n    AllowedValues: [arm64, x86_64]\n",
                    f"    Default: {architecture}\n    AllowedValues: [{architecture}]\n")
    return once(template, "    CodeUri: .\n", f"    CodeUri: {code}\n")


def uploaded(template, architecture):
    """The same for tools that upload the code themselves. SAM publishes a version of each function when the location of its
    code reads otherwise. So the location names every parameter, and selects the first; nobody passes `Release`."""
    functions = template.count("    Type: AWS::Serverless::Function\n")
    template = once(template, "      AutoPublishCodeSha256: !Ref Release\n", "", functions)
    template = once(template, re.search(r"\n  Release:\n(?:    .*\n)+", template)[0], "\n")
    template = once(template, "          - Release\n", "")
    template = once(template, re.search(r"      Release: .*\n", template)[0], "")
    names = re.findall(r"^  (\w+):$", re.search(r"\nParameters:\n((?:  .*\n)+)", template)[1], re.M)
    key = f"!Select [0, [!Ref CodeKey, {', '.join(f'!Ref {name}' for name in names)}]]"
    template = packaged(template, architecture, f"{{Bucket: !Ref CodeBucket, Key: {key}}}")
    return once(template, "\nParameters:\n", "\nParameters:\n" + CODE_PARAMETERS)


def deployment(architecture, bootstrap):
    """The folder that deploys without Rust, as entries of a zip."""
    template = pathlib.Path("template.yaml").read_text()
    files = {
        "bootstrap.zip": bootstrap,
        "template.yaml": packaged(template, architecture, "bootstrap.zip").encode(),
        "template-s3.yaml": uploaded(template, architecture).encode(),
        **{pathlib.Path(name).name: pathlib.Path(name).read_bytes() for name in [*PACKAGE, *LICENCES]},
    }
    executable = {"deploy.sh": 0o755}
    return [(f"rollcall-aws-{version()}/{name}", files[name], executable.get(name, 0o644)) for name in sorted(files)]


def add_function(architecture, binary):
    """The Lambda binary of an architecture: alone, as Lambda takes it, and in the folder that deploys it."""
    bootstrap = zipped([("bootstrap", binary.read_bytes(), 0o755)])
    (OUT / f"bootstrap-{architecture}.zip").write_bytes(bootstrap)
    (OUT / f"rollcall-aws-{architecture}.zip").write_bytes(zipped(deployment(architecture, bootstrap)))
    bill(OUT / f"bootstrap-{architecture}.cdx.json", "bootstrap", RUST_NAME[architecture])


def add_command(target, binary):
    """`rollcall` of a platform with its licences, in a folder; as a zip for Windows."""
    folder, name = f"rollcall-{version()}", f"rollcall-{target}"
    files = [binary, *(pathlib.Path(file) for file in ["README.md", "CHANGELOG.md", *LICENCES])]
    entries = [(f"{folder}/{file.name}", file.read_bytes(), 0o755 if file == binary else 0o644) for file in files]
    is_windows = binary.suffix == ".exe"
    (OUT / f"{name}.{'zip' if is_windows else 'tar.gz'}").write_bytes((zipped if is_windows else tarred)(entries))
    bill(OUT / f"{name}.cdx.json", "rollcall", target, "--features", "local")


def add_clients(clients, postman):
    """What `make clients` and `make postman` have generated: types for TypeScript, a package for Python, a collection."""
    licences = [(f"rollcall-python/{name}", pathlib.Path(name).read_bytes(), 0o644) for name in LICENCES]
    sources = sorted(file for file in (clients / "scim").rglob("*.py"))
    modules = [(f"rollcall-python/{file.relative_to(clients)}", file.read_bytes(), 0o644) for file in sources]
    (OUT / "rollcall-python.tar.gz").write_bytes(tarred([*licences, *modules]))
    shutil.copy(clients / "scim.d.ts", OUT / "rollcall-typescript.d.ts")
    shutil.copy(postman, OUT / "rollcall.postman_collection.json")


def bill(file, *words):
    """Writes the bill of materials of a binary."""
    with open(file, "w") as out:
        subprocess.run([sys.executable, "infra/sbom.py", *words], check=True, stdout=out)


def notes():
    """The section of the changelog for the version; before it is released, what is unreleased."""
    sections = re.split(r"^## ", pathlib.Path("CHANGELOG.md").read_text(), flags=re.M)[1:]
    by_name = {re.split(r"[ \n]", section)[0].strip("[]"): section.partition("\n")[2] for section in sections}
    return by_name.get(version(), by_name["Unreleased"]).strip() + "\n"


def sha256(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def formula():
    """The Homebrew formula with version and checksums, of those platforms whose archive is there."""
    text = pathlib.Path("infra/homebrew/rollcall.rb").read_text().replace("@VERSION@", version())
    text = text.replace("@REPOSITORY@", os.environ.get("GITHUB_REPOSITORY", "OWNER/NAME"))
    for target in set(re.findall(r"@SHA256 ([a-z0-9_-]+)@", text)):
        archive = OUT / f"rollcall-{target}.tar.gz"
        # An archive that this machine cannot build; the release workflow has all.
        text = text.replace(f"@SHA256 {target}@", sha256(archive) if archive.exists() else "0" * 64)
    return text


def finish():
    for file in AS_THEY_ARE:
        shutil.copy(file, OUT)
    (OUT / "notes.md").write_text(notes())
    (OUT / "rollcall.rb").write_text(formula())
    files = sorted(file for file in OUT.iterdir() if file.name != "SHA256SUMS")
    sums = "".join(f"{sha256(file)}  {file.name}\n" for file in files)
    (OUT / "SHA256SUMS").write_text(sums)
    print(sums, end="")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    match sys.argv[1:]:
        case ["add", *binaries] if binaries:
            for binary in map(pathlib.Path, binaries):
                add = add_function if binary.stem == "bootstrap" else add_command
                add(binary.parent.name, binary)
        case ["clients", clients, postman]:
            add_clients(pathlib.Path(clients), pathlib.Path(postman))
        case ["finish"]:
            finish()
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main()
