"""Serves the SOAP endpoint and its WSDL over HTTP, as an ASGI application."""

import binascii
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from functools import lru_cache, partial
from typing import Any
from urllib.parse import quote

from spyne import Application, MethodContext
from spyne.server import ServerBase

from sms_gateway.backend import Backend, Reply, Submission, awaited, call_back
from sms_gateway.codes import Code
from sms_gateway.log import log_error
from sms_gateway.network.asgi_body import MAX_BODY, UnusableError, receive_body

from . import compat, decode, faults, published, versions
from .decode import single_byte
from .envelope_templates import RESULT, EnvelopeTemplate, EnvelopeTemplates, Reading, is_plain
from .protocol import HardenedSoap, fault
from .service import NAME, Exchange, SmsService
from .types import NAMESPACE

log = logging.getLogger("soap_server")

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = tuple[tuple[bytes, bytes], ...]
#: Status, headers and body.
Response = tuple[int, Headers, bytes]
OnResponse = Callable[[Response], None]

ENDPOINT = "/sendsms/soap/"
#: The paths that `SoapApp` answers. All others are for other applications.
PATHS = (ENDPOINT, ENDPOINT.rstrip("/"), *published.FILES)

#: The most characters of a note in a header.
LONGEST_NOTE = 300
_READABLE = " !\"#$&'()*+,/:;<=>?@[\\]^`{|}"

# A call of `sendSms`, from which the templates of answers are made.
_BLANK = (
    '<s:Envelope xmlns:s="%s"><s:Body><sendSms xmlns="%s"><recipients>0</recipients>'
    "<message>0</message><apikey>0</apikey></sendSms></s:Body></s:Envelope>"
)
_XML = b"text/xml; charset=utf-8"
_TEXT = b"text/plain; charset=utf-8"


class SoapApp:
    """The SOAP endpoint and its WSDL, as an ASGI application for the paths in `PATHS`.

    It answers in the SOAP version of the request, and never redirects. The reply of the backend is
    in the result, with HTTP 200. An unusable request gets a Fault, with HTTP 500.
    """

    def __init__(
        self,
        backend: Backend,
        public_url: str,
        *,
        max_body: int = MAX_BODY,
        body_timeout: float = 60,
    ) -> None:
        """`public_url`: the URL of the gateway without a path, "https://sms.example.com".

        `max_body`: the most bytes of a body, packed and unpacked. `body_timeout`: the seconds in
        which the whole body has to arrive.
        """
        self._backend = backend
        self._files = published.files(public_url.rstrip("/") + ENDPOINT)
        self._max_body = max_body
        self._body_timeout = body_timeout
        self._server = Server(max_body)
        self._templates = EnvelopeTemplates(partial(self._server.read_marks, backend))
        #: The templates of plain calls of `sendSms`, by the namespace of their SOAP version.
        self._blank_templates = {
            version.namespace: read[0]
            for version in (versions.SOAP11, versions.SOAP12)
            if (read := self._templates.read((_BLANK % (version.namespace, NAMESPACE)).encode()))
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await _not_http(scope, receive, send)
            return
        path, method = scope["path"], scope["method"]
        headers = dict(scope["headers"])
        if path not in PATHS:
            response = _response(headers, 404, _TEXT, b"Not found\n")
        elif method == "POST":
            response = await self._post(headers, receive)
        else:
            file = published.file_asked_for(path, scope["query_string"])
            response = self._without_body(headers, method, file)
        await _send(response, send, with_body=method != "HEAD")

    def _without_body(
        self, headers: Mapping[bytes, bytes], method: str, file: str | None
    ) -> Response:
        """The response to another method than POST; `file`: the WSDL that is asked for."""
        allow = b"OPTIONS, POST" if file is None else b"GET, HEAD, OPTIONS, POST"
        if method == "OPTIONS":
            return 204, ((b"allow", allow),), b""
        if file is None or method not in ("GET", "HEAD"):
            return _not_allowed(headers, allow)
        status, body, more = published.answer(self._files[file], headers)
        # An answer without the file has no length (RFC 9110, section 8.6).
        return _response(headers, status, _XML, body, *more) if body else (status, more, b"")

    def answer(
        self,
        query: bytes,
        headers: Mapping[bytes, bytes],
        body: bytes,
        on_response: OnResponse,
    ) -> None:
        """Answer a POST with this body, which is not larger than `max_body`. All servers call this.

        `on_response` is called once, now or later. Names of headers are in lower case; of several
        headers with a name the last counts. The query is ignored.
        """
        if not self.by_template(headers, body, on_response):
            call_back(self.by_spyne(headers, body), on_response)

    def by_template(
        self, headers: Mapping[bytes, bytes], body: bytes, on_response: OnResponse
    ) -> bool:
        """As `answer`, for a call of `sendSms` with a template. False for every other request,
        which is for `by_spyne`."""
        if b"content-encoding" in headers or not is_plain(headers.get(b"content-type", b"")):
            return False
        read = self._templates.read(body)
        if read is None:
            return False
        template, recipients, message, apikey = read
        key = apikey.strip() or _basic_password(headers).strip()
        submission = Submission(recipients, message, key, _idempotency_key(headers))
        on_reply = partial(_report, on_response, headers, template)
        try:
            self._backend.submit(submission, on_reply)
        except Exception as error:  # a backend should not raise
            log_error(log, "backend failed", error)
            on_reply(Reply(Code.INTERNAL))
        return True

    async def by_spyne(self, headers: Mapping[bytes, bytes], body: bytes) -> Response:
        """The response to any POST, read by spyne."""
        exchange = Exchange(
            backend=self._backend,
            content_type=headers.get(b"content-type", b"").decode("latin-1"),
            content_encoding=headers.get(b"content-encoding", b"").decode("latin-1"),
            idempotency_key=_idempotency_key(headers),
            password=_basic_password(headers),
        )
        status, answer = await self._server.call(exchange, body)
        media_type = exchange.version.media_type.encode()
        return _response(headers, status, media_type, answer, *_beside(exchange))

    def unreadable(
        self, status: int, why: str, path: bytes, query: bytes, headers: Mapping[bytes, bytes]
    ) -> Response:
        """The answer to malformed HTTP: a Fault at the endpoint, plain text elsewhere.

        `path` is as much as could be read. `why` contains nothing of the request.
        """
        if path.decode("latin-1") not in (ENDPOINT, ENDPOINT.rstrip("/")):
            return _response(headers, status, _TEXT, why.encode() + b"\n")
        if status == 503 and (template := self._template_for(headers)):
            return _reported(headers, template, Reply(Code.INTERNAL, note=why))
        refusal = faults.client(why) if status < 500 or status in (501, 505) else faults.server()
        version = versions.likely(b"", headers.get(b"content-type", b"").decode("latin-1"))
        answer = fault(refusal, Exchange(backend=self._backend, version=version)).encode()
        return _response(headers, status, version.media_type.encode(), answer)

    def _template_for(self, headers: Mapping[bytes, bytes]) -> EnvelopeTemplate | None:
        """The template of the answer to a call of `sendSms` whose body was not read.

        None when the headers do not name `sendSms`: other operations have other answers.
        """
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        # SOAP 1.1 section 6.1.1; SOAP 1.2 part 2, appendix A.
        _, parameters = decode.header_value(content_type)
        action = headers.get(b"soapaction", b"").decode("latin-1") or parameters.get("action", "")
        if action.strip().strip('"') != f"{NAMESPACE}#sendSms":
            return None
        version = versions.likely(b"", content_type)
        return self._blank_templates.get(version.namespace)

    async def _post(self, headers: Mapping[bytes, bytes], receive: Receive) -> Response:
        try:
            body = await receive_body(receive, most=self._max_body, seconds=self._body_timeout)
        except UnusableError as error:
            content_type = headers.get(b"content-type", b"").decode("latin-1")
            version = versions.likely(b"", content_type)
            answer = fault(
                faults.client(error.why), Exchange(backend=self._backend, version=version)
            ).encode()
            # Close: the rest of the body must not be read as the next request.
            closing = {**headers, b"connection": b"close"}
            return _response(closing, 500, version.media_type.encode(), answer)
        return await awaited(self.answer, b"", headers, body)


class Context(MethodContext):  # type: ignore[misc]
    """The request context of spyne, without parts that cost time and are not used here."""

    TransportContext = None
    # spyne's own __setattr__ refuses new attributes.
    __setattr__ = object.__setattr__

    def fire_event(self, event: str, *args: object, **named: object) -> None:
        """Do nothing, as no listener is registered."""


class Server(ServerBase):  # type: ignore[misc]
    """Runs a request through the application of spyne, and awaits the backend."""

    # The transport of the bindings in the WSDL (WSDL 1.1 §3.3): SOAP over HTTP.
    transport = "http://schemas.xmlsoap.org/soap/http"

    def __init__(self, max_body: int = MAX_BODY) -> None:
        compat.tame()
        # An application needs a protocol object for each direction.
        reader, writer = HardenedSoap(max_body), HardenedSoap(max_body)
        super().__init__(
            Application([SmsService], NAMESPACE, name=NAME, in_protocol=reader, out_protocol=writer)
        )

    async def call(self, exchange: Exchange, body: bytes) -> tuple[int, bytes]:
        """The HTTP status and the body of the answer."""
        context = self._context(exchange, body)
        try:
            self._read(context)
            if context.out_error is None:
                self.get_out_object(context)
            if context.out_error is None:
                # The operation is a coroutine function, so its result is a coroutine.
                (coroutine,) = context.out_object
                context.out_object = [await coroutine]
            self.get_out_string(context)
            if context.out_error is not None:
                log.info("SOAP request refused", extra={"reason": context.out_error.faultstring})
            status = 200 if context.out_error is None else 500
            return status, b"".join(context.out_string)
        except Exception as error:
            log_error(log, "SOAP request failed", error)
            return 500, fault(faults.server(), exchange).encode()
        finally:
            # Cleared, as the context refers to itself and would keep the request in memory.
            context.__dict__.clear()

    def read_marks(self, backend: Backend, envelope: bytes) -> Reading:
        """Read an envelope with marks instead of texts, for `envelope_templates`."""
        exchange = Exchange(backend=backend)
        context = self._context(exchange, envelope)
        try:
            self._read(context)
            if context.out_error is not None or context.in_header_doc:
                return None
            if context.descriptor.name != "sendSms":
                return None
            arguments = context.in_object
            context.out_object = [RESULT]
            self.get_out_string(context)
            return arguments, exchange.version.media_type.encode(), b"".join(context.out_string)
        finally:
            context.__dict__.clear()

    def _context(self, exchange: Exchange, body: bytes) -> Context:
        context = Context(self, MethodContext.SERVER)
        context.udc = exchange
        context.in_string = [body]
        return context

    def _read(self, context: Context) -> None:
        """Read the body: sets the arguments, or the error, of the context."""
        self.generate_contexts(context)
        if context.out_error is None:
            self.get_in_object(context)


def _reported(headers: Mapping[bytes, bytes], template: EnvelopeTemplate, reply: Reply) -> Response:
    answer = template.filled(reply)
    return _response(headers, 200, template.media_type, answer, *_beside(reply))


def _report(
    on_response: OnResponse,
    headers: Mapping[bytes, bytes],
    template: EnvelopeTemplate,
    reply: Reply,
) -> None:
    on_response(_reported(headers, template, reply))


def _beside(reply: Reply | Exchange) -> Headers:
    """The headers with the parts of a reply that the result has no fields for.

    They are Retry-After and the note, which is percent-encoded where not ASCII (RFC 3986 §2.1).
    """
    wait = ((b"retry-after", b"%d" % reply.retry_after),) if reply.retry_after else ()
    if not reply.note:
        return wait
    note = quote(reply.note[:LONGEST_NOTE].encode("utf-8", "replace"), safe=_READABLE)
    return (*wait, (b"sendsmsnow-note", note.encode()))


def _idempotency_key(headers: Mapping[bytes, bytes]) -> str:
    key = headers.get(b"idempotency-key")
    return "" if key is None else key.decode("latin-1").strip()


def _basic_password(headers: Mapping[bytes, bytes]) -> str:
    """The password of HTTP Basic authentication (RFC 7617); empty when there is none."""
    authorization = headers.get(b"authorization", b"")
    scheme, _, credentials = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        return ""
    try:
        _, _, password = binascii.a2b_base64(credentials.strip()).partition(b":")
    except binascii.Error:
        return ""
    try:
        return password.decode("utf-8")
    except UnicodeDecodeError:
        return single_byte(password)


def _not_allowed(headers: Mapping[bytes, bytes], allow: bytes) -> Response:
    text = b"This address takes SOAP requests by POST; its WSDL is at " + ENDPOINT.encode()
    return _response(headers, 405, _TEXT, text + b"?wsdl\n", (b"allow", allow))


def _response(
    headers: Mapping[bytes, bytes],
    status: int,
    content_type: bytes,
    body: bytes,
    *more: tuple[bytes, bytes],
) -> Response:
    """A response to a request with these headers."""
    # gunicorn closes without this header, and Node's agent then still sends its next request.
    connection = headers.get(b"connection")
    closing = connection is not None and b"close" in connection.lower()
    return status, (*_headers(content_type, len(body), closing), *more), body


# Nearly all answers have equal headers.
@lru_cache(maxsize=256)
def _headers(content_type: bytes, length: int, closing: bool) -> Headers:
    usual = (b"content-type", content_type), (b"content-length", b"%d" % length)
    return (*usual, (b"connection", b"close")) if closing else usual


async def _send(response: Response, send: Send, *, with_body: bool) -> None:
    status, headers, body = response
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body if with_body else b""})


async def _not_http(scope: Scope, receive: Receive, send: Send) -> None:
    """Complete the lifespan events of the server; refuse a WebSocket."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1000})
        return
    for event in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{event}.complete"})
