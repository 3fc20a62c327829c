"""Why an envelope is refused. The texts are ours alone: nothing of the request is in them."""

from collections.abc import Sequence

from spyne import Fault


class SoapFault(Fault):  # type: ignore[misc]
    """A request that is answered with a SOAP Fault, as nothing in it can be acted on.

    `code` is one of SOAP 1.1's names (`Version.codes`); `not_understood` has the names of the
    headers that a MustUnderstand fault is about, in Clark notation.
    """

    def __init__(self, code: str, text: str, not_understood: Sequence[str] = ()) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text
        self.not_understood = not_understood


def client(text: str) -> SoapFault:
    """The request is at fault; sent again as it is, it fails again."""
    return SoapFault("Client", text)


def server() -> SoapFault:
    """We are at fault."""
    return SoapFault("Server", "Internal error")


def version_mismatch() -> SoapFault:
    return SoapFault("VersionMismatch", "The document is not a SOAP 1.1 or SOAP 1.2 envelope")


def must_understand(names: Sequence[str]) -> SoapFault:
    return SoapFault(
        "MustUnderstand", "A header that must be understood is not understood here", names
    )
