"""Whether the numbers in a receipt are the one that its message went to."""

from functools import lru_cache

from . import numbering
from .dialling import national
from .receipt import Receipt

#: Numbers of fewer digits say nothing about a recipient: short codes, and pieces of names.
LEAST_DIGITS = 7
#: Of the end of a number, so many digits are needed to say which it is.
_LEAST_END = 8
#: The most digits before an international number: exit codes and those of carriers.
_MOST_BEFORE = 5


def numbers_told(receipt: Receipt) -> list[str]:
    """The numbers in a receipt (digits) that may be its recipient's; some carriers swap the two."""
    return [n for n in (receipt.recipient, receipt.other_number) if len(n) >= LEAST_DIGITS]


def agrees(receipt: Receipt, recipient: str) -> bool | None:
    """Whether a receipt is about this recipient (E.164); None where nothing tells.

    Carriers write numbers with and without plus, zeros and calling code, or the end of them.
    """
    digits = recipient.removeprefix("+")
    if digits and digits == receipt.recipient:
        return True
    told = numbers_told(receipt)
    if not digits or not told:
        return None
    return any(written == digits or _is_form_of(written, digits) for written in told)


@lru_cache(maxsize=8_192)
def _is_form_of(written: str, digits: str) -> bool:
    if written.endswith(digits):
        return len(written) - len(digits) <= _MOST_BEFORE
    if len(written.lstrip("0")) >= _LEAST_END and digits.endswith(written.lstrip("0")):
        return True
    found = numbering.international(digits)
    if found is None:
        return False
    code = numbering.calling_code(digits)
    rest = written.lstrip("0").removeprefix(code)
    country = found[1]
    readings = {national(written, country), national(rest, country)}
    return any(reading is not None and reading[0] == f"+{digits}" for reading in readings)
