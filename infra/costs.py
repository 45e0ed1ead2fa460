"""What a tenant costs a month: the capacity of each route, read from the table of docs/src/benchmarks.md (tests/budget.rs pins it), times
how often it is called, times prices.

    costs.py [USERS ...]

The assumptions are below, by name; change them and run again.
"""

import pathlib
import re
import sys

# US dollars, us-east-1, as published in 2026-08 (aws.amazon.com/dynamodb/pricing, /lambda/pricing, /api-gateway/pricing,
# /cloudwatch/pricing). Free tiers are not counted.
READ_UNITS_MILLION = 0.125
WRITE_UNITS_MILLION = 0.625
STORAGE_GB_MONTH = 0.25
BACKUP_GB_MONTH = 0.20
LAMBDA_REQUESTS_MILLION = 0.20
LAMBDA_GB_SECOND_ARM = 0.0000133334
HTTP_API_MILLION = 1.00
LOG_GB = 0.50
METRIC_MONTH = 0.30
ALARM_MONTH = 0.10

# Whatever the tenants: three metrics of each route and fifteen of all, if each is called every hour; and the alarms.
ROUTES = 75
METRICS = 3 * ROUTES + 15
ALARMS = 21

MEMORY_GB = 0.5
SECONDS_A_REQUEST = 0.02
LOG_BYTES_A_REQUEST = 1_850  # 1,400 of the function, 450 of the API's access log
USER_GB = 2.1e-6  # 1.5 KB and three index entries
MEMBERSHIP_GB = 0.3e-6  # a row of a member and its place in the user

# What an identity provider does in a month, for each user of the tenant.
CHANGED = 0.25  # users who change: one lookup, one PATCH
CREATED = 0.02  # and who are created, with their groups: a lookup, a POST, five memberships
DELETED = 0.01
LOOKED_UP = 10  # filters and reads: Entra's cycles ask for whom they watch
GROUPS_A_USER = 5

# The feed: an event of 1.9 KB is two write units, its lane's head is written once in five events, and 30 days are kept.
# A row of the history of each resource is a unit more: one for a user or a group, two for a membership.
WRITES_AN_EVENT = 2.2 + 1.3
EVENT_GB = 2.1e-6
# The worker: a batch of five events takes 50 ms. A page of 100 events is 48 read units, strongly consistent.
EVENTS_A_BATCH = 5
SECONDS_A_BATCH = 0.05
READS_AN_EVENT = 0.48
# The bus: up to 64 KB is one event; its place is noted once a batch, and the rows are read once more.
BUS_EVENTS_MILLION = 1.00


def budgets():
    """Route -> read and write units, from the table of docs/src/benchmarks.md."""
    text = (pathlib.Path(__file__).resolve().parent.parent / "docs/src/benchmarks.md").read_text()
    table = text[text.index("| Request |"):].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    is_number = lambda cell: re.fullmatch(r"[\d.]*", cell)
    return {row[0]: (float(row[2] or 0), float(row[3] or 0)) for row in rows
            if len(row) == 4 and is_number(row[2]) and is_number(row[3])}


def month(users, budget):
    """Dollars by what they are for."""
    calls = {
        "filter `userName eq`": users * (CHANGED + CREATED + LOOKED_UP),
        "… in another hour than the last change": users * CHANGED,
        "POST": users * CREATED,
        "DELETE": users * DELETED,
        "PATCH of a group, one member added or removed": users * CREATED * GROUPS_A_USER,
    }
    requests = sum(calls.values())
    reads = sum(count * budget[name][0] for name, count in calls.items())
    writes = sum(count * budget[name][1] for name, count in calls.items())
    stored = users * (USER_GB + GROUPS_A_USER * MEMBERSHIP_GB)
    events = users * (CHANGED + CREATED * (1 + GROUPS_A_USER) + DELETED)
    return {
        "DynamoDB requests": reads / 1e6 * READ_UNITS_MILLION + writes / 1e6 * WRITE_UNITS_MILLION,
        "DynamoDB storage and backup": stored * (STORAGE_GB_MONTH + BACKUP_GB_MONTH),
        "Feed": events * (WRITES_AN_EVENT / 1e6 * WRITE_UNITS_MILLION + EVENT_GB * (STORAGE_GB_MONTH + BACKUP_GB_MONTH)),
        "Lambda": requests / 1e6 * LAMBDA_REQUESTS_MILLION + requests * SECONDS_A_REQUEST * MEMORY_GB * LAMBDA_GB_SECOND_ARM,
        "HTTP API": requests / 1e6 * HTTP_API_MILLION,
        "Logs and metrics": requests * LOG_BYTES_A_REQUEST / 1e9 * LOG_GB,
    }


def million():
    """Dollars of a million changes, by what they are for."""
    batches = 1e6 / EVENTS_A_BATCH
    worker = batches * (LAMBDA_REQUESTS_MILLION / 1e6 + SECONDS_A_BATCH * MEMORY_GB * LAMBDA_GB_SECOND_ARM)
    read = READS_AN_EVENT * READ_UNITS_MILLION
    return {
        "rows and heads": WRITES_AN_EVENT * WRITE_UNITS_MILLION,
        "30 days of storage and backup": 1e6 * EVENT_GB * (STORAGE_GB_MONTH + BACKUP_GB_MONTH),
        "the worker": worker,
        "one reader of the feed, without its requests": read,
        "the bus of EventBridge, if there is one": BUS_EVENTS_MILLION + WRITE_UNITS_MILLION / EVENTS_A_BATCH + read,
    }


def main(sizes):
    budget = budgets()
    months = [month(size, budget) for size in sizes]
    print("| $ a month, users | " + " | ".join(f"{size:,}" for size in sizes) + " |")
    print("|---" * (len(sizes) + 1) + "|")
    for name in months[0]:
        print(f"| {name} | " + " | ".join(f"{costs[name]:.2f}" for costs in months) + " |")
    fixed = METRICS * METRIC_MONTH + ALARMS * ALARM_MONTH
    print("| all | " + " | ".join(f"{sum(costs.values()):.2f}" for costs in months) + " |")
    print("\n| $ a million changes | |\n|---|---|")
    for name, costs in million().items():
        print(f"| {name} | {costs:.2f} |")
    print(f"\nOnce for a deployment, whatever the tenants: up to {fixed:.2f} for metrics and alarms.")


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [1_000, 50_000, 1_000_000])
