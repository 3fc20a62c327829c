"""The types of the service, as spyne knows them and the WSDL shows them."""

from spyne import ComplexModel, Integer32, Unicode

#: The target namespace of the contract.
NAMESPACE = "urn:sendSmsNow"

#: xsd:string and xsd:int as the contract has them: always there, never nil.
String = Unicode(min_occurs=1, nillable=False)
Int = Integer32(min_occurs=1, nillable=False)


class SendSmsResult(ComplexModel):  # type: ignore[misc]
    """The outcome: a reply code, how many numbers were accepted, the message's id."""

    __namespace__ = NAMESPACE
    _type_info = (("error", Int), ("sent", Int), ("id", String))
