"""Both faces with a backend that writes down what it accepts, for a server with any parser."""

from pathlib import Path

from support.soap_face import RecordingBackend

from sms_gateway.web.app import create_app
from sms_gateway.web.crowd import Limits
from soap_server import PATHS, SoapApp

#: No test here is about these.
_MANY = (10_000, 10_000)


def application(
    journal: str,
    body_timeout: float,
    per_network: tuple[int, int] = _MANY,
    proxies: tuple[str, ...] = (),
    patience: float = 60,
):
    """The web application; bodies may take `body_timeout` seconds. A network may have so many
    connections and bodies, and a request come slowly for `patience` seconds."""
    connections, bodies = per_network
    limits = Limits(
        connections_per_network=connections,
        bodies_per_network=bodies,
        proxies=proxies,
        patience=patience,
    )
    backend = RecordingBackend(Path(journal))
    url = "http://localhost:8000"
    soap = SoapApp(backend, url, body_timeout=body_timeout)
    return create_app(
        backend,
        public_url=url,
        soap=soap,
        soap_paths=PATHS,
        soap_entry=soap.answer,
        soap_unreadable=soap.unreadable,
        limits=limits,
    )
