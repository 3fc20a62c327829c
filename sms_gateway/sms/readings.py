"""Tells how a number was read, and its kind, for `route check` and the trial page."""

from dataclasses import dataclass

from . import dialling, kinds, numbering
from .address import parse_recipients
from .kinds import Kind

#: The likely fate of a text to a number of these kinds; other kinds need no word.
NOTES = {
    Kind.FIXED: "Many carriers refuse texts to landlines, or lose them.",
    Kind.TOLL_FREE: "Freephone numbers seldom receive texts.",
    Kind.SHARED_COST: "Shared cost numbers seldom receive texts, and a text may cost extra.",
    Kind.PREMIUM: "Premium rate numbers cost extra and seldom receive texts.",
    Kind.SATELLITE: "Texts to satellite telephones cost many times the usual price.",
    Kind.PERSONAL: "Personal numbers are forwarded: a text may cost extra or be lost.",
    Kind.PAGER: "Not every carrier takes texts to pagers.",
    Kind.UNIVERSAL: "Numbers of companies for all their offices seldom receive texts.",
    Kind.VOIP: "Not every internet telephone receives texts.",
    Kind.VOICEMAIL: "Voicemail receives no texts.",
}

#: How digits were read; `region` is the default region, `other` the number that + would write.
NATIONAL = "read as a national number of %(region)s"
NATIONAL_OR = "read as a national number of %(region)s; with + in front it would be %(other)s"
INTERNATIONAL = "read as an international number, as it is no national number of %(region)s"
OWN = "read as a mobile number with its calling code; the landline with these digits is %(other)s"
EXIT = "read as dialled in %(region)s for a call abroad"
PREFIXED_OR = "read with 00 for +; as dialled in %(region)s it would be %(other)s"
HOW = (NATIONAL, NATIONAL_OR, INTERNATIONAL, OWN, EXIT, PREFIXED_OR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One number of a text, and how it was read."""

    #: E.164 with the plus sign.
    number: str
    #: ISO 3166 alpha-2, or 001.
    country: str
    kind: Kind
    #: The region by whose plan digits could be read; empty for none.
    region: str
    #: One of the sentences above; empty where digits can be read in one way only.
    how: str
    #: The other valid number that the same digits could be; empty for none.
    other: str

    @property
    def note(self) -> str:
        """The likely fate of a text to it; empty where there is nothing to say."""
        return NOTES.get(self.kind, "")


def readings(text: str, region: str | None) -> tuple[Reading, ...]:
    """The numbers of a text as `parse_recipients` has them, and how it read each of them.

    Raises AddressError as it does.
    """
    found = []
    for address in parse_recipients(text, region):
        how, other = "", ""
        if address.digits and region is not None:
            how, other = _how(address.digits, address.number, region)
        found.append(
            Reading(
                number=address.number,
                country=address.country,
                kind=kinds.kind(address.number),
                region=region or "",
                how=how,
                other=other,
            )
        )
    return tuple(found)


def _how(digits: str, number: str, region: str) -> tuple[str, str]:
    """How the digits became the number, and the other number that they may mean."""

    def one(reading: tuple[str, str] | None) -> str:
        return reading[0] if reading is not None and reading[0] != number else ""

    abroad = dialling.abroad(digits, region)
    if digits.startswith("00"):
        whole = numbering.international(digits.removeprefix("00"))
        if whole is None:
            return EXIT, ""
        return (PREFIXED_OR, one(abroad)) if one(abroad) else ("", "")
    national, whole = dialling.national(digits, region), numbering.international(digits)
    if national is not None and national[0] == number:
        other = one(whole)
        return (NATIONAL_OR, other) if other else (NATIONAL, "")
    if whole is not None and whole[0] == number:
        return (OWN, one(national)) if national is not None else (INTERNATIONAL, "")
    return EXIT, ""
