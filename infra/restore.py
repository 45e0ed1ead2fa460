"""What the import of restored tables into a stack needs, from data.yaml: docs/src/operate/backup-restore.md.

    restore.py template > tables.yaml       the tables alone: an import creates nothing, and adds no outputs
    restore.py resources PREFIX > tables.json   which tables they are, for --resources-to-import
"""

import json
import pathlib
import re
import sys

DATA = pathlib.Path(__file__).resolve().parent / "data.yaml"
TABLE = "AWS::DynamoDB::Table"


def resources():
    """Each resource of data.yaml by its logical name, as it stands there."""
    text = DATA.read_text()
    body = text.split("\nResources:\n", 1)[1].split("\nOutputs:\n", 1)[0]
    parts = re.split(r"^  (\w+):\n", body, flags=re.M)
    return text, dict(zip(parts[1::2], parts[2::2], strict=True))


def tables():
    return {name: body for name, body in resources()[1].items() if f"Type: {TABLE}" in body}


def template():
    head = resources()[0].split("\nResources:\n", 1)[0]
    blocks = (f"  {name}:\n{body}" for name, body in tables().items())
    # A comment that belongs to the next resource may stand at the end of a block.
    return f"{head}\nResources:\n" + "".join(blocks)


def to_import(prefix):
    name = lambda body: re.search(r'TableName: !Sub "\$\{TablePrefix\}-(\w+)"', body)[1]
    return [{"ResourceType": TABLE, "LogicalResourceId": logical,
             "ResourceIdentifier": {"TableName": f"{prefix}-{name(body)}"}} for logical, body in tables().items()]


def main(words):
    match words:
        case ["template"]:
            print(template(), end="")
        case ["resources", prefix]:
            print(json.dumps(to_import(prefix), indent=1))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
