"""Shows accounts on the command line: as JSON, and as rows of a table."""

from collections.abc import Iterable
from typing import Any

from ..accounts import ANY_SENDER, Account, OldKey
from ..moments import iso
from ..settings.values import show_milliseconds
from ..sms.kinds import NAMES

_MACHINES = {True: "on", False: "off", None: "listed"}


def as_dict(account: Account, old: Iterable[OldKey] = ()) -> dict[str, Any]:
    """An account for JSON, with its old keys that are still valid, but without the keys."""
    return {
        "name": account.name,
        "key_hint": account.key_hint,
        "old_keys": [
            {"key_hint": each.hint, "valid_until": moment(each.valid_until)} for each in old
        ],
        "enabled": account.enabled,
        "multi": account.multi,
        "rate": "none" if account.rate is None else str(account.rate),
        "countries": None if account.countries is None else sorted(account.countries),
        "sender": account.sender,
        "senders": [
            "any" if each == ANY_SENDER else each for each in sorted(account.senders or ())
        ],
        "mail_senders": None if account.mail_senders is None else sorted(account.mail_senders),
        "mail_body": "whole" if account.mail_whole else "new",
        "mail_machines": _MACHINES[account.mail_machines],
        "test": account.test,
        "validity": None if account.validity is None else show_milliseconds(account.validity),
        "stops": account.stops,
        "caps": [str(cap) for cap in account.caps or ()],
        "kinds": [name for name, kind in NAMES.items() if kind in account.kinds],
        "free": account.free,
        "callback": account.callback_url,
        "callback_paused_at": moment(account.callback_paused_at),
        "callback_paused_reason": account.callback_paused_reason,
        "created_at": moment(account.created_at),
    }


def moment(milliseconds: int | None) -> str | None:
    """A time (Unix milliseconds) in ISO 8601, to the second; None for none."""
    return None if milliseconds is None else iso(milliseconds, "seconds")


def with_address(account: Account, old: Iterable[OldKey], domain: str | None) -> dict[str, Any]:
    """As `as_dict`, with the secret mail address of the account, by which mails are sent."""
    at = f"@{domain}" if domain else ""
    return {**as_dict(account, old), "mail_address": account.mail_address + at}


#: The columns of `key list`.
COLUMNS = (
    "name",
    "key",
    "enabled",
    "multi",
    "rate",
    "countries",
    "sender",
    "test",
    "created",
    "old keys",
)


def row_of(facts: dict[str, Any]) -> tuple[str, ...]:
    """The cells of a key under COLUMNS, from its `as_dict`."""

    def yes(flag: bool) -> str:
        return "yes" if flag else "no"

    return (
        facts["name"],
        f"…{facts['key_hint']}",
        yes(facts["enabled"]),
        yes(facts["multi"]),
        facts["rate"],
        "all" if facts["countries"] is None else ",".join(facts["countries"]),
        facts["sender"] or "-",
        yes(facts["test"]),
        facts["created_at"],
        ", ".join(f"…{e['key_hint']} until {e['valid_until']}" for e in facts["old_keys"]) or "-",
    )
