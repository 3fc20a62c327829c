"""The bill of materials holds what is locked, each with its licence, and nothing of the machine."""

from typing import Any

import pytest
from support.bill import BillError, bill_of

CONSTRAINTS = "# made by tox\nlxml==6.1.3\ntyping-extensions==4.16.0 ; python_version < '4'\n"


def component(name: str, version: str, **more: Any) -> dict[str, Any]:
    return {
        "bom-ref": name,
        "name": name,
        "version": version,
        "type": "library",
        "licenses": [{"license": {"id": "MIT"}}],
        **more,
    }


OURS = component(
    "sendsmsnow", "1.0.0", externalReferences=[{"type": "distribution", "url": "file:///home/me"}]
)


def raw(*components: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"tools": {}}, "components": list(components), "dependencies": []}


def test_the_wheel_is_the_subject_and_no_path_of_the_machine_is_told() -> None:
    bill = bill_of(raw(OURS, component("typing_extensions", "4.16.0")), CONSTRAINTS)
    subject = bill["metadata"]["component"]
    assert subject["purl"] == "pkg:pypi/sendsmsnow@1.0.0"
    assert subject["type"] == "application"
    assert [each["name"] for each in bill["components"]] == ["typing_extensions"]
    assert "file:" not in str(bill)


@pytest.mark.parametrize(
    ("components", "reason"),
    [
        ([OURS, component("lxml", "6.1.2")], r"lxml 6\.1\.2 is installed, locked is 6\.1\.3"),
        ([OURS, component("leftpad", "1")], "leftpad 1 is installed, locked is none"),
        ([OURS, component("lxml", "6.1.3", licenses=[])], "says no licence"),
        ([component("lxml", "6.1.3")], "not installed"),
    ],
)
def test_what_is_not_locked_or_has_no_licence_makes_no_bill(
    components: list[dict[str, Any]], reason: str
) -> None:
    with pytest.raises(BillError, match=reason):
        bill_of(raw(*components), CONSTRAINTS)
