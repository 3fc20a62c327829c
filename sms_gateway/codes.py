"""Defines the reply codes. Every face and every document renders from this table."""

from enum import IntEnum


class Code(IntEnum):
    """A reply code of the contract: its number, and its sentence as people read it."""

    sentence: str

    def __new__(cls, number: int, sentence: str) -> "Code":
        code = int.__new__(cls, number)
        code._value_ = number
        code.sentence = sentence
        return code

    SENT = 0, "The message is sent without error"
    TIMED_OUT = 6, "Process time exceeded"
    NOT_SENT = 7, "The message is not sent"
    INTERNAL = 30, "Internal error - Contact technical support"
    KEY_DISABLED = 40, "API key is disabled"
    KEY_WRONG = 50, "API key is not correct"
    KEY_MISSING = 60, "API key is missing"
    TOO_MANY = 70, "More than 4 numbers in one request"
    NOT_MULTIPLE = 80, "The account does not allow multiple sending"
    UNREACHABLE = 99, "The destination country is not reachable at the moment"
    TOO_FAST = 100, "Exceeding the limit of one SMS per minute"
    ID_MISSING = 200, "Message id is missing"
    ID_UNKNOWN = 201, "Message id does not exist"
    ALREADY_SENT = 202, "Message is already sent"


#: The most numbers one request may carry (code 70).
MAX_RECIPIENTS = 4
