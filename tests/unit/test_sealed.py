"""What values are stored as where a key is set, and what is read back."""

import base64
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.encrypted import SECRETS

from sms_gateway.store.key_file import KeyFileError, seal_from
from sms_gateway.store.sealed import UNREADABLE, Seal, is_readable

ONE, OTHER = SECRETS
NUMBER = "+32494000000"
TEXT = "message.text"


@given(st.text(), st.text())
def test_a_text_is_read_back_in_its_row_and_in_no_other(text: str, id: str) -> None:
    seal = Seal([ONE])
    stored = seal.text(TEXT, text, id)
    assert seal.opened(TEXT, stored, id) == text
    if text:
        assert re.fullmatch(r"~[\w-]{8}~[A-Za-z0-9+/]+=*", stored)
        assert seal.opened(TEXT, stored, f"{id}0") is UNREADABLE
        assert seal.opened("received.text", stored, id) is UNREADABLE


@given(st.binary(min_size=1))
def test_octets_are_read_back_in_their_row_and_in_no_other(octets: bytes) -> None:
    seal = Seal([ONE])
    stored = seal.octets("incoming_part.text", octets, "a", 1)
    assert seal.opened_octets("incoming_part.text", stored, "a", 1) == octets
    assert not is_readable(seal.opened_octets("incoming_part.text", stored, "a", 2))


def test_one_value_is_not_another_put_together_otherwise() -> None:
    """The parts that name a row are told apart: RFC 5297, section 2.4."""
    seal = Seal([ONE])
    stored = seal.text("received.text", "Hi", "ab", "c")
    assert seal.opened("received.text", stored, "a", "bc") is UNREADABLE
    assert seal.opened("received.text", stored, "abc") is UNREADABLE


def test_a_number_is_stored_alike_in_a_column_and_otherwise_in_another() -> None:
    seal = Seal([ONE])
    assert seal.word("delivery.recipient", NUMBER) == seal.word("delivery.recipient", NUMBER)
    assert seal.word("delivery.recipient", NUMBER) != seal.word("stop.recipient", NUMBER)
    assert seal.word("delivery.recipient", NUMBER) != Seal([OTHER]).word(
        "delivery.recipient", NUMBER
    )


def test_the_first_key_encrypts_and_all_of_them_decrypt() -> None:
    old, changing, new = Seal([ONE]), Seal([OTHER, ONE]), Seal([OTHER])
    stored = old.text(TEXT, "Hi", "1")
    assert changing.opened(TEXT, stored, "1") == "Hi"
    assert new.opened(TEXT, stored, "1") is UNREADABLE
    again = changing.text(TEXT, "Hi", "1")
    assert (changing.is_current(stored), changing.is_current(again)) == (False, True)
    assert new.opened(TEXT, again, "1") == "Hi"
    forms = changing.words("delivery.recipient", [NUMBER])
    assert forms == [NUMBER, *(s.word("delivery.recipient", NUMBER) for s in (new, old))]


def test_nothing_is_encrypted_by_keys_that_only_decrypt() -> None:
    closing = Seal([ONE], in_clear=True)
    assert closing.text(TEXT, "Hi", "1") == "Hi"
    stored = Seal([ONE]).text(TEXT, "Hi", "1")
    assert closing.opened(TEXT, stored, "1") == "Hi"
    assert (closing.is_current(stored), closing.is_current("Hi")) == (False, True)


@pytest.mark.parametrize("text", ["~", "~~~", "~12345678~", "~Hi all~", "~12345678~not base64!"])
def test_a_text_from_before_there_was_a_key_is_read_as_it_is(text: str) -> None:
    assert Seal([ONE]).opened(TEXT, text, "1") == text


def test_a_value_of_another_key_is_told_once_and_shows_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stored = Seal([OTHER]).text(TEXT, "Hi", "1")
    seal = Seal([ONE])
    assert [seal.opened(TEXT, stored, "1") for _ in range(3)] == [UNREADABLE] * 3
    (record,) = caplog.records
    assert vars(record)["column"] == TEXT
    assert vars(record)["key"] == stored[1:9]
    assert stored[10:] not in str(vars(record))


@pytest.mark.parametrize("place", range(10, 40, 3))
def test_a_value_that_was_changed_is_not_read(place: int) -> None:
    seal = Seal([ONE])
    stored = seal.text(TEXT, "A text of some length", "1")
    changed = stored[:place] + ("A" if stored[place] != "A" else "B") + stored[place + 1 :]
    assert seal.opened(TEXT, changed, "1") is UNREADABLE
    assert seal.opened(TEXT, stored[:place], "1") is UNREADABLE


def test_a_delivery_goes_to_the_number_that_its_message_was_accepted_for() -> None:
    seal = Seal([ONE])
    mine, theirs = (seal.word("delivery.recipient", n) for n in (NUMBER, "+32494000001"))
    binding = seal.binding("a", NUMBER)
    assert seal.recipient("a", mine, binding) == NUMBER
    assert seal.recipient("b", mine, binding) is UNREADABLE
    assert seal.recipient("a", theirs, binding) is UNREADABLE
    assert seal.recipient("a", mine, None) is UNREADABLE


# -- the file --


def written(folder: Path, text: str, mode: int = 0o600) -> str:
    file = folder / "keys"
    file.write_text(text)
    file.chmod(mode)
    return str(file)


LINE = base64.b64encode(ONE).decode()
LINE2 = base64.b64encode(OTHER).decode()


def test_the_keys_are_read_line_by_line(tmp_path: Path) -> None:
    text = f"# of 2026\n{LINE2}  # since May\n\n{LINE}\n"
    seal = seal_from(written(tmp_path, text))
    assert seal.names == Seal([OTHER, ONE]).names
    assert seal.writes == Seal([OTHER]).writes
    closing = seal_from(written(tmp_path, f"none\n{LINE}\n"))
    assert (closing.names, closing.writes) == (Seal([ONE]).names, "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there is no key"),
        ("none\n", "there is no key"),
        (f"{LINE}\nnone\n", "line 2 is no key"),
        (f"{LINE}\n{LINE}\n", "line 2 is a key that stands there already"),
        (LINE[:-5], "line 1 is no key"),
        (base64.b64encode(ONE + OTHER).decode(), "line 1 is no key"),
        ("pass phrase", "line 1 is no key"),
        ("clé", "it is no text"),
    ],
)
def test_a_file_with_anything_else_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(KeyFileError) as refused:
        seal_from(written(tmp_path, text))
    assert words in str(refused.value)
    assert LINE[:8] not in str(refused.value)
    assert "pass" not in str(refused.value)


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o622, 0o601])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    file = written(tmp_path, LINE, mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        seal_from(file)
    assert stat.S_IMODE(Path(file).stat().st_mode) == mode


def test_a_credential_is_read_where_systemd_puts_it(tmp_path: Path) -> None:
    # Readable for a group as systemd's are where the service is not root's.
    written(tmp_path, LINE, 0o440)
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert seal_from("credential:keys", environ).names == Seal([ONE]).names
    with pytest.raises(KeyFileError, match="No such file"):
        seal_from("credential:others", environ)
    with pytest.raises(KeyFileError, match="without slashes"):
        seal_from("credential:../keys", environ)
    with pytest.raises(KeyFileError, match="no credentials here"):
        seal_from("credential:keys", {})
