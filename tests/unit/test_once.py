"""What stands once stands nowhere else: the clock, ISO 8601, pauses, networks, bodies, errors."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import email_gateway
import sms_gateway
import soap_server

PACKAGES = [
    Path(str(package.__file__)).parent for package in (sms_gateway, soap_server, email_gateway)
]
#: A pattern, and the only files that may have it.
ONCE = [
    (r"time_ns\(\)|\btime\.time\(", {"moments.py"}),
    (r"datetime\.fromtimestamp|\.isoformat\(", {"moments.py"}),
    # The dates of receipts are in the zone of their carrier.
    (r"datetime\.fromisoformat", {"moments.py", "receipt.py"}),
    (r"\brandom\.uniform", {"backoff.py"}),
    # Networks of settings, and those of clients.
    (r"\bip_network\(", {"clients.py", "networks.py", "values.py"}),
    (r'"more_body"|http\.disconnect', {"asgi_body.py"}),
    (r"log\.exception\(|exc_info=", set()),
    # Options of upstreams, and forms that providers push.
    (r"\bparse_qsl\(", {"url_options.py", "published.py"}),
    (r"OrderedDict\[str, float\]", {"allowance.py"}),
]  # fmt: skip


def sources() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        for file in package.rglob("*.py"):
            yield file.name, file.read_text()


@pytest.mark.parametrize(("pattern", "files"), ONCE, ids=[pattern for pattern, _ in ONCE])
def test_it_is_written_once(pattern: str, files: set[str]) -> None:
    assert {name for name, text in sources() if re.search(pattern, text)} == files
