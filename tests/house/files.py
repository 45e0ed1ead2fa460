"""Files that nothing here runs are what their readers expect: compose.yaml, the devcontainer, Grafana's dashboard, workflows.

Run by `make names`. The dashboard asks for metrics that docs/src/reference/metrics.md lists, and the toolchain is that of
rust-toolchain.toml.
"""

import json
import pathlib
import re
import sys
import tomllib

import yaml


def read(name: str) -> str:
    return pathlib.Path(name).read_text()


def dashboard() -> list[str]:
    """The metrics of the panels, each by a dimension that it has, and whether each metric is in one."""
    page = read("docs/src/reference/metrics.md").split("\n## Metrics\n")[1].split("\n## ")[0]
    by_route = dict(re.findall(r"^\| `(\w+)` \| \w+ \| (yes|no) \|$", page, re.M))
    panels = json.loads(read("infra/observability/rollcall.json"))["panels"]
    targets = [target for panel in panels for target in panel["targets"]]
    failures = [f"the dashboard asks for {target['metricName']} by {list(target['dimensions'])}; metrics.md has no such metric"
                for target in targets
                if by_route.get(target["metricName"]) not in (("yes",) if target["dimensions"] else ("yes", "no"))]
    missing = set(by_route) - {target["metricName"] for target in targets}
    return failures + [f"the dashboard has no panel with {name}" for name in sorted(missing)]


def compose() -> list[str]:
    """Ports on the loopback alone, and files that are there."""
    failures = []
    for name, service in yaml.safe_load(read("compose.yaml"))["services"].items():
        failures += [f"compose.yaml: {name} publishes {port} beyond the loopback" for port in service.get("ports", [])
                     if not port.startswith("127.0.0.1:")]
        files = [volume.split(":")[0] for volume in service.get("volumes", []) if volume.startswith("./")]
        failures += [f"compose.yaml: {name} mounts {file}, which is not there" for file in files if not pathlib.Path(file).is_file()]
    return failures


def devcontainer() -> list[str]:
    features = json.loads(read(".devcontainer/devcontainer.json"))["features"]
    version = next(options["version"] for name, options in features.items() if "/rust:" in name)
    channel = tomllib.loads(read("rust-toolchain.toml"))["toolchain"]["channel"]
    return [] if version == channel else [f"the devcontainer has Rust {version}, and rust-toolchain.toml {channel}"]


def workflows() -> list[str]:
    """Every target that a workflow makes is one of the Makefile, and every action has a hash."""
    targets = set(re.findall(r"^([a-z0-9-]+):", read("Makefile"), re.M))
    failures = []
    for file in sorted(pathlib.Path(".github/workflows").glob("*.yml")):
        for job in yaml.safe_load(file.read_text())["jobs"].values():
            for step in job.get("steps", []):
                lines = re.findall(r"^make ((?:[a-z0-9-]+ ?)+)(?:[A-Z]|$)", step.get("run", ""), re.M)
                failures += [f"{file}: there is no make {name}" for words in lines for name in words.split() if name not in targets]
                if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step.get("uses", "a@" + "0" * 40)):
                    failures.append(f"{file}: {step['uses']} has no hash")
    return failures


def main() -> int:
    failures = dashboard() + compose() + devcontainer() + workflows()
    for name in ["infra/observability/source.yaml", "infra/observability/dashboards.yaml"]:
        if yaml.safe_load(read(name))["apiVersion"] != 1:
            failures.append(f"{name}: the version is not 1")
    print("\n".join(failures) or "compose.yaml, devcontainer, dashboard and workflows are what their readers expect")
    return 1 if failures else 0


sys.exit(main())
