"""Files that nothing here runs are what their readers expect: compose.yaml, the devcontainer, Grafana's dashboards, workflows.

Run by `make names`. The dashboards ask for metrics that docs/src/reference/metrics.md lists, the collector and Prometheus
read addresses that compose.yaml has, and the toolchain is that of rust-toolchain.toml.
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


def serve_dashboard() -> list[str]:
    """The metrics of the panels are those of `rollcall serve`, each is in a panel, and no panel sums over what is no label."""
    page = read("docs/src/reference/metrics.md").split("\n## Metrics of `rollcall serve`\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(rollcall_\w+)` \| \w+ \| (.*?) \|", page, re.M)
    listed = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    expressions = [target["expr"] for panel in json.loads(read("infra/observability/serve.json"))["panels"] for target in panel["targets"]]
    failures, found = [], set()
    for expression in expressions:
        names = {re.sub(r"_bucket$", "", name) for name in re.findall(r"rollcall_\w+", expression)}
        found |= names
        failures += [f"serve.json asks for {name}; metrics.md has no such metric" for name in sorted(names - listed.keys())]
        labels = {label for by in re.findall(r"by \(([\w, ]+)\)", expression) for label in by.split(", ")} - {"le"}
        failures += [f"serve.json: {name} has no label {label}" for name in sorted(names & listed.keys())
                     for label in sorted(labels - listed[name])]
    return failures + [f"serve.json has no panel with {name}" for name in sorted(listed.keys() - found)]


def observability() -> list[str]:
    """Who reads whom: Grafana reads Prometheus, it reads the collector, and that reads `rollcall serve`."""
    services = yaml.safe_load(read("compose.yaml"))["services"]
    collector = yaml.safe_load(read("infra/observability/collector.yaml"))
    targets = lambda scrapes: [target for scrape in scrapes for one in scrape["static_configs"] for target in one["targets"]]
    command = services["rollcall"]["command"]
    listens = {"rollcall": command[command.index("--metrics-listen") + 1], "collector": collector["exporters"]["prometheus"]["endpoint"],
               "prometheus": "0.0.0.0:9090"}
    source = next(source for source in yaml.safe_load(read("infra/observability/source.yaml"))["datasources"] if source["type"] == "prometheus")
    read_by = {"collector.yaml": targets(collector["receivers"]["prometheus"]["config"]["scrape_configs"]),
               "prometheus.yaml": targets(yaml.safe_load(read("infra/observability/prometheus.yaml"))["scrape_configs"]),
               "source.yaml": [source["url"].removeprefix("http://")]}
    addresses = {f"{name}:{listen.rsplit(':', 1)[1]}" for name, listen in listens.items() if name in services}
    failures = [f"{file} reads {address}; compose.yaml has no such address" for file, all in read_by.items() for address in all
                if address not in addresses]
    for pipeline in collector["service"]["pipelines"].values():
        failures += [f"collector.yaml: {kind} has no {name}" for kind, names in pipeline.items() for name in names
                     if name not in collector[kind]]
    failures += [f"compose.yaml publishes {listens['rollcall']}, the metrics" for port in services["rollcall"]["ports"]
                 if port.endswith(listens["rollcall"].rsplit(":", 1)[1])]
    return failures


def compose() -> list[str]:
    """Ports on the loopback alone, images of one version, and files that are there."""
    failures = []
    for name, service in yaml.safe_load(read("compose.yaml"))["services"].items():
        failures += [f"compose.yaml: {name} publishes {port} beyond the loopback" for port in service.get("ports", [])
                     if not port.startswith("127.0.0.1:")]
        if name != "rollcall" and not re.search(r":v?\d+\.\d+\.\d+$", service["image"]):
            failures.append(f"compose.yaml: {name} has the image {service['image']}, of no version")
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
    failures = dashboard() + serve_dashboard() + observability() + compose() + devcontainer() + workflows()
    for name in ["infra/observability/source.yaml", "infra/observability/dashboards.yaml"]:
        if yaml.safe_load(read(name))["apiVersion"] != 1:
            failures.append(f"{name}: the version is not 1")
    print("\n".join(failures) or "compose.yaml, devcontainer, dashboards and workflows are what their readers expect")
    return 1 if failures else 0


sys.exit(main())
