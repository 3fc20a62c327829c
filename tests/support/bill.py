"""The bill of materials of a release: `python -m support.bill RAW CONSTRAINTS BILL`.

`tox -e sbom` runs it.

RAW is what cyclonedx-py found in an environment that has the wheel and nothing else. The bill has
the wheel as its subject and no path of this machine. A component whose version is not the locked
one, or whose licence nobody knows, ends it with status 1 and no bill.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

Bill = dict[str, Any]
SUBJECT = "sendsmsnow"


class BillError(Exception):
    """The environment is not what a release is made of; the words say which component."""


def bill_of(raw: Bill, constraints: str) -> Bill:
    """The bill of what was found; BillError where it is not what was locked."""
    locked = {
        _canonical(name): version
        for name, version in re.findall(r"^([\w.-]+)==(\S+)", constraints, re.M)
    }
    subjects = [each for each in raw["components"] if each["name"] == SUBJECT]
    if len(subjects) != 1:
        raise BillError(f"{SUBJECT} is not installed")
    others = [each for each in raw["components"] if each["name"] != SUBJECT]
    for each in others:
        name, version = each["name"], each["version"]
        if locked.get(_canonical(name)) != version:
            wanted = locked.get(_canonical(name), "none")
            raise BillError(f"{name} {version} is installed, locked is {wanted}")
        if not each.get("licenses"):
            raise BillError(f"{name} {version} says no licence")
    # Where the wheel was installed from is a folder of this machine.
    subject = {key: value for key, value in subjects[0].items() if key != "externalReferences"}
    subject |= {"type": "application", "purl": f"pkg:pypi/{SUBJECT}@{subject['version']}"}
    return raw | {"metadata": raw["metadata"] | {"component": subject}, "components": others}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> int:
    # The environment of the tests does not have it.
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    raw, constraints, target = map(Path, sys.argv[1:])
    try:
        bill = bill_of(json.loads(raw.read_text("utf-8")), constraints.read_text("utf-8"))
    except BillError as error:
        print(f"No bill of materials: {error}.")
        return 1
    written = json.dumps(bill, indent=2, sort_keys=True) + "\n"
    if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(written):
        print(f"No bill of materials: {wrong}")
        return 1
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(written, "utf-8")
    subject = bill["metadata"]["component"]
    print(
        f"{target}: {subject['name']} {subject['version']}, {len(bill['components'])} components, "
        "all of locked versions, each with its licence; valid CycloneDX 1.6"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
