"""What the pages read of a request's headers: each in a time that grows with its length and no
faster, whatever it says."""

import re

from ...network.clients import Headers

# A session's secret. All that a cookie of ours may be.
_TOKEN = re.compile(rb"[0-9A-Za-z]{64}")


def token(headers: Headers, name: str) -> str:
    """The secret in the cookie of this name (RFC 6265, section 5.4); empty when there is none.

    Of several with this name the first that may be ours counts: browsers send that of the longest
    path first. No quotes or escapes are looked for, as we write none.
    """
    wanted = name.encode()
    for header, value in headers:
        if header != b"cookie":
            continue
        for pair in value.split(b";"):
            found, _, secret = pair.strip().partition(b"=")
            if found == wanted and _TOKEN.fullmatch(secret):
                return secret.decode()
    return ""
