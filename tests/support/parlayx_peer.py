"""An operator's Parlay X services: spyne answers, zeep notifies by our WSDL of the standard.

Requests are validated against the schemas of our WSDLs as well.
"""

import base64
import contextlib
import hashlib
import io
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

# First: spyne can be imported on every Python only after it.
import soap_server  # noqa: F401

# isort: split
import xmlschema
import zeep
from lxml import etree
from spyne import AnyUri, Application, ComplexModel, Decimal, Fault, ServiceBase, String, rpc
from spyne.protocol.soap import Soap11
from spyne.server.wsgi import WsgiApplication

import wsdl

FOLDER = Path(wsdl.__file__).parent
COMMON = "http://www.csapi.org/schema/parlayx/common/v2_1"
SEND = "http://www.csapi.org/schema/parlayx/sms/send/v2_2/local"
MANAGER = "http://www.csapi.org/schema/parlayx/sms/notification_manager/v2_3/local"
USER, PASSWORD = "35000001", "s3:cr&t"
MINE = "8000"

_SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"


class Charging(ComplexModel):
    __namespace__ = COMMON
    description = String
    currency = String
    amount = Decimal
    code = String


class SimpleReference(ComplexModel):
    __namespace__ = COMMON
    endpoint = AnyUri
    interfaceName = String
    correlator = String


class DeliveryInformation(ComplexModel):
    __namespace__ = "http://www.csapi.org/schema/parlayx/sms/v2_2"
    address = AnyUri
    deliveryStatus = String


def fault(id: str, kind: str = "ServiceException") -> Fault:
    """A fault of the standard's."""
    detail = {f"{{{COMMON}}}{kind}": {"messageId": id, "text": "no for +32494000000"}}
    return Fault("Server", "it was not done", detail=detail)


class Operator:
    """What it does goes by words in the text: #bad, #throttle (once for each number), #silent,
    #before (it reports before it answers), #twice, #mo (a message comes from the number), #quiet
    (it reports nothing), #fault-ID."""

    def __init__(self) -> None:
        self.port = 0
        #: Bodies of requests by the names of their operations, and the headers of the last one.
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.header: etree._Element | None = None
        self.http: dict[str, str] = {}
        #: By request identifier.
        self.taken: dict[str, str] = {}
        #: By correlator: the numbers whose messages are notified.
        self.notified: dict[str, str] = {}
        self.status = "DeliveredToTerminal"
        self._correlators: set[str] = set()
        self._throttled: Counter[str] = Counter()
        self._ended = threading.Event()
        self._client = _notifier()
        self._threads: list[threading.Thread] = []

    def url(self, user: str = USER, password: str = "s3%3Acr%26t") -> str:
        """Its address in the settings, without options."""
        return f"parlayx://{user}:{password}@127.0.0.1:{self.port}/ParlayXSms/services/SendSms"

    def send(self, addresses: list[str], sender: str | None, message: str, reference: Any) -> str:
        (to,) = addresses
        told = {"to": to, "sender": sender, "message": message, "reference": reference}
        self.requests.append(("sendSms", told))
        words = set(message.split())
        for word in words:
            if word.startswith("#fault-"):
                kind = "ServiceException" if "SVC" in word else "PolicyException"
                raise fault(word.removeprefix("#fault-"), kind)
        if "#bad" in words:
            raise fault("SVC0004")
        self._throttled[to] += 1
        if "#throttle" in words and self._throttled[to] == 1:
            raise fault("SVC0001")
        correlator = reference and reference.correlator
        if correlator in self._correlators:
            raise fault("SVC0005")
        if correlator:
            self._correlators.add(correlator)
        id = f"Req-{len(self.taken) + 1:08X}"
        self.taken[id] = to
        report = (reference.endpoint, correlator, to) if reference else None
        if report and "#before" in words:
            self.report(*report)
        elif report and "#quiet" not in words:
            self._later(self.report, *report)
        if report and "#twice" in words:
            self._later(self.report, *report)
        if report and "#mo" in words:
            self._later(self.message, reference.endpoint, to)
        if "#silent" in words:
            self._ended.wait()
        return id

    def _later(self, deed: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=deed, args=arguments)
        self._threads.append(thread)
        thread.start()

    def report(self, endpoint: str, correlator: str, address: str) -> None:
        """Notify of a receipt until it is taken."""
        told = {"address": address, "deliveryStatus": self.status}
        self._notify(endpoint, "notifySmsDeliveryReceipt", correlator, told)

    def message(self, endpoint: str, sender: str) -> None:
        """Notify of a message until it is taken."""
        told = {
            "message": "Hi €",
            "senderAddress": sender,
            "smsServiceActivationNumber": f"tel:{MINE}",
            "dateTime": "2026-11-30T10:00:00Z",
        }
        self._notify(endpoint, "notifySmsReception", "sub", told)

    def _notify(self, endpoint: str, operation: str, *arguments: Any) -> None:
        binding = "{http://www.csapi.org/wsdl/parlayx/sms/notification/v2_2/interface}"
        service = self._client.create_service(f"{binding}SmsNotificationBinding", endpoint)
        while not self._ended.is_set():
            with contextlib.suppress(Exception):
                service[operation](*arguments)
                return
            time.sleep(0.05)

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()


def _services(operator: Operator) -> dict[str, WsgiApplication]:
    class SendSms(ServiceBase):
        @rpc(
            AnyUri.customize(max_occurs="unbounded"), String, Charging, String, SimpleReference,
            _returns=String, _out_variable_name="result",
        )  # fmt: skip
        def sendSms(ctx, addresses, senderName, charging, message, receiptRequest):
            return operator.send(addresses, senderName, message, receiptRequest)

        @rpc(
            String,
            _returns=DeliveryInformation.customize(max_occurs="unbounded"),
            _out_variable_name="result",
        )
        def getSmsDeliveryStatus(ctx, requestIdentifier):
            if requestIdentifier not in operator.taken:
                raise fault("SVC0002")
            operator.requests.append(("getSmsDeliveryStatus", {"id": requestIdentifier}))
            address = operator.taken[requestIdentifier]
            return [DeliveryInformation(address=address, deliveryStatus=operator.status)]

    class SmsNotificationManager(ServiceBase):
        @rpc(SimpleReference, AnyUri, String)
        def startSmsNotification(ctx, reference, smsServiceActivationNumber, criteria):
            told = {"number": smsServiceActivationNumber, "criteria": criteria}
            operator.requests.append(("startSmsNotification", told))
            if reference.correlator in operator.notified:
                raise fault("SVC0005")
            operator.notified[reference.correlator] = smsServiceActivationNumber

        @rpc(String)
        def stopSmsNotification(ctx, correlator):
            operator.notified.pop(correlator)

    return {
        path: WsgiApplication(
            Application([service], tns, in_protocol=Soap11(validator="soft"), out_protocol=Soap11())
        )
        for path, service, tns in (
            ("/ParlayXSms/services/SendSms", SendSms, SEND),
            ("/manager", SmsNotificationManager, MANAGER),
        )
    }


@cache
def _notifier() -> zeep.Client:
    return zeep.Client(str(FOLDER / "parlayx_notification.wsdl"))


@cache
def _schemas() -> dict[str, xmlschema.XMLSchema]:
    """The schemas of our WSDLs, by their target namespaces."""
    found = {}
    for name, namespace in (("send", SEND), ("notification_manager", MANAGER)):
        document = etree.parse(FOLDER / f"parlayx_{name}.wsdl")
        inner = document.findall(".//{http://www.w3.org/2001/XMLSchema}schema")
        *others, last = [etree.tostring(each).decode() for each in inner]
        found[namespace] = xmlschema.XMLSchema(last, build=False)
        for each in others:
            found[namespace].add_schema(each)
        found[namespace].build()
    return found


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


def is_signed_in(operator: Operator) -> bool:
    """Whether the last request had the right password, in whichever way."""
    basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    if operator.http.get("HTTP_AUTHORIZATION") == f"Basic {basic}":
        return True
    told = {
        etree.QName(each).localname: each.text or ""
        for each in (() if operator.header is None else operator.header.iter())
    }
    if "spPassword" in told:
        right = hashlib.md5(f"{USER}{PASSWORD}{told['timeStamp']}".encode()).hexdigest()
        return told["spId"] == USER and told["spPassword"] == right
    if "Nonce" in told:
        nonce = base64.b64decode(told["Nonce"])
        digest = hashlib.sha1(nonce + f"{told['Created']}{PASSWORD}".encode()).digest()
        rights = (PASSWORD, base64.b64encode(digest).decode())
        return told["Username"] == USER and told["Password"] in rights
    return False


@asynccontextmanager
async def parlayx_peer() -> AsyncIterator[Operator]:
    """A running operator."""
    operator = Operator()
    services, schemas = _services(operator), _schemas()

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        root = etree.fromstring(body)
        operator.header = root.find(f"{_SOAP}Header")
        operator.http = {name: value for name, value in environ.items() if name[:5] == "HTTP_"}
        assert environ["HTTP_SOAPACTION"] == '""'
        if not is_signed_in(operator):
            start_response("401 Unauthorized", [("Content-Length", "0")])
            return [b""]
        (told,) = root.iterfind(f"{_SOAP}Body/*")
        schemas[etree.QName(told).namespace].validate(etree.tostring(told).decode())
        return services[environ["PATH_INFO"]](environ, start_response)

    server = _Server(("127.0.0.1", 0), _Quiet)
    server.set_app(application)
    operator.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield operator
    finally:
        operator.end()
        server.shutdown()
        server.server_close()
        thread.join()
