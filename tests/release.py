"""What `make release` writes, checked: the contents of each archive, checksums, templates that deploy without Rust, and that
the same binaries give the same bytes.

    release.py BINARY…

`make check-release` runs it with binaries of any profile. It packs them twice in folders of their own, and leaves
`build/release` alone.
"""

import hashlib
import json
import logging
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile

os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")

from samcli.yamlhelper import yaml_parse  # noqa: E402
from samtranslator.translator.transform import transform  # noqa: E402

logging.disable(logging.WARNING)
ROOT = pathlib.Path(__file__).resolve().parent.parent
VERSION = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
LICENCES = {"LICENSE-APACHE", "LICENSE-MIT"}
PACKAGE = {"README.md", "bootstrap.zip", "data.yaml", "deploy.sh", "edge.yaml", "samconfig.toml", "template-s3.yaml",
           "template.yaml", *LICENCES}
FAILURES = []


def check(what, holds):
    print(("ok: " if holds else "FAILED: ") + what, flush=True)
    if not holds:
        FAILURES.append(what)


def pack(binaries, folder, umask):
    """A release of these binaries, made in a copy of what the script reads."""
    for name in ["infra", "Cargo.toml", "Cargo.lock", "src", "build.rs", "docs/src/guides", "README.md", "CHANGELOG.md", "openapi.json",
                 "template.yaml", *LICENCES]:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, target)
    run = lambda *words: subprocess.run([sys.executable, "infra/release.py", *words], cwd=folder, check=True,
                                        stdout=subprocess.DEVNULL, umask=umask)
    run("add", *binaries)
    generated = folder / "build/clients"
    (generated / "scim/api").mkdir(parents=True)
    for name in ["scim/__init__.py", "scim/api/users.py", "scim.d.ts", "postman.json"]:
        (generated / name).write_text(f"{name}\n")
    run("clients", generated, generated / "postman.json")
    run("finish")
    return folder / "build/release"


def bytes_of(folder):
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def checksums(folder):
    """SHA256SUMS names every other file with its sum."""
    sums = dict(reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines())
    actual = {name: hashlib.sha256(data).hexdigest() for name, data in bytes_of(folder).items() if name != "SHA256SUMS"}
    check(f"SHA256SUMS has the sum of each of {len(actual)} files", sums == actual)


def entries_of(archive):
    """The files of an archive without their common folder: bytes and mode."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as file:
            found = {entry.filename: (file.read(entry), entry.external_attr >> 16 & 0o777) for entry in file.infolist()}
    else:
        with tarfile.open(archive) as file:
            found = {entry.name: (file.extractfile(entry).read(), entry.mode) for entry in file.getmembers()}
    return found


def below(entries, folder):
    check(f"everything is below {folder}/", all(name.startswith(f"{folder}/") for name in entries))
    return {name.removeprefix(f"{folder}/"): entry for name, entry in entries.items()}


def command(binary, folder):
    """The archive of the command line."""
    target = binary.parent.name
    entries = below(entries_of(folder / f"rollcall-{target}.tar.gz"), f"rollcall-{VERSION}")
    check(f"rollcall-{target} has the command and its licences", set(entries) == {"rollcall", "README.md", "CHANGELOG.md", *LICENCES})
    check("the command is what was built, executable", entries["rollcall"] == (binary.read_bytes(), 0o755))
    bill(folder / f"rollcall-{target}.cdx.json", {"dynoxide-rs", "sqlite", "clap"}, set())


def bill(file, has, lacks):
    parts = {part["name"] for part in json.loads(file.read_text())["components"] if part["scope"] == "required"}
    check(f"{file.name} lists {len(parts)} parts", has <= parts and not lacks & parts)


def function(binary, folder, scratch):
    """The Lambda binary, alone and in the folder that deploys."""
    architecture = binary.parent.name
    alone = entries_of(folder / f"bootstrap-{architecture}.zip")
    check(f"bootstrap-{architecture}.zip has bootstrap alone, executable", alone == {"bootstrap": (binary.read_bytes(), 0o755)})
    bill(folder / f"bootstrap-{architecture}.cdx.json", {"aws-sdk-dynamodb"}, {"dynoxide-rs", "clap", "sqlite"})
    entries = below(entries_of(folder / f"rollcall-aws-{architecture}.zip"), f"rollcall-aws-{VERSION}")
    check(f"rollcall-aws-{architecture}.zip has what deploys, and no more", set(entries) == PACKAGE)
    check("its code is the released zip", entries["bootstrap.zip"][0] == (folder / f"bootstrap-{architecture}.zip").read_bytes())
    check("deploy.sh is executable", entries["deploy.sh"][1] == 0o755)
    for name, (content, _) in entries.items():
        (scratch / name).write_bytes(content)
    templates(scratch, architecture)
    documented(scratch)


def templates(folder, architecture):
    """The templates of the unpacked folder, as `make validate` checks those of the repository, and what they deploy."""
    sam = pathlib.Path(sys.executable).with_name("sam")
    for name in ["template.yaml", "template-s3.yaml"]:
        done = subprocess.run([sam, "validate", "--lint", "--region", "us-east-1", "--template", name], cwd=folder, text=True,
                              capture_output=True, env={**os.environ, "SAM_CLI_TELEMETRY": "0"})
        check(f"sam validate --lint {name}", done.returncode == 0)
        if done.returncode:
            print(done.stdout + done.stderr)
    source = yaml_parse((ROOT / "template.yaml").read_text())
    for name in ["template.yaml", "template-s3.yaml"]:
        text = (folder / name).read_text()
        check(f"{name} asks for no build", "rust-cargolambda" not in text and "BuildMethod" not in text)
        template = yaml_parse(text)
        check(f"{name} is for {architecture} alone", template["Parameters"]["Architecture"]["AllowedValues"] == [architecture])
        same = set(template["Resources"]) == set(source["Resources"]) and template["Outputs"] == source["Outputs"]
        check(f"{name} has the resources and outputs of the repository's", same)
        console(name, template)
    by_sam = yaml_parse((folder / "template.yaml").read_text())
    check("template.yaml deploys bootstrap.zip", by_sam["Globals"]["Function"]["CodeUri"] == "bootstrap.zip")
    # What `sam deploy` makes of it.
    by_sam["Globals"]["Function"]["CodeUri"] = "s3://bucket/code"
    publishes(by_sam, ["Release"])
    by_upload = yaml_parse((folder / "template-s3.yaml").read_text())
    publishes(by_upload, [name for name in by_upload["Parameters"] if name != "CodeBucket"])
    for name in ["data.yaml", "edge.yaml"]:
        check(f"{name} is that of the repository", (folder / name).read_bytes() == (ROOT / "infra" / name).read_bytes())


def console(name, template):
    """Every parameter has a label and is in one group of the console."""
    interface = template["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [parameter for group in interface["ParameterGroups"] for parameter in group["Parameters"]]
    declared = sorted(set(template["Parameters"]) - {"CodeBucket", "CodeKey"})
    check(f"{name}: each of {len(declared)} parameters has a group and a label",
          sorted(grouped) == declared == sorted(interface["ParameterLabels"]))


class NoManagedPolicies:
    """The template names those by their ARNs."""

    def load(self):
        return {}


def publishes(template, names):
    """Another value of each of these parameters publishes a version of each function."""
    functions = {name for name, resource in template["Resources"].items() if resource["Type"] == "AWS::Serverless::Function"}
    # One function without its events stands for all: `Globals` says where their code is.
    name = min(functions)
    own = {**template["Resources"][name], "Properties": {**template["Resources"][name]["Properties"]}}
    del own["Properties"]["Events"]
    small = json.dumps({**template, "Resources": {name: own}, "Outputs": {}})

    def version(**values):
        out = transform(json.loads(small), {"CodeBucket": "bucket", "CodeKey": "key", **values}, NoManagedPolicies())
        return next(id for id, resource in out["Resources"].items() if resource["Type"] == "AWS::Lambda::Version")
    first = version()
    check("the same parameters publish the same version", version() == first)
    still = [name for name in names if version(**{name: "another"}) == first]
    check(f"another value of each of {len(names)} parameters publishes another" + "".join(f", not {name}" for name in still), not still)
    check("no function says where its code is by itself",
          not any("CodeUri" in template["Resources"][name]["Properties"] for name in functions))


def documented(folder):
    """The table of the README names each file, and samconfig.toml the templates that are there."""
    text = (folder / "README.md").read_text()
    named = set(re.findall(r"^\| `([^`]+)` \|", text, re.M))
    check("the README names each file", named == PACKAGE - {"README.md", *LICENCES})
    config = tomllib.loads((folder / "samconfig.toml").read_text())
    check("samconfig.toml deploys data.yaml first", config["data"]["deploy"]["parameters"]["template_file"] == "data.yaml")


def clients(folder):
    """What the generators have written, as `pack` stands in for them."""
    names = {"scim/__init__.py", "scim/api/users.py", *LICENCES}
    check("the Python client has its modules and licences", set(below(entries_of(folder / "rollcall-python.tar.gz"), "rollcall-python")) == names)
    for source, name in [("scim.d.ts", "rollcall-typescript.d.ts"), ("postman.json", "rollcall.postman_collection.json")]:
        check(f"{name} is there", (folder / name).read_text() == f"{source}\n")


def formula(folder):
    text = (folder / "rollcall.rb").read_text()
    for name, sum in re.findall(r'/(rollcall-[a-z0-9_-]+\.tar\.gz)"\n\s+sha256 "([0-9a-f]{64})"', text):
        archive = folder / name
        expected = hashlib.sha256(archive.read_bytes()).hexdigest() if archive.exists() else "0" * 64
        check(f"the formula has the sum of {name}", sum == expected)
    check("the formula has no blank left", "@" not in text and f'version "{VERSION}"' in text)


def main():
    binaries = [pathlib.Path(word).resolve() for word in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        first, second = (pack(binaries, scratch / name, umask) for name, umask in [("one", 0o022), ("another/place", 0o077)])
        before, after = bytes_of(first), bytes_of(second)
        check(f"two folders give the same bytes of {len(before)} files", before == after)
        checksums(first)
        formula(first)
        clients(first)
        for binary in binaries:
            place = scratch / "unpacked" / binary.parent.name
            place.mkdir(parents=True)
            if binary.stem == "bootstrap":
                function(binary, first, place)
            else:
                command(binary, first)
    return 1 if FAILURES else 0


sys.exit(main())
