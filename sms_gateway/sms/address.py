"""Telephone numbers as people write them, to E.164."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from . import numbering

#: The longest text that is read as numbers: 100 of them with room for how people write them.
MAX_LENGTH = 2_500
#: The most numbers that are read; a few more than any request may carry.
MAX_NUMBERS = 100

_SEPARATOR = re.compile(r"[,;\r\n]")
# Dashes of all lengths, and the invisible marks for the direction of writing that come along when
# a number is copied from an address book.
_DASHES = "-\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_DIRECTION = "\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_FORMATTING = f"./()[]{_DASHES}{_DIRECTION}"
_REMOVE_FORMATTING = dict.fromkeys(map(ord, _FORMATTING))
_WRITTEN = re.compile(rf"[0-9+\s{re.escape(_FORMATTING)}]*+")
# Words that can be one number together: 00 or +, and digits.
_MAX_WORDS = 2 + numbering.MAX_WRITTEN
# What makes it international, and its digits.
_NUMBER = re.compile(r"(\+|00)?+([0-9]+)")


class BadAddress(ValueError):
    """The text is not a list of valid numbers; the message says why and shows no number."""


class TooManyNumbers(BadAddress):
    """There are more than MAX_NUMBERS numbers in the text."""


class Address(NamedTuple):
    """A telephone number that is valid in its country's numbering plan."""

    #: E.164 with the plus sign.
    number: str
    #: ISO 3166 alpha-2; 001 for a calling code that belongs to no country (ITU-T E.164 §6.2.2).
    country: str


def parse_recipients(text: str, region: str | None) -> tuple[Address, ...]:
    """Every number in the text once, in the order of the text; raises BadAddress.

    `+32…`, `0032…` and `32…` mean the same. Digits with neither + nor 00 are first read as an
    international number and, when there is none, as dialled inside `region` (ISO 3166 alpha-2, or
    None). Dots, dashes, slashes and brackets are formatting.

    Comma, semicolon and line break separate numbers. Between them white space may separate
    numbers or be formatting, and the first reading that gives only valid numbers counts:

    1. each word is a number;
    2. all words together are one number;
    3. each word that begins with + begins a number, so does one that begins with 00 where the
       words before it are complete, and 1 or 2 holds from each such word to the next.

    Text that is too long is refused before it is taken apart: the cost is bounded.
    """
    # Nearly always it is one number without formatting, and there is only one way to read that.
    address = _resolve(text, region)
    return _parse(text, region) if address is None else (address,)


def _parse(text: str, region: str | None) -> tuple[Address, ...]:
    if len(text) > MAX_LENGTH:
        if sum(map(text.count, ",;\n")) >= MAX_NUMBERS:
            raise TooManyNumbers(f"there are more than {MAX_NUMBERS} numbers")
        raise BadAddress(f"the list of numbers is longer than {MAX_LENGTH} characters")
    pieces = [piece for piece in _SEPARATOR.split(text) if piece and not piece.isspace()]
    if not pieces:
        raise BadAddress("there is no number")
    found: dict[str, Address] = {}
    for position, piece in enumerate(pieces, 1):
        try:
            for address in _read(piece, region):
                found[address.number] = address
        except _Unreadable as reason:
            which = f"number {position} of {len(pieces)}" if len(pieces) > 1 else "the number"
            raise BadAddress(f"{which} {reason}") from None
    if len(found) > MAX_NUMBERS:
        raise TooManyNumbers(f"there are more than {MAX_NUMBERS} numbers")
    return tuple(found.values())


class _Unreadable(Exception):
    """What is wrong with one piece of the text, as the rest of a sentence."""


def _read(piece: str, region: str | None) -> Sequence[Address]:
    # As in `parse_recipients`: there may be several of this kind.
    address = _resolve(piece, region)
    if address is not None:
        return (address,)
    if not _WRITTEN.fullmatch(piece):
        raise _Unreadable("has a letter or sign that telephone numbers do not have")
    words = piece.translate(_REMOVE_FORMATTING).split()
    addresses = _split(words, region)
    if not addresses:
        for group in _groups(words, region):
            numbers = _split(group, region)
            if not numbers:
                raise _Unreadable("is not a valid telephone number; write it with its country code")
            addresses += numbers
    return addresses


def _groups(words: list[str], region: str | None) -> list[list[str]]:
    """The words in groups, each but the first beginning with an international prefix."""
    groups: list[list[str]] = [[]]
    numbers = False  # whether each word of the last group is a number
    for word in words:
        # 00 may also stand in the middle of a number.
        if groups[-1] and (
            word.startswith("+")
            or (word.startswith("00") and (numbers or _whole(groups[-1], region) is not None))
        ):
            groups.append([])
        numbers = (numbers or not groups[-1]) and _resolve(word, region) is not None
        groups[-1].append(word)
    return groups


def _split(words: list[str], region: str | None) -> list[Address]:
    """The words as numbers, or together as one; nothing when they are neither."""
    addresses = []
    for word in words:
        address = _resolve(word, region)
        if address is None:
            whole = _whole(words, region)
            return [whole] if whole is not None else []
        addresses.append(address)
    return addresses


def _whole(words: list[str], region: str | None) -> Address | None:
    """All words together as one number."""
    return _resolve("".join(words), region) if 1 < len(words) <= _MAX_WORDS else None


def _resolve(written: str, region: str | None) -> Address | None:
    match = _NUMBER.fullmatch(written)
    if match is None:
        return None
    prefix, digits = match.groups()
    found = numbering.international(digits)
    if found is None and region is not None and prefix is None:
        found = numbering.national(digits, region)
    return None if found is None else Address(*found)


def mask(number: str) -> str:
    """A number as it may stand in a log: its calling code and its last two digits (`+32…00`)."""
    digits = number.removeprefix("+")
    code = numbering.calling_code(digits) if digits.isascii() and digits.isdigit() else ""
    return f"+{code}…{digits[-2:]}" if code and len(digits) > len(code) + 2 else "…"
