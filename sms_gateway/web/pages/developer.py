"""Computes the developer page: the API's paths, parameters and codes, and sample programs."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ...codes import MAX_RECIPIENTS, Code
from ...sms.encoding import Encoding
from ...sms.segments import LIMITS
from ..api import OPERATIONS
from .site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A program that sends a message; all samples send the same one."""

    #: The file in templates/samples.
    file: str
    title: str
    #: The sample's requirements; the template looks up the words.
    needs: str = ""


SAMPLES = (
    Sample(file="curl.sh", title="curl"),
    Sample(file="php.php", title="PHP", needs="with its SOAP extension"),
    Sample(file="nusoap.php", title="PHP nusoap", needs="with the nusoap library"),
    Sample(file="python.txt", title="Python", needs="with zeep"),
    Sample(file="Send.java", title="Java", needs="11 or newer, nothing else"),
    Sample(file="csharp.cs", title="C#", needs=".NET 6 or newer, nothing else"),
    Sample(file="windev.wl", title="WinDev", needs="WLanguage"),
    Sample(file="mail.txt", title="E-mail", needs="from any mail program"),
)

#: The meaning of each parameter; the template looks up the words.
PARAMETERS = {
    "apikey": "your key; also as Authorization: Bearer",
    "recipients": "one to four numbers with their country's code, separated by commas",
    "message": "the text, in UTF-8",
    "sender": "who the handset shows, if the key may choose: up to 15 digits or 11 letters",
    "reference": "what you call it, up to 100 characters: told with its status and by callbacks",
    "id": "the message's id, as it was answered",
    "after": "the next of the answer before; 0 to begin with",
    "limit": "how many messages at most, up to 1000",
    "before": "a date or time (ISO 8601): only what was sent before it",
    "format": "json for JSON; Accept: application/json does the same",
}

#: The purpose of each path, and its parameters; a star marks an optional parameter.
REFERENCE = {
    "/sendsms/": (
        "sends a text to one or more numbers",
        ("apikey", "recipients", "message", "sender*", "reference*"),
    ),
    "/resendsms/": ("sends a message again to the recipients it did not reach", ("apikey", "id")),
    "/status/": ("tells where a message is, step by step", ("apikey", "id")),
    "/getsms/": (
        "reads the messages received on your number",
        ("apikey", "after*", "limit*"),
    ),
    "/deletesms/": (
        "deletes sent history: one message, what is older than a date, or all",
        ("apikey", "id*", "before*"),
    ),
}


class DeveloperPage:
    """`/`."""

    def __init__(self, site: Site, *, mail_domain: str | None) -> None:
        self._site = site
        self._mail_domain = mail_domain

    def routes(self) -> list[BaseRoute]:
        return [Route("/", self.show)]

    async def show(self, request: Request) -> Response:
        """The page."""
        visit = self._site.visit(request)
        return self._site.page(
            visit,
            "developer.html",
            {
                "here": "developer",
                "operations": [
                    (path, REFERENCE[path][0], operation.methods, REFERENCE[path][1])
                    for path, operation in OPERATIONS.items()
                ],
                "parameters": PARAMETERS,
                "codes": list(Code),
                "limits": {encoding.value: LIMITS[encoding] for encoding in Encoding},
                "most": MAX_RECIPIENTS,
                "samples": [(sample, self._sample(sample)) for sample in self._offered()],
            },
        )

    def _offered(self) -> list[Sample]:
        # A gateway that takes no mails shows no sample of one.
        return [s for s in SAMPLES if s.file != "mail.txt" or self._mail_domain is not None]

    def _sample(self, sample: Sample) -> str:
        values: Mapping[str, object] = {"mail_domain": self._mail_domain}
        return self._site.render("en", f"samples/{sample.file}", values).rstrip()
