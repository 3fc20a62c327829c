"""The settings of the e-mail face."""

from pathlib import Path

import pytest
from support.certificates import self_signed

from sms_gateway.settings import SettingsError, load


def complaint(**overrides: object) -> str:
    with pytest.raises(SettingsError) as caught:
        load(None, overrides, {})
    return str(caught.value)


def test_mail_is_off_unless_it_is_told_where_to_listen() -> None:
    for text in ("", "none"):
        assert load(None, {"mail_bind": text}, {}).mail_bind is None
    settings = load(None, {"mail_bind": "[::]:25", "mail_domain": "SMS.Example.com."}, {})
    assert (settings.mail_bind, settings.mail_domain) == ("[::]:25", "sms.example.com")


@pytest.mark.parametrize("domain", ["a b", "@sms.example.com", "-a.example", "a..b", "a" * 64])
def test_a_mail_domain_is_a_name(domain: str) -> None:
    line = complaint(mail_bind="[::]:25", mail_domain=domain)
    assert line.startswith("mail_domain = ")
    assert line.endswith(" is wrong; allowed: a domain name, such as sms.example.com, or none")


def test_an_address_to_listen_for_mail_needs_a_domain() -> None:
    assert complaint(mail_bind="127.0.0.1:25") == (
        "mail_bind needs mail_domain: what follows the @ of all addresses"
    )


def test_the_certificate_for_mail_and_its_key_have_to_fit(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    cert, key = map(str, self_signed(tmp_path, "localhost"))
    other = str(self_signed(tmp_path / "other", "localhost")[1])
    assert load(None, {"mail_certfile": cert, "mail_keyfile": key}, {}).mail_tls_context()
    assert load(None, {}, {}).mail_tls_context() is None
    assert complaint(mail_certfile=cert) == (
        "mail_certfile and mail_keyfile go together: set both or neither"
    )
    assert f"mail_certfile {cert!r}" in complaint(mail_certfile=cert, mail_keyfile=other)
