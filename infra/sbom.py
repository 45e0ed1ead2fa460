"""A bill of materials of one binary, as CycloneDX 1.6, on standard output.

    python3 infra/sbom.py BINARY TARGET [FEATURES]

It lists the crates that cargo compiles for the binary on that target: those linked into it, and those of build scripts
and macros, which have the scope `excluded`. SQLite, which a crate brings as C, is a part of its own. The same commit
gives the same bytes.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tomllib
import uuid


def cargo(*words):
    return subprocess.run(["cargo", *words], check=True, capture_output=True, text=True).stdout


def compiled(target, features, edges):
    """Name and version of each crate that cargo compiles, by the kinds of dependency it follows."""
    tree = cargo("tree", "--locked", "--target", target, *features, "--edges", edges, "--prefix", "none", "--format", "{p}")
    return {(name, version) for name, version in re.findall(r"^(\S+) v(\S+)", tree, re.M)}


def edges(metadata):
    """The crates that each crate names, as cargo resolves them for the target."""
    node_of = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    return {id: [dep["pkg"] for dep in node["deps"] if any(kind["kind"] != "dev" for kind in dep["dep_kinds"])]
            for id, node in node_of.items()}


def purl(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, checksums, linked):
    """One crate as CycloneDX describes it."""
    name, version = package["name"], package["version"]
    entry = {"type": "library", "bom-ref": purl(package), "name": name, "version": version, "purl": purl(package),
             "scope": "required" if (name, version) in linked else "excluded"}
    if checksum := checksums.get((name, version)):
        entry["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    if package["license"]:
        entry["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if package["repository"]:
        entry["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return entry


def bundled(package):
    """The C library that a crate brings in its own folder: scanners know its faults by its own name."""
    header = pathlib.Path(package["manifest_path"]).parent / "sqlite3/sqlite3.h"
    if package["name"] != "libsqlite3-sys" or not header.exists():
        return None
    version = re.search(r'#define SQLITE_VERSION +"([^"]+)"', header.read_text())[1]
    ref = f"pkg:generic/sqlite@{version}"
    return {"type": "library", "bom-ref": ref, "name": "sqlite", "version": version, "purl": ref, "scope": "required",
            "cpe": f"cpe:2.3:a:sqlite:sqlite:{version}:*:*:*:*:*:*:*", "licenses": [{"license": {"id": "blessing"}}]}


def bill(binary, target, features):
    """The whole document."""
    metadata = json.loads(cargo("metadata", "--locked", "--format-version", "1", "--filter-platform", target, *features))
    with open("Cargo.lock", "rb") as lock:
        locked = tomllib.load(lock)["package"]
    checksums = {(package["name"], package["version"]): package.get("checksum") for package in locked}
    linked, all_crates = compiled(target, features, "normal,no-proc-macro"), compiled(target, features, "normal,build")
    root_id = metadata["resolve"]["root"]
    packages = {package["id"]: package for package in metadata["packages"]
                if (package["name"], package["version"]) in all_crates}
    root = packages[root_id]
    parts = [component(package, checksums, linked) for id, package in packages.items() if id != root_id]
    libraries = {id: library for id, package in packages.items() if (library := bundled(package))}
    parts += libraries.values()
    named = edges(metadata)
    dependencies = [{"ref": purl(package), "dependsOn": sorted({purl(packages[to]) for to in named[id] if to in packages})}
                    for id, package in packages.items()]
    for entry, id in zip(dependencies, packages):
        if id in libraries:
            entry["dependsOn"].append(libraries[id]["bom-ref"])
    dependencies += [{"ref": library["bom-ref"]} for library in libraries.values()]
    content = {
        "components": sorted(parts, key=lambda part: part["bom-ref"]),
        "dependencies": sorted(dependencies, key=lambda entry: entry["ref"]),
    }
    about = {"type": "application", "bom-ref": purl(root), "name": binary, "version": root["version"],
             "licenses": [{"expression": root["license"]}],
             "properties": [{"name": "cargo:target", "value": target}]}
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([about, content], sort_keys=True))
    return {"$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{serial}", "version": 1, "metadata": {"component": about}, **content}


def main():
    os.environ.pop("RUSTFLAGS", None)
    binary, target = sys.argv[1:3]
    json.dump(bill(binary, target, sys.argv[3:]), sys.stdout, indent=1)
    print()


main()
