"""Defines the faults that refuse an envelope. Their texts contain nothing of the request."""

from collections.abc import Sequence

from spyne import Fault


class SoapFault(Fault):  # type: ignore[misc]
    """The refusal of a request that cannot be read: it is answered with a SOAP Fault.

    `code`: a name of SOAP 1.1 (`Version.codes`). `not_understood`: the headers of a MustUnderstand
    fault, in Clark notation.
    """

    def __init__(self, code: str, text: str, not_understood: Sequence[str] = ()) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text
        self.not_understood = not_understood


def client(text: str) -> SoapFault:
    """A fault of the request, which would fail again when repeated."""
    return SoapFault("Client", text)


def server() -> SoapFault:
    """A fault of ours."""
    return SoapFault("Server", "Internal error")


def version_mismatch() -> SoapFault:
    return SoapFault("VersionMismatch", "The document is not a SOAP 1.1 or SOAP 1.2 envelope")


def must_understand(names: Sequence[str]) -> SoapFault:
    return SoapFault(
        "MustUnderstand", "A header that must be understood is not understood here", names
    )
