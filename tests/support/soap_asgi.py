"""The SOAP face in this process: requests in, answers taken apart."""

from dataclasses import dataclass
from typing import Any

from lxml import etree
from starlette.types import Message

from sms_gateway.backend import Submission
from soap_server import SoapApp

from .soap_face import ENDPOINT, RecordingBackend

SOAP11 = "http://schemas.xmlsoap.org/soap/envelope/"
SOAP12 = "http://www.w3.org/2003/05/soap-envelope"
WSA = "http://www.w3.org/2005/08/addressing"
WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
NS = {"soap11": SOAP11, "soap12": SOAP12, "tns": "urn:sendSmsNow", "wsa": WSA}

PARAMETERS = "<recipients>+32494000000</recipients><message>Hello</message><apikey>secret</apikey>"
CALL = f'<sendSms xmlns="urn:sendSmsNow">{PARAMETERS}</sendSms>'
HELLO = Submission("+32494000000", "Hello", "secret")


def envelope(body: str = CALL, header: str = "", namespace: str = SOAP11) -> str:
    header = header and f"<s:Header>{header}</s:Header>"
    return f'<s:Envelope xmlns:s="{namespace}">{header}<s:Body>{body}</s:Body></s:Envelope>'


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def root(self) -> etree._Element:
        return etree.fromstring(self.body)

    @property
    def result(self) -> dict[str, str | None]:
        """The members of the result, by name."""
        assert self.status == 200, self.body
        (result,) = self.root.findall("{*}Body/tns:sendSmsResponse/tns:return", NS)
        return {etree.QName(each).localname: each.text for each in result}

    @property
    def fault(self) -> tuple[str, str]:
        """The code and the text of a fault, after a look at its structure."""
        assert self.status == 500, self.body
        root = self.root
        if etree.QName(root).namespace == SOAP11:
            (fault,) = root.findall("soap11:Body/soap11:Fault", NS)
            assert [each.tag for each in fault] == ["faultcode", "faultstring"]
            code, text = fault[0].text, fault[1].text
        else:
            (fault,) = root.findall("soap12:Body/soap12:Fault", NS)
            assert [etree.QName(each).localname for each in fault] == ["Code", "Reason"]
            code = fault.findtext("soap12:Code/soap12:Value", namespaces=NS)
            (reason,) = fault.findall("soap12:Reason/soap12:Text", NS)
            assert reason.get("{http://www.w3.org/XML/1998/namespace}lang") == "en"
            text = reason.text
        assert code is not None
        assert text is not None
        prefix, _, name = code.partition(":")
        assert root.nsmap[prefix] == etree.QName(root).namespace
        return name, text


class Face:
    def __init__(self, **options: Any) -> None:
        self.backend = RecordingBackend()
        self.app = SoapApp(self.backend, "https://sms.example.com", **options)

    async def request(
        self,
        method: str,
        path: str,
        *messages: Message,
        query: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> Answer:
        sent: list[Message] = []
        incoming = iter(messages)

        async def receive() -> Message:
            return next(incoming)

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query,
            "headers": [
                (name.lower().encode(), value.encode("latin-1"))
                for name, value in (headers or {}).items()
            ],
        }
        await self.app(scope, receive, send)
        start, body = sent
        names = [name.decode() for name, _ in start["headers"]]
        assert len(names) == len(set(names))
        return Answer(
            start["status"],
            {name.decode(): value.decode() for name, value in start["headers"]},
            body["body"],
        )

    async def post(
        self,
        body: str | bytes,
        content_type: str = "text/xml; charset=utf-8",
        **headers: str,
    ) -> Answer:
        content = body.encode() if isinstance(body, str) else body
        answer = await self.request(
            "POST",
            ENDPOINT,
            {"type": "http.request", "body": content},
            headers={"content-type": content_type}
            | {name.replace("_", "-"): value for name, value in headers.items()},
        )
        assert answer.headers["content-length"] == str(len(answer.body))
        return answer
