"""Telephone numbers as people write them, to E.164."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from ..errors import GatewayError
from . import dialling, numbering, writing

#: The longest text that is read as numbers: 100 of them with room for how people write them.
MAX_LENGTH = 2_500
#: The most numbers that are read; a few more than any request may carry.
MAX_NUMBERS = 100

_SEPARATOR = re.compile(r"[,;\r\n]")
# Words that can be one number together: 00 or +, and digits.
_MAX_WORDS = 2 + numbering.MAX_WRITTEN
# The sign that makes a number international, and the digits.
_NUMBER = re.compile(r"(\+|00)?+([0-9]+)")
_DIGITS = re.compile(r"[0-9]+")


class AddressError(GatewayError, ValueError):
    """The text is not a list of valid numbers; the message says why and shows no number."""


class TooManyNumbersError(AddressError):
    """There are more than MAX_NUMBERS numbers in the text."""


class Address(NamedTuple):
    """A telephone number that is valid in its country's numbering plan."""

    #: E.164 with the plus sign.
    number: str
    #: ISO 3166 alpha-2; 001 for a calling code that belongs to no country (ITU-T E.164 §6.2.2).
    country: str
    #: The digits that were read, where they could be read by the plan of the default region, too;
    #: empty where they could not: `readings` tells what else they may mean.
    digits: str = ""


def parse_recipients(text: str, region: str | None) -> tuple[Address, ...]:
    """Every number in the text once, in the order of the text; raises AddressError.

    `+32…` and `0032…` mean the same. Without a `region` (ISO 3166 alpha-2) so does `32…`. With a
    region, digits without + or 00 are first read as a national number of it, as dialled there or
    without its trunk prefix, which spreadsheets lose. Only digits that are no national number are
    read as an international one: a number that people write as at home must not go abroad because
    the same digits are valid there, too.

    Digits may be those of any script. Dots, dashes, slashes and brackets are formatting; a number
    may stand in quotes, behind the apostrophe of a spreadsheet, or behind `tel:` or `sms:`
    (RFC 3966, RFC 5724). Letters, extensions and parameters of such addresses are refused.

    A space at the beginning of the text may be a + that a query lost. There digits are refused that
    are one number with + and another, national one without it.

    Comma, semicolon and line break separate numbers. Between them white space may separate
    numbers or be formatting, and the first reading that gives only valid numbers counts:

    1. each word is a number;
    2. all words together are one number;
    3. each word that begins with + begins a number, so does one that begins with 00 where the
       words before it are complete, and 1 or 2 holds from each such word to the next.

    Text that could also be several other mobile numbers of the region is refused.

    Text that is too long is refused before it is taken apart: the cost is bounded.
    """
    # Nearly always it is one number without formatting, and there is only one way to read that.
    address = _resolve(text, region)
    return _parse(text, region) if address is None else (address,)


def _parse(text: str, region: str | None) -> tuple[Address, ...]:
    if len(text) > MAX_LENGTH:
        if sum(map(text.count, ",;\n")) >= MAX_NUMBERS:
            raise TooManyNumbersError(f"there are more than {MAX_NUMBERS} numbers")
        raise AddressError(f"the list of numbers is longer than {MAX_LENGTH} characters")
    plain = writing.plain(text)
    pieces = [piece for piece in _SEPARATOR.split(plain) if piece and not piece.isspace()]
    if not pieces:
        raise AddressError("there is no number")
    found: dict[str, Address] = {}
    for position, piece in enumerate(pieces, 1):
        try:
            for address in _read(piece, region):
                if text[0] == " ":
                    _check_space(address, region)
                found[address.number] = address
        except _UnreadableError as reason:
            which = f"number {position} of {len(pieces)}" if len(pieces) > 1 else "the number"
            raise AddressError(f"{which} {reason}") from None
    if len(found) > MAX_NUMBERS:
        raise TooManyNumbersError(f"there are more than {MAX_NUMBERS} numbers")
    return tuple(found.values())


def _check_space(address: Address, region: str | None) -> None:
    """Refuse digits that are another number with + where there may have been one.

    A + that a program writes into a query as it is arrives as a space (application/
    x-www-form-urlencoded): `recipients=+2015946934` is not to become a number of the region.
    """
    if region is None or not address.digits or address.digits.startswith("00"):
        return
    whole = numbering.international(address.digits)
    if whole is not None and whole[0] != address.number:
        raise _UnreadableError(
            "begins with a space, which may have been a + and makes another number; "
            "write + as %2B in a query, or no space"
        )


class _UnreadableError(GatewayError):
    """Why one piece of the text is no number, as the rest of a sentence."""


def _read(piece: str, region: str | None) -> Sequence[Address]:
    # As in `parse_recipients`: there may be several of this kind.
    address = _resolve(piece, region)
    if address is not None:
        return (address,)
    if reason := writing.strange(piece):
        raise _UnreadableError(reason)
    words = writing.words(piece)
    addresses = _split(words, region)
    if not addresses:
        for group in _groups(words, region):
            numbers = _split(group, region)
            if not numbers:
                raise _UnreadableError(_invalid(group, region))
            addresses += numbers
    _check_several(piece, addresses, region)
    return addresses


def _check_several(piece: str, addresses: Sequence[Address], region: str | None) -> None:
    """Refuse a piece whose groups of digits are other numbers of the region than those read.

    Where numbers are short, two of them make one of another country: 888 1218/888 3371, two of
    Niue, are together one of Bangladesh.
    """
    if region is None or "+" in piece:
        return
    numbers = dialling.several(_DIGITS.findall(piece), region)
    if numbers and set(numbers) != {address.number for address in addresses}:
        raise _UnreadableError(
            f"may be one number or {len(numbers)} of {region}; write + before a number, and a "
            "comma or line break between two"
        )


def _invalid(words: list[str], region: str | None) -> str:
    """Why words are neither numbers nor one number together."""
    digits = "".join(words)
    match = _NUMBER.fullmatch(digits)
    start = "is not a valid telephone number"
    if match is None:
        return start + ": there are no digits, or a + stands between them"
    prefix, digits = match.groups()
    if prefix is not None:
        return f"{start}: {numbering.complaint(digits)}"
    if region is None:
        return f"{start}: {numbering.complaint(digits)}; write it with its country code"
    return (
        f"{start}: it is none of {region} and no international one; "
        "write it with + and its country code"
    )


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
    if region is None or prefix == "+":
        found = numbering.international(digits)
        return None if found is None else Address(*found)
    if prefix is None:
        found = dialling.dialled(digits, region)
    else:
        found = numbering.international(digits) or dialling.abroad(written, region)
    return None if found is None else Address(*found, written)
