"""scim2-tester against `rollcall serve` on a store of its own. Exits 1 on any error."""

import sys
import tempfile

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

from bench import server


def main():
    with tempfile.TemporaryDirectory() as folder, server("target/debug/rollcall", folder) as (url, token, _):
        headers = {"Authorization": f"Bearer {token}"}
        client = Client(base_url=url, headers=headers)
        results = check_server(SyncSCIMClient(client))
    bad = [result for result in results if result.status in (Status.ERROR, Status.CRITICAL, Status.DEVIATION)]
    for result in bad:
        print(f"{result.status.name} {result.title}: {result.reason}")
    skipped = sum(result.status == Status.SKIPPED for result in results)
    passed = len(results) - len(bad) - skipped
    print(f"scim2-tester: {passed} checks passed, {len(bad)} failed, {skipped} skipped")
    return 1 if bad or passed < 120 else 0


if __name__ == "__main__":
    sys.exit(main())
