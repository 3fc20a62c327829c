"""Reads the visitor's cookie from a request's headers, in a time linear in their length."""

import re

from ...network.clients import Headers

# A session's secret: the only valid value of our cookie.
_TOKEN = re.compile(rb"[0-9A-Za-z]{64}")


def token(headers: Headers, name: str) -> str:
    """The secret in the cookie of this name (RFC 6265, section 5.4); empty when there is none.

    Of several cookies with this name the first valid one counts: browsers send the cookie with the
    longest path first. Quotes and escapes are not decoded, as we write none.
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
