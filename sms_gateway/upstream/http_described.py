"""The requests that a table describes (`http_table`), and how they sign in."""

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from urllib.parse import urlsplit

from .http_contract import Request, UnsendableError
from .http_table import Asked, Auth
from .oauth2 import OAuth2
from .template import Body, Fields, Fill, Form, Json, Plain, Text, Xml, path


@contextmanager
def within(where: str) -> Iterator[None]:
    """Say of a ValueError in the block which entry of the table it is about."""
    try:
        yield
    except UnicodeError:
        raise
    except ValueError as error:
        glue = "" if where.endswith(".") else ": "
        raise ValueError(f"{where}{glue}{error}") from None


class SignIn:
    """How we sign in."""

    def __init__(self, auth: Auth | None, given: Mapping[str, str]) -> None:
        auth = auth or Auth(bearer="")

        def fill(text: str) -> str:
            return Text(text, list(given)).text(given.__getitem__)

        with within("auth"):
            self.headers: dict[str, str] = {}
            #: Percent-encoded.
            self.query = ""
            self.oauth2: OAuth2 | None = None
            if auth.basic is not None:
                pair = f"{fill(auth.basic)}:{fill(auth.password)}".encode()
                told = base64.b64encode(pair).decode("ascii")
                self.headers["Authorization"] = f"Basic {told}"
            elif auth.bearer:
                self.headers["Authorization"] = f"Bearer {fill(auth.bearer)}"
            elif auth.header is not None:
                self.headers[auth.header] = fill(auth.value)
            elif auth.query is not None:
                value = fill(auth.value)
                self.query = Fields({auth.query: "{v}"}, ["v"]).encoded(lambda _: value)
            elif auth.oauth2 is not None:
                self.oauth2 = OAuth2(
                    url=fill(auth.oauth2),
                    client_id=fill(auth.client_id),
                    client_secret=fill(auth.client_secret),
                    scope=fill(auth.scope),
                )
                if urlsplit(self.oauth2.url).scheme not in ("http", "https"):
                    raise ValueError("oauth2 is the http or https address of the tokens")


class DescribedRequest:
    """A request that is described."""

    def __init__(
        self, asked: Asked, names: Sequence[str], where: str, auth: SignIn, url: str
    ) -> None:
        self._method, self._auth, self._url = asked.method, auth, url
        with within(f"{where}path"):
            # A query in the path is one, too: what is filled in is percent-encoded everywhere.
            self._path = Text(asked.path, names)
        with within(f"{where}query."):
            self._query = Fields(asked.query, names)
        with within(f"{where}headers."):
            self._headers = Fields(asked.headers, names)
        self._body = _body(asked, names, where)

    def request(self, fill: Fill, sign: Callable[[Request, str], Mapping[str, str]]) -> Request:
        """The request filled in."""
        target = path(self._path, fill)
        query = "&".join(filter(None, (self._query.encoded(fill), self._auth.query)))
        if query:
            target += ("&" if "?" in target else "?") + query
        headers = {**self._auth.headers, **self._headers.filled(fill)}
        if any(_CONTROL.search(value) for value in headers.values()):
            raise UnsendableError("its request could not be made")
        body = b""
        if self._body is not None:
            headers = {"Content-Type": self._body.media_type, **headers}
            body = self._body.body(fill)
        made = Request(path=target, method=self._method, headers=headers, body=body)
        more = sign(made, self._url + target)
        return replace(made, headers={**headers, **more})


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _body(asked: Asked, names: Sequence[str], where: str) -> Body | None:
    if asked.form is not None:
        with within(f"{where}form."):
            return Form(asked.form, names)
    if asked.json_ is not None:
        with within(f"{where}json"):
            return Json(asked.json_, names)
    if asked.xml is not None:
        with within(f"{where}xml"):
            return Xml(asked.xml, names, asked.media_type or "text/xml; charset=utf-8")
    if asked.text is not None:
        with within(f"{where}text"):
            return Plain(asked.text, names, asked.media_type or "text/plain; charset=utf-8")
    return None
