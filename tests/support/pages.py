"""The pages as a browser without JavaScript sees them."""

import json
import re
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

from .running import Running


class Browser:
    """A browser without JavaScript; it does not follow redirects to other places."""

    def __init__(self, gateway: Running, network: str = "198.51.100.1") -> None:
        self.url = gateway.url
        self.cookies = CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self.cookies), _Errors()
        )
        self._network = network

    def get(self, path: str, data: bytes | None = None, **headers: str) -> tuple[int, str]:
        request = urllib.request.Request(self.url + path, data)
        for name, value in {
            "Accept": "text/html",
            "X-Forwarded-For": self._network,
            **headers,
        }.items():
            request.add_header(name.replace("_", "-"), value)
        with self._opener.open(request, timeout=30) as answer:
            assert answer.url.startswith(self.url)
            self.headers = answer.headers
            return answer.status, answer.read().decode()

    def post(self, path: str, /, page: str = "", **fields: str) -> tuple[int, str]:
        """Fill in the form of a page, by default the one at the same path."""
        token = re.search('name="form_token" value="([0-9a-f]+)"', self.get(page or path)[1])
        assert token is not None
        return self.post_raw(path, form_token=token[1], **fields)

    def post_raw(self, path: str, /, **fields: str) -> tuple[int, str]:
        return self.get(path, urllib.parse.urlencode(fields).encode())

    def sign_in(self, key: str) -> tuple[int, str]:
        return self.post("/account/", apikey=key)


class _Errors(urllib.request.HTTPErrorProcessor):
    def http_response(self, request, response):
        # Redirects are followed, refusals are answers.
        return response if response.status >= 400 else super().http_response(request, response)


def send(gateway: Running, key: str, recipients: str, message: str) -> str:
    fields = {"apikey": key, "recipients": recipients, "message": message, "format": "json"}
    data = urllib.parse.urlencode(fields).encode()
    with urllib.request.urlopen(f"{gateway.url}/sendsms/", data, timeout=60) as answer:
        result = json.loads(answer.read())["result"]
    assert result["error"] == 0
    return str(result["id"])
