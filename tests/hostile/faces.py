"""Both faces with a backend that writes down what it accepts, for a server with any parser."""

from pathlib import Path

from support.soap_face import RecordingBackend

from sms_gateway.web.app import create_app
from soap_server import PATHS, SoapApp


def application(journal: str, body_timeout: float):
    """The web application; bodies may take `body_timeout` seconds."""
    backend = RecordingBackend(Path(journal))
    url = "http://localhost:8000"
    soon = backend.sendsms_soon
    soap = SoapApp(backend, url, send_soon=soon, body_timeout=body_timeout)
    return create_app(
        backend,
        send_soon=soon,
        public_url=url,
        soap=soap,
        soap_paths=PATHS,
        soap_quick=soap.answer,
        soap_unreadable=soap.unreadable,
    )
