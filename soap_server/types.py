"""Defines the types of the service for spyne and the WSDL.

A list is a repeated element of a named type, the only form that all code generators and strict
readers accept. A time is a string, which every stack passes on unchanged, and may be empty.
"""

from typing import Any

from spyne import ComplexModel, Integer32, Integer64, Unicode

#: The target namespace of the contract.
NAMESPACE = "urn:sendSmsNow"

#: xsd:string, xsd:int and xsd:long as the contract has them: always there, never nil.
String = Unicode(min_occurs=1, nillable=False)
Int = Integer32(min_occurs=1, nillable=False)
Long = Integer64(min_occurs=1, nillable=False)


def several(model: Any) -> Any:
    """Any number of elements of a type, one after the other."""
    return model.customize(min_occurs=0, max_occurs="unbounded", nillable=False)


def one(model: Any) -> Any:
    """One element of a type: always there, never nil."""
    return model.customize(min_occurs=1, nillable=False)


class SendSmsResult(ComplexModel):  # type: ignore[misc]
    """The outcome: a reply code, how many numbers were accepted, the message's id."""

    __namespace__ = NAMESPACE
    _type_info = (("error", Int), ("sent", Int), ("id", String))


class ReceivedMessage(ComplexModel):  # type: ignore[misc]
    """A message that came in; `received` is a time."""

    __namespace__ = NAMESPACE
    _type_info = (
        ("id", Long),
        ("from", String),
        ("to", String),
        ("message", String),
        ("received", String),
    )


class GetSmsResult(ComplexModel):  # type: ignore[misc]
    """A reply code and the messages, oldest first."""

    __namespace__ = NAMESPACE
    _type_info = (("error", Int), ("messages", several(ReceivedMessage)))


class Step(ComplexModel):  # type: ignore[misc]
    """What happened to a delivery, or to one part of it (from 1; 0 is the whole), at a time."""

    __namespace__ = NAMESPACE
    _type_info = (("at", String), ("part", Int), ("event", String), ("detail", String))


class Delivery(ComplexModel):  # type: ignore[misc]
    """What became of a message at one recipient."""

    __namespace__ = NAMESPACE
    _type_info = (("recipient", String), ("state", String), ("steps", several(Step)))


class GetStatusResult(ComplexModel):  # type: ignore[misc]
    """A reply code and what became of the message; on an error `state` and `accepted` are empty."""

    __namespace__ = NAMESPACE
    _type_info = (
        ("error", Int),
        ("state", String),
        ("accepted", String),
        ("parts", Int),
        ("deliveries", several(Delivery)),
    )
