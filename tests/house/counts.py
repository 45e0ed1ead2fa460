"""The numbers in the pages about a deployment are those of the templates and of costs.py.

Run by `make names`. Each entry is a page, a pattern with one number, and what that number must be.
"""

import pathlib
import re
import subprocess
import sys

WORDS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def read(name: str) -> str:
    return pathlib.Path(name).read_text()


def alarms(template: str) -> tuple[int, int]:
    """Alarms without a domain, and with one."""
    blocks = re.findall(r"^  \w+:\n    Type: AWS::CloudWatch::Alarm\n(?:    .*\n|\n)*", template, re.M)
    return sum("Condition: HasDomain" not in block for block in blocks), len(blocks)


def main() -> int:
    template, data, costs = read("template.yaml"), read("infra/data.yaml"), read("infra/costs.py")
    functions = template.count("Type: AWS::Serverless::Function")
    tables, streams = data.count("Type: AWS::DynamoDB::Table"), data.count("StreamSpecification:")
    without, with_domain = alarms(template)
    schedules = template.count("Type: ScheduleV2")
    metrics = int(re.search(r"^METRICS = 3 \* ROUTES \+ (\d+)", costs, re.M)[1]) + 3 * int(re.search(r"^ROUTES = (\d+)", costs, re.M)[1])
    groups = len(re.findall(r"^  FunctionErrors\d+:$", template, re.M))
    few = template.count("ReservedConcurrentExecutions: !If [HasReservedConcurrency, !Ref ReservedConcurrencyOfOthers")
    of = lambda name: int(re.search(rf"  {name}:\n    Type: Number\n    Default: (\d+)", template)[1])
    reserved = few * of("ReservedConcurrencyOfOthers") + (functions - few) * of("ReservedConcurrency")
    routes = len(re.findall(r"^    (?:GET|POST|PUT|PATCH|DELETE) ", read("src/api/route.rs"), re.M))
    deploy, operate, price = "docs/src/operate/deploy.md", "docs/src/operate/costs.md", "infra/costs.md"
    failures = []
    for page, pattern, expected in [
        (deploy, r"\| (\d+) functions, a role", functions),
        (deploy, r"reserve (\d+) of your account's concurrency", reserved),
        # AWS keeps 100 of the account's for functions without a reservation.
        (deploy, r"in an account with fewer than (\d+)", reserved + 100),
        (deploy, r"(\w+) schedules and one rule", WORDS[schedules]),
        (deploy, r"(\d+) alarms \(", without),
        (deploy, r"alarms \((\d+) with a domain", with_domain),
        (deploy, r"\| (\w+) tables, ", WORDS[tables]),
        (deploy, r"tables, (\w+) with streams", WORDS[streams]),
        (deploy, r"protection of the (\w+) tables", WORDS[tables]),
        ("docs/src/operate/backup-restore.md", r"for all (\w+) tables", WORDS[tables]),
        (operate, r"(\d+) alarms\.", with_domain),
        (operate, r"(\d+) metrics and", metrics),
        ("docs/src/reference/tables.md", r"has (\w+) tables", WORDS[tables]),
        ("docs/src/reference/metrics.md", r"`FunctionErrors1` to `(\d+)`", groups),
        ("infra/costs.py", r"^ALARMS = (\d+)", with_domain),
        ("infra/costs.py", r"^ROUTES = (\d+)", routes),
    ]:
        found = re.search(pattern, re.sub(r"\n(?=\S)", " ", read(page)) if page.endswith(".md") else read(page), re.M)
        if not found or found[1] != str(expected):
            failures.append(f"{page}: {pattern!r} is {found[1] if found else 'not there'}; it must be {expected}")
    # The table of costs.md is what costs.py prints.
    printed = subprocess.run([sys.executable, "infra/costs.py"], capture_output=True, text=True, check=True).stdout
    table, total = printed.split("\n\n")[0].strip(), re.search(r"up to ([\d.]+) for", printed)[1]
    if table not in read(price):
        failures.append(f"{price}: its table is not what costs.py prints; run make costs")
    for page, words in [(price, "costs up to {} $ more"), (operate, "cost up to {} $ a month")]:
        if words.format(total) not in read(page):
            failures.append(f"{page}: a deployment costs {total} $ for metrics and alarms")
    # The column of 50,000 users.
    tenant = re.search(r"^\| all \|[^|]+\| ([\d.]+) \|", table, re.M)[1]
    for page in ["README.md", operate]:
        if f"{tenant} $" not in read(page):
            failures.append(f"{page}: a tenant of 50,000 users costs {tenant} $ a month")
    print("\n".join(failures) or "the numbers of the deployment pages are those of the templates")
    return 1 if failures else 0


sys.exit(main())
