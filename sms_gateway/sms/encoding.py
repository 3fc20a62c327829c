"""The two alphabets of SMS."""

from enum import StrEnum


class Encoding(StrEnum):
    """How a text travels."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"
