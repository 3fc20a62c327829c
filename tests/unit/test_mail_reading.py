"""Mails of real programs, broken ones and hostile ones, read as numbers and a text."""

import encodings
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from email_gateway.automatic import Automatic, automatic
from email_gateway.charset import decoded, unfolded
from email_gateway.flowed import joined
from email_gateway.html import MAX_DEPTH as MAX_HTML_DEPTH
from email_gateway.html import PIECE, text_of_html
from email_gateway.mail import Mail, read
from email_gateway.mime import MAX_DEPTH, MAX_PARAMETERS, MAX_PARTS, part
from email_gateway.reply_text import reply_text
from email_gateway.unreadable import UnreadableMailError

RECORDED = Path(__file__).parents[1] / "recorded" / "mail"

TEXTS = {
    "outlook-desktop-fr": (
        "0032494000001",
        "La réunion est déplacée à 14 h, salle « Magritte ».\n"
        "Merci de confirmer – c’est urgent.\n\nJean",
    ),
    "outlook-web-html": (
        "0032494000001",
        "The price is now 12,50 € per unit.\n\nOrder before Friday & save.",
    ),
    "outlook-ios": ("+32494000001", "On my way, 10 min 🚗"),
    "windows-mail": ("0032494000001", "Stock épuisé :\n- vis M6\n- écrous"),
    "gmail-web": ("+32494000001, +32494000002", "Le technicien passe demain à 8h30."),
    "gmail-html-only": (
        "+32494000001",
        "Le technicien passe demain à 8h30.\n\nCode : <4711>",
    ),
    "apple-mail": (
        "+32494000001",
        "Chers collègues, le bâtiment sera fermé ce vendredi de 12 h à 14 h pour un exercice "
        "d’évacuation.",
    ),
    "iphone-photo": ("0494 00 00 01", "Colis déposé à l’accueil"),
    "thunderbird-fr": (
        "+32494000001",
        "Elle ouvre à 7 h, le grand bassin est de nouveau en service, mais sans les plongeoirs.",
    ),
    "mutt": ("+32 494 00 00 01", "Yes, 4.2 TB in 6 hours.\n\nTomorrow."),
    "samsung-email": ("+32494000001", "Je suis devant la porte B"),
    "yahoo-web": ("+32494000001", "Salut, rendez-vous à 18h au café"),
    "proton": ("+32494000001", "Key is under the mat."),
    "kmail-russian": ("+79161234567", "Встреча в три часа"),
    "becky-japanese": ("+819012345678", "会議は三時からです。"),
    "bsd-mailx": ("+32494000001", "disk /dev/sda1 93% full on host"),
    "php-mail": ("0032494000001", "Commande n° 4711 reçue : 25,00 €"),
}
AUTOMATIC = {
    "postfix-bounce": Automatic.DISCARD,
    "gmail-vacation": Automatic.DISCARD,
    "exchange-out-of-office": Automatic.REFUSE,  # with its null sender it is discarded
    "mailman-list": Automatic.REFUSE,
    "cron": Automatic.REFUSE,
}


def recorded(name: str) -> bytes:
    return (RECORDED / f"{name}.eml").read_bytes()


def mail(headers: str, body: str | bytes = "") -> bytes:
    head = "\n".join(line.strip() for line in headers.strip().splitlines()) + "\n\n"
    octets = body.encode("utf-8", "surrogateescape") if isinstance(body, str) else body
    return head.replace("\n", "\r\n").encode("utf-8", "surrogateescape") + octets


def text(headers: str, body: str | bytes = "") -> str:
    return read(part(mail(headers, body))).text


def refusal(headers: str, body: str | bytes = "") -> str:
    with pytest.raises(UnreadableMailError) as caught:
        read(part(mail(headers, body)))
    return str(caught.value)


def test_every_recorded_mail_has_a_line_that_says_whence_and_an_outcome() -> None:
    names = {file.stem for file in RECORDED.glob("*.eml")}
    assert names == TEXTS.keys() | AUTOMATIC.keys()
    index = (RECORDED / "README.md").read_text("utf-8")
    assert all(f"| `{name}.eml` |" in index for name in names)


@pytest.mark.parametrize("name", TEXTS)
def test_a_mail_of_a_real_program_is_read_as_its_writer_meant_it(name: str) -> None:
    found = part(recorded(name))
    assert automatic(found, "jean@example.org") is None
    message = read(found)
    recipients, words = TEXTS[name]
    assert (message.recipients, message.text) == (recipients, words)
    assert message.id.startswith("<")


@pytest.mark.parametrize("name", TEXTS)
def test_lines_that_end_in_a_bare_lf_change_nothing(name: str) -> None:
    octets = recorded(name)
    assert read(part(octets.replace(b"\r\n", b"\n"))) == read(part(octets))


@pytest.mark.parametrize("name", AUTOMATIC)
def test_a_mail_that_no_person_wrote_is_known(name: str) -> None:
    found = part(recorded(name))
    assert automatic(found, "jean@example.org") is AUTOMATIC[name]
    assert automatic(found, "") is Automatic.DISCARD


@pytest.mark.parametrize(
    ("header", "verdict"),
    [
        ("Auto-Submitted: no", None),
        ("Auto-Submitted: AUTO-REPLIED (vacation)", Automatic.DISCARD),
        ("Auto-Submitted: (vacation 1.2) auto-replied", Automatic.DISCARD),
        ("Auto-Submitted: auto-replied (rejected; loop)", Automatic.DISCARD),
        ("Auto-Submitted: no\nAuto-Submitted: auto-replied", Automatic.DISCARD),
        ("Auto-Submitted: auto-replied\nAuto-Submitted: no", Automatic.DISCARD),
        ("Auto-Submitted: no (a person)", None),
        ("Auto-Submitted:", None),
        ("Auto-Submitted: auto-replied; owner-email=a@b", Automatic.DISCARD),
        ("auto-submitted: Auto-Notified", Automatic.DISCARD),
        ("Auto-Submitted: auto-generated", Automatic.REFUSE),
        ("Precedence: Bulk", Automatic.REFUSE),
        ("Precedence: auto_reply", Automatic.DISCARD),
        ("Precedence: BULK (alerts)", Automatic.REFUSE),
        ("Precedence: bulk\nPrecedence: auto_reply", Automatic.DISCARD),
        ("Precedence: first-class", None),
        ("X-Autoreply: no", None),
        ("X-Auto-Reply: False", None),
        ("X-Failed-Recipients: a@b", Automatic.DISCARD),
        ("X-Autorespond: yes", Automatic.DISCARD),
        ("List-Unsubscribe: <mailto:a@b>", Automatic.REFUSE),
        ("Content-Type: multipart/report; boundary=x", Automatic.DISCARD),
        ("Subject: Auto-Submitted: auto-replied", None),
    ],
)
def test_the_headers_of_automatic_mails(header: str, verdict: Automatic | None) -> None:
    assert automatic(part(mail(header)), "a@b") is verdict


@pytest.mark.parametrize(
    ("headers", "verdict"),
    [
        ("Subject: +32494000001", None),
        ("Auto-Submitted: auto-generated", None),
        (
            "Auto-Submitted: Auto-Generated; x=y\nPrecedence: bulk\nList-Unsubscribe: <mailto:a@b>",
            None,
        ),
        ("Auto-Submitted: auto-generated (disk monitor)", None),
        ("Precedence: bulk\nX-Auto-Response-Suppress: All", None),
        ("List-Id: alerts <alerts.example.org>", None),
        ("List-Id: alerts <alerts.example.org>\nList-Post: NO", None),
        ("Auto-Submitted: auto-generated\nSubject: [EXTERNAL] +32494000001", None),
        # No key wants these: answers of machines, reports, and lists that people write to.
        ("Auto-Submitted: auto-replied", Automatic.DISCARD),
        ("Auto-Submitted: auto-generated\nAuto-Submitted: auto-replied", Automatic.DISCARD),
        ("Precedence: bulk\nPrecedence: list", Automatic.REFUSE),
        ("Auto-Submitted: auto-notified", Automatic.DISCARD),
        ("Auto-Submitted: auto-unheard-of", Automatic.REFUSE),
        ("Precedence: auto_reply", Automatic.DISCARD),
        ("Precedence: list", Automatic.REFUSE),
        ("Precedence: junk", Automatic.REFUSE),
        ("List-Post: <mailto:list@example.org>", Automatic.REFUSE),
        ("X-Autoreply: yes\nPrecedence: bulk", Automatic.DISCARD),
        ("Content-Type: multipart/report; boundary=x", Automatic.DISCARD),
        (
            "Auto-Submitted: auto-generated\nSubject: Automatic reply: +32494000001",
            Automatic.REFUSE,
        ),
        ("Precedence: bulk\nSubject: Réponse automatique : +32494000001", Automatic.REFUSE),
        (
            "Precedence: bulk\nSubject: =?utf-8?Q?=E8=87=AA=E5=8A=A8=E7=AD=94=E5=A4=8D?=: 1",
            Automatic.REFUSE,
        ),
        ("Precedence: bulk\nSubject: Undeliverable: +32494000001", Automatic.REFUSE),
    ],
)
def test_a_key_may_take_what_machines_write_but_not_what_they_answer(
    headers: str, verdict: Automatic | None
) -> None:
    found = part(mail(headers))
    assert automatic(found, "a@b", machines=True) is verdict
    assert automatic(found, "", machines=True) is Automatic.DISCARD


@pytest.mark.parametrize("name", AUTOMATIC)
def test_of_the_recorded_automatic_mails_a_key_may_take_the_report_of_cron(name: str) -> None:
    verdict = automatic(part(recorded(name)), "root@example.org", machines=True)
    assert verdict is (None if name == "cron" else AUTOMATIC[name])


@pytest.mark.parametrize(
    ("subject", "why"),
    [
        ("=?x-martian?Q?+32?=", "the charset 'x-martian' is unknown"),
        ("=?utf-8?B?AAAAA?=", "the base64 of the mail is broken"),
        ("=?utf-8?Q?=FF?=", "the text is not in the charset that the mail names"),
    ],
)
def test_a_subject_that_cannot_be_read_is_refused(subject: str, why: str) -> None:
    assert refusal(f"Subject: {subject}", "Hello") == why


@pytest.mark.parametrize(
    ("charset", "octets", "words"),
    [
        ("utf-8", "é€🚗".encode(), "é€🚗"),
        ("UTF8", b"\xef\xbb\xbfa", "a"),
        ("", "é".encode(), "é"),
        ("", b"\xe9\x80", "é€"),
        ("us-ascii", "é".encode(), "é"),
        ("unknown-8bit", b"\xe9", "é"),
        ("iso-8859-1", b"\x80\xe9", "€é"),
        ("ISO-8859-15", b"\xa4", "€"),
        ("windows-1252", b"\x92", "’"),
        ("macintosh", b"\x8e", "é"),
        ("gb2312", "你好".encode("gb18030"), "你好"),
        ("ks_c_5601-1987", "안녕".encode("cp949"), "안녕"),
        ("shift_jis", "髙".encode("cp932"), "髙"),
        ("big5", "你好".encode("big5"), "你好"),
        ("iso-2022-jp", "会議".encode("iso-2022-jp"), "会議"),
        ("utf-7", b"+AOk-", "é"),
        ("utf-16", "é".encode("utf-16"), "é"),
        ("iso-8859-8-i", "שלום".encode("iso-8859-8"), "שלום"),
    ],
)
def test_texts_in_any_charset(charset: str, octets: bytes, words: str) -> None:
    assert decoded(octets, charset) == words


@pytest.mark.parametrize(
    "charset",
    [
        *("x-martian", "idna", "punycode", "unicode_escape", "raw-unicode-escape", "undefined"),
        *("hex", "base64", "rot13", "zlib", "../../etc/passwd", "a\0b", "é", "x y", "x" * 500),
    ],
)
def test_what_is_no_charset_is_refused_by_its_name(charset: str) -> None:
    with pytest.raises(UnreadableMailError, match=r"^the charset '.{0,40}' is unknown$"):
        decoded(b"abc", charset)


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Type: text/plain; charset={}",
        "Content-Type: text/plain; charset*={}''utf-8",
        "Content-Type: text/plain; name*={}''a",
        "Content-Type: multipart/mixed; boundary*={}''x",
        "Content-Disposition: inline; filename*={}''a",
        "Subject: =?{}?Q?a?=",
    ],
)
def test_what_is_no_charset_is_not_remembered(headers: str) -> None:
    for n in range(10):
        try:
            read(part(mail(headers.format(f"x-venusian-{n}"), "a")))
        except UnreadableMailError:
            pass
    assert not [name for name in encodings._cache if "venusian" in name]


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ("Content-Type: text/plain; charset*=us-ascii'en'utf-8", "é"),
        ("Content-Type: text/plain; charset*0=ut; charset*1=f-8", "é"),
        ("Content-Type: text/plain; charset*=idna''utf-8", "é"),
        ("Content-Type: text/plain; charset*=%00''utf-8", "é"),
        ("Content-Type: text/plain; charset=\udcff", "é"),
        ("Content-Type: text/plain; format*=utf-8''flowed", "é"),
    ],
)
def test_a_parameter_in_another_charset_is_read(headers: str, words: str) -> None:
    assert text(headers, words.encode()) == words


@pytest.mark.parametrize("charset", ["utf-8", "euc-jp", "cp1252", ""])
def test_octets_that_are_not_in_their_charset_are_never_replaced(charset: str) -> None:
    with pytest.raises(UnreadableMailError, match="not in the charset"):
        decoded(b"a\x81\xff", charset)


@pytest.mark.parametrize(
    ("encoding", "octets", "words"),
    [
        ("7bit", b"a", "a"),
        ("8BIT", "é".encode(), "é"),
        ("quoted-printable", b"a=20=\r\nb=C3=A9", "a bé"),
        ("Quoted-Printable ", b"50% = half", "50% = half"),
        ("base64", b"w6k=", "é"),
        ("base64", b"w6k", "é"),
        ("base64", b"w\r\n6 k = \r\n", "é"),
        ("", "é".encode(), "é"),
    ],
)
def test_every_transfer_encoding(encoding: str, octets: bytes, words: str) -> None:
    headers = f"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: {encoding}"
    assert text(headers, octets) == words


def test_an_unknown_transfer_encoding_is_refused() -> None:
    assert refusal("Content-Transfer-Encoding: x-uuencode", "a") == (
        "the transfer encoding of the mail is unknown"
    )


def multipart(kind: str, *parts: str) -> tuple[str, str]:
    bodies = "".join(f"--x\r\n{each}\r\n" for each in parts)
    return f"Content-Type: multipart/{kind}; boundary=x", f"preamble\r\n{bodies}--x--\r\nepilogue"


PLAIN, HTML = "Content-Type: text/plain\r\n\r\nplain", "Content-Type: text/html\r\n\r\n<p>html"
EMPTY = "Content-Type: text/plain\r\n\r\n \r\n"
FILE = "Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nfile"
NAMED = 'Content-Type: text/plain; name="a.txt"\r\nContent-Disposition: inline\r\n\r\nfile'
UNDISPOSED = 'Content-Type: text/plain; name="a.txt"\r\n\r\nfile'
MARTIAN = "Content-Type: text/plain; charset=x-martian\r\n\r\nplain"
FORWARDED = "Content-Type: message/rfc822\r\n\r\nSubject: 1\r\n\r\nforwarded"
CALENDAR = "Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR"


@pytest.mark.parametrize(
    ("kind", "parts", "words"),
    [
        ("alternative", [PLAIN, HTML], "plain"),
        ("alternative", [HTML, PLAIN], "plain"),
        ("alternative", [EMPTY, HTML], "html"),
        ("alternative", [MARTIAN, HTML], "html"),
        ("alternative", [PLAIN, HTML, CALENDAR], "plain"),
        ("mixed", [PLAIN, FILE], "plain"),
        ("mixed", [FILE, PLAIN], "plain"),
        ("mixed", [PLAIN, NAMED], "plain"),
        ("mixed", [UNDISPOSED], "file"),
        ("mixed", [UNDISPOSED, "Content-Type: application/pdf; name=a.pdf\r\n\r\n%PDF"], "file"),
        ("mixed", [PLAIN, UNDISPOSED], "plain\nfile"),
        ("mixed", [PLAIN, FORWARDED], "plain"),
        ("mixed", [PLAIN, HTML], "plain\nhtml"),
        ("signed", [PLAIN, HTML], "plain"),
        ("related", [HTML, "Content-Type: image/png\r\n\r\nx"], "html"),
        ("unheard-of", [PLAIN], "plain"),
        ("mixed", ["\r\nno headers"], "no headers"),
    ],
)
def test_the_text_among_the_parts(kind: str, parts: list[str], words: str) -> None:
    assert text(*multipart(kind, *parts)) == words


@pytest.mark.parametrize(
    ("headers", "body", "why"),
    [
        ("Subject: 1", "", "there is no text in the mail"),
        ("Content-Type: application/pdf", "x", "there is no text in the mail"),
        ("Content-Type: text/plain\nContent-Disposition: attachment", "x", "there is no text"),
        ("Content-Type: multipart/mixed", "--x\r\n\r\na", "the parts of the mail have no boundary"),
        ("Content-Type: multipart/mixed; boundary=y", "--x\r\n\r\na", "there is no text"),
        (*multipart("mixed", FILE, FORWARDED), "there is no text in the mail"),
        (*multipart("alternative", MARTIAN), "the charset 'x-martian' is unknown"),
        (
            *multipart("encrypted", "Content-Type: application/pgp-encrypted\r\n\r\nx"),
            "the mail is encrypted; send it without",
        ),
        ("Content-Type: text/plain; charset=" + "x" * 3_000, "a", "the content-type of the mail"),
        (
            "Content-Disposition: inline" + ";" * (MAX_PARAMETERS + 1),
            "a",
            "the content-disposition",
        ),
        ("Content-Disposition: a; filename*=b; filename*0=c", "a", "the content-disposition of"),
        ("Content-Disposition: inline; filename*=idna''a", "a", "there is no text in the mail"),
        ("Content-Type: text/html", "<b>" * 100_000, "the HTML of the mail is nested too deep"),
        ("X: " + "x" * 200_000, "a", "the headers of the mail are too long"),
        ("Subject: 1", "a" * 1_000_001, "the text is too long"),
    ],
)
def test_a_mail_without_a_text_says_why(headers: str, body: str, why: str) -> None:
    assert refusal(headers, body).startswith(why)


def test_a_multipart_that_is_cut_off_is_read_as_far_as_it_goes() -> None:
    headers, body = multipart("mixed", PLAIN)
    assert text(headers, body[: body.index("--x--")]) == "plain"


def nested(depth: int, inner: bytes = b"deep") -> bytes:
    octets = b"\r\n" + inner
    for level in range(depth):
        octets = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n%b\r\n--b%d--" % (
            *(level, level),
            octets,
            level,
        )
    return octets


def test_parts_within_parts_have_an_end() -> None:
    assert read(part(nested(MAX_DEPTH))).text == "deep"
    for depth in (MAX_DEPTH + 1, 10_000):
        with pytest.raises(UnreadableMailError, match="too many parts"):
            read(part(nested(depth)))
    with pytest.raises(UnreadableMailError, match="too many parts"):
        read(part(mail(*multipart("mixed", *[FILE] * (MAX_PARTS + 1)))))


@pytest.mark.parametrize(
    ("flowed", "delete_space", "words"),
    [
        ("a \nb", False, "a b"),
        ("a \nb", True, "ab"),
        ("a\nb", False, "a\nb"),
        ("a \n\nb", False, "a \nb"),
        ("  stuffed\n >no quote", False, " stuffed\n>no quote"),
        ("> a \n> b\n>> c", False, "> a b\n>> c"),
        ("> a \nb", False, "> a \nb"),
        ("a \n-- \nme", False, "a \n-- \nme"),
    ],
)
def test_flowed_lines_are_put_together(flowed: str, delete_space: bool, words: str) -> None:
    assert joined(flowed, delete_space=delete_space) == words


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ("Hello <b>World</b>", "Hello World"),
        ("<p>a</p>\n<p>b</p>", "a\nb"),
        ("<div>a<br></div><div>b</div>", "a\nb"),
        ("a<div><br></div><div>b</div>", "a\n\nb"),
        ("<ul><li>a<li>b</ul>c", "- a\n- b\nc"),
        ("<table><tr><td>a<td>b<tr><td>c</table>", "a b\nc"),
        ("<pre>a\n  b</pre>", "a\n  b"),
        ("a&nbsp;b &lt;&eacute;&#128663;&gt;", "a\xa0b <é🚗>"),
        ("<style>p{}</style><script>x()</script><title>t</title>a<!-- c -->b", "ab"),
        ('<div style="display: none">preview</div>a', "a"),
        ("a<img alt=x>b<input>c", "abc"),
        ('a<blockquote type="cite">q<blockquote>r</blockquote>s</blockquote>b', "a\nb"),
        ("<blockquote>indented</blockquote>", "indented"),
        ('a<div class="x gmail_quote y">q<div>r</div></div>b', "a\nb"),
        ('a<div id="divRplyFwdMsg">From</div>q<p>r', "a"),
        ("<p", ""),
        ("a < b > c", "a < b > c"),
        ("", ""),
        ('<?xml version="1.0" encoding="x"?><html>é', "é"),
        ('<meta charset="iso-8859-1">é', "é"),
        ("<!DOCTYPE html><p>a", "a"),
        ("&unheard; &lt &#0;", "&unheard; < \ufffd"),
    ],
)
def test_html_is_read_as_text(html: str, words: str) -> None:
    assert text_of_html(html).strip("\n") == words


HTML_FRAGMENTS = st.sampled_from(
    [
        *("<p>", "</p>", "<b>", "</b>", "<div class='gmail_quote'>", "</div>", "<br>", "<li>", "<"),
        *("<pre>", "</pre>", "<script>a</script>", "<style>", "</style>", "<!-- c -->", "<!--"),
        *("-->", "<a href='x&amp;y'>", "<img alt='😀", "'>", "&nbsp;", "&#128663;", "&eacute", "&"),
        *("é", "😀", "\r\n", "\r", "\n", " ", "a", "bc", "<![CDATA[x]]>", "<!DOCTYPE html>", ">"),
    ]
)


@given(st.lists(HTML_FRAGMENTS, max_size=40).map("".join), st.integers(0, 250))
def test_html_reads_the_same_wherever_it_is_cut_in_pieces(html: str, at: int) -> None:
    before = "x" * (PIECE - at)
    assert text_of_html(before + html) == before + text_of_html(f"x{html}")[1:]


def test_html_within_html_has_an_end() -> None:
    deepest = MAX_HTML_DEPTH - 2  # in <html> and <body>
    assert text_of_html("<b>" * deepest + "a" + "</b>" * deepest + "b").strip() == "ab"
    with pytest.raises(UnreadableMailError, match="nested too deep"):
        text_of_html("<b>" * (deepest + 1))


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("Hello", "Hello"),
        ("\n\n  a\n\n\n\nb  \n\n", "a\n\nb"),
        ("a\u00a0b\u202f!\u200b\ufeff", "a b !"),
        ("Hello\n-- \nJean", "Hello"),
        ("Hi\n\nOn Mon, 5 Jan 2026 at 10:00, Jean <a@b.c>\nwrote:\n> x", "Hi"),
        ("Hi\n\nOn 5 Jan, Jean wrote:\n\n> x\n\nbelow\n> y\nbelow that", "Hi\n\nbelow\nbelow that"),
        ("Hi\n-----Original Message-----\nFrom: x", "Hi"),
        ("Oui\n----- Mail original -----\nx", "Oui"),
        ("Hi\nFrom: J <a@b>\nSent: Monday\nTo: M\nSubject: x\n\nold", "Hi"),
        ("Hi\n*From:* J <a@b>\n*Date:* Monday\n*To:* M\n*Subject:* x\n\nold", "Hi"),
        (
            "Oui\n________________________________\nDe : J\nEnvoyé : lundi 5 janvier 2026 09:58\n"
            "À : M\n\nold",
            "Oui",
        ),
        ("Ja\nVan: J\nVerzonden: 5-1-2026 10:00\nAan: M\nOnderwerp: x\n\noud", "Ja"),
        ("Hi\n\nSent from my iPhone\n", "Hi"),
        ("Hi\nEnvoyé de mon iPad", "Hi"),
        ("Hi\nEnvoyé à partir d'Outlook pour Android", "Hi"),
        ("Hi\nObtenir Outlook pour iOS<https://aka.ms/o0ukef>", "Hi"),
        ("Hi\nSent from Mail for Windows", "Hi"),
        ("Hi\nEnvoyé avec la messagerie sécurisée Proton Mail.", "Hi"),
        ("Hi\nSent from my Galaxy S24 Ultra", "Hi"),
        ("Hi\nSent from my mobile phone", "Hi"),
        ("Hi\nSent from my Android device with K-9 Mail. Please excuse my brevity.", "Hi"),
        ("Hi\nEnvoyé de mon appareil Android avec Courriel K-9 Mail.", "Hi"),
        ("Ja\nDiese Nachricht wurde von meinem Android-Gerät mit K-9 Mail gesendet.", "Ja"),
        ("Ja\nVon meinem Mobilgerät gesendet", "Ja"),
        # A mail that is passed on is what its sender wants to say.
        ("FYI\n---------- Forwarded message ---------\nFrom: J <a@b>\n\n> x", None),
        ("Pour info\n\n---------- Message transféré ---------\nx", None),
        ("Begin forwarded message:\n\n> From: J <a@b>\n> Date: 5/1\n>\n> x", None),
        ("FYI\n\nAnfang der weitergeleiteten Nachricht:\n\nx", None),
        (
            "FYI\n-- \nJean\n---------- Forwarded message ---------\nx\n-- \nMarie",
            "FYI\n---------- Forwarded message ---------\nx\n--\nMarie",
        ),
        # Of these nothing would be left.
        ("> only quoted", None),
        ("-- \nJean", "--\nJean"),
        ("Sent from my iPhone", None),
        ("On Mon, 5 Jan 2026 at 10:00, Jean <a@b.c> wrote:\n> x", None),
    ],
)
def test_quotes_signatures_and_footers_are_cut(written: str, words: str | None) -> None:
    assert reply_text(written) == (written.strip() if words is None else words)


QUOTED = "> 40 C\nroom 2"


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ("Subject: 1", QUOTED),
        ("Subject: Re: 1", "room 2"),
        ("Subject: Antw: 1", "room 2"),
        ("Subject: [EXT] SV: 1", "room 2"),
        ("Subject: 1\nIn-Reply-To: <a@b>", "room 2"),
        ("Subject: 1\nReferences: <a@b>", "room 2"),
        ("Subject: Fwd: 1\nReferences: <a@b>", QUOTED),
        ("Subject: WG: Re: 1\nIn-Reply-To: <a@b>", QUOTED),
        ("Subject: Re: Fwd: 1", "room 2"),
    ],
)
def test_what_begins_as_a_quote_is_one_in_an_answer(headers: str, words: str) -> None:
    assert text(headers, QUOTED) == words
    assert read(part(mail(headers, QUOTED)), body_as_it_is=True).text == QUOTED


def test_an_answer_between_quotes_may_end_in_a_colon() -> None:
    body = "On 5 Jan 2026, J wrote:\n> When?\nMonday at 10:00, and then:\n> And?\nNo."
    assert text("In-Reply-To: <a@b>", body) == "Monday at 10:00, and then:\nNo."


@pytest.mark.parametrize("prefix", ["FW", "TR", "WG", "Doorst", "RV", "I", "ENC", "PD", "转发"])
def test_the_headers_of_a_mail_that_is_passed_on_stay(prefix: str) -> None:
    body = "FYI\n\nFrom: J <a@b>\nSent: 5/1/2026 10:00\nTo: M\nSubject: x\n\nold\n-- \nJ\n\n> older"
    headers = f"References: <a@b>\nSubject: {prefix}: 1"
    assert text(headers, body) == body.replace("-- \n", "--\n")
    assert text("References: <a@b>\nSubject: RE: 1", body) == "FYI"


FORWARDED_HTML = {
    "gmail": '<div class="gmail_quote">---------- Forwarded message -----<br>From: J<br>x</div>',
    "apple": 'Begin forwarded message:<br><blockquote type="cite">From: J<br>x</blockquote>',
    "yahoo": '<div class="yahoo_quoted">----- Message transféré -----<br>De : J<br>x</div>',
    "proton": '<div class="protonmail_quote">------- Forwarded Message -------<br>x</div>',
    "thunderbird": '<div class="moz-forward-container">--- Forwarded Message ---<br>x</div>',
}


@pytest.mark.parametrize("html", FORWARDED_HTML.values(), ids=FORWARDED_HTML)
def test_a_mail_that_is_passed_on_in_html_stays(html: str) -> None:
    taken = text("Subject: 1\nReferences: <a@b>\nContent-Type: text/html", f"<div>FYI</div>{html}")
    assert taken.startswith("FYI\n")
    assert taken.endswith("\nx")


@pytest.mark.parametrize(
    ("html", "words"),
    [
        ("<div>-- <br>Jean</div>", "--\nJean"),
        ("Hi<br>-- <br>Jean", "Hi"),
        ("Hi<br>--&nbsp;<br>Jean", "Hi"),
        ("Menu:<br>--<br>Soup", "Menu:\n--\nSoup"),
        ("<p>Menu:</p>\n<p>--\n</p>\n<p>Soup</p>", "Menu:\n--\nSoup"),
        ("<table><tr><td>--</td> <td></td></tr><tr><td>Soup</td></tr></table>", "--\nSoup"),
        ('<blockquote type="cite">all</blockquote>', "all"),
        ('T<blockquote type="cite">40 C in room 2</blockquote>', "T\n40 C in room 2"),
        (
            'T<blockquote type="cite">On 5 Jan 2026, 10:00, J &lt;a@b&gt; wrote:<br></blockquote>'
            '<blockquote type="cite">q</blockquote>b',
            "T\nb",
        ),
        ('T<div class="moz-cite-prefix">J</div><blockquote type="cite">q</blockquote>', "T"),
        ("T<br>&gt; 40 C", "T\n> 40 C"),
        ("<p>He said:</p><blockquote>no</blockquote>", "He said:\nno"),
        ('<blockquote>a<div class="gmail_quote">q</div>b</blockquote>c', "a\nb\nc"),
    ],
)
def test_marks_of_html_are_cut_and_texts_are_not(html: str, words: str) -> None:
    assert text("Content-Type: text/html", html) == words


@pytest.mark.parametrize(
    ("flowed", "words"),
    [("Hi\r\n-- \r\nJean", "Hi"), ("a \r\nb\r\n-- \r\nJean", "a b"), ("Menu\r\n--\r\nSoup", None)],
)
@pytest.mark.parametrize("delsp", ["yes", "no"])
def test_a_signature_of_a_flowed_text_is_known_by_its_blank(
    flowed: str, words: str | None, delsp: str
) -> None:
    found = text(f"Content-Type: text/plain; format=flowed; delsp={delsp}", flowed)
    if words == "a b" and delsp == "yes":
        words = "ab"
    assert found == (flowed.replace("\r\n", "\n") if words is None else words)


@pytest.mark.parametrize("encoded", ["-- ", "--=20", "--=A0"])
def test_a_signature_is_known_in_quoted_printable(encoded: str) -> None:
    headers = (
        "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable"
    )
    assert text(headers, f"Hi\r\n{encoded}\r\nJean") == "Hi"


ARMOUR = "-----BEGIN PGP MESSAGE-----\n\nhQEMA5\n=abcd\n-----END PGP MESSAGE-----"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (ARMOUR, "the text is encrypted or signed inline (PGP)"),
        (f"Hi\n{ARMOUR}", "the text is encrypted or signed inline (PGP)"),
        (
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nHi",
            "the text is encrypted or signed",
        ),
        ("-----BEGIN PGP PUBLIC KEY BLOCK-----\nx", "the text is encrypted or signed inline (PGP)"),
        (
            "-----BEGIN PGP MESSAGE, PART 1/2-----\nx",
            "the text is encrypted or signed inline (PGP)",
        ),
        ("-----BEGIN PKCS7-----\nMIAGCS", "the text is encrypted or signed inline (S/MIME)"),
        ("begin 644 a.txt\n#0V%T\n`\nend", "the text has a file in it (uuencode)"),
        ("=ybegin line=128 size=3 name=a.jpg\nx", "the text is a file (yEnc)"),
    ],
)
def test_armour_is_refused_and_never_sent(body: str, why: str) -> None:
    assert refusal("Subject: 1", body).startswith(why)
    # As the quote of an answer it is cut.
    quoted = "\n".join(f"> {line}" for line in body.split("\n"))
    assert text("In-Reply-To: <a@b>", f"Yes\n{quoted}") == "Yes"


@pytest.mark.parametrize(
    "words",
    [
        "begin 644 at the door",
        "begin 100 words\nthen stop",
        "-----BEGIN now-----",
        "BEGIN PGP MESSAGE",
    ],
)
def test_words_that_are_like_armour_are_text(words: str) -> None:
    assert text("Subject: 1", words) == words


P7M = "Content-Disposition: attachment; filename=smime.p7m\nContent-Type: application/"
INNER = "Content-Type: text/plain\r\n\r\nsecret mail"


@pytest.mark.parametrize(
    ("headers", "body", "why"),
    [
        (P7M + "pkcs7-mime; smime-type=enveloped-data", "x", "the mail is encrypted (S/MIME)"),
        (P7M + "x-pkcs7-mime", "x", "the mail is encrypted (S/MIME)"),
        (P7M + "pkcs7-mime; smime-type=signed-data", "x", "the text of the mail is inside its sig"),
        ("Content-Type: application/pgp; format=text", "x", "the mail is encrypted or signed with"),
        # A server on the way added a line, or made of it what it knows.
        (
            *multipart("mixed", PLAIN, "Content-Type: multipart/encrypted; boundary=y\r\n\r\n"),
            "the mail is encrypted; send it without",
        ),
        (
            *multipart("mixed", PLAIN, "Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1"),
            "the mail is encrypted (PGP)",
        ),
        (
            *multipart("mixed", PLAIN, "Content-Type: application/pkcs7-mime\r\n\r\nx"),
            "the mail is encrypted (S/MIME)",
        ),
        (
            *multipart(
                "mixed", PLAIN, "Content-Type: application/x-microsoft-rpmsg-message\r\n\r\nx"
            ),
            "the mail is encrypted (Microsoft)",
        ),
    ],
)
def test_an_encrypted_mail_is_refused(headers: str, body: str, why: str) -> None:
    assert refusal(headers, body).startswith(why)


def test_a_signature_of_s_mime_or_pgp_beside_the_text_is_passed_over() -> None:
    for kind in ("pkcs7-signature", "pgp-signature"):
        signature = f"Content-Type: application/{kind}\r\n\r\nx"
        assert text(*multipart("signed", PLAIN, signature)) == "plain"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ("Subject: 1\nSubject: 2", "the mail has two subjects"),
        ("Subject: 1\nsubject: 1", "the mail has two subjects"),
        ("From: a@b\nFrom: c@d", "the mail has two from fields"),
        ("Message-ID: <a@b>\nMessage-ID: <c@d>", "the mail has two message-id fields"),
        (
            "Content-Type: text/plain\nContent-Type: text/html",
            "the mail has two content-type fields",
        ),
        (
            "Content-Transfer-Encoding: 7bit\nContent-Transfer-Encoding: base64",
            "the mail has two content-transfer-encoding fields",
        ),
    ],
)
def test_a_field_that_is_there_twice_is_believed_neither_time(fields: str, why: str) -> None:
    assert refusal(fields, "Hello").startswith(why)


def test_a_field_that_says_the_same_twice_says_it() -> None:
    assert text("Message-ID: <a@b>\nMessage-ID: <a@b>\nFrom: a@b\nFrom: a@b", "Hello") == "Hello"


LINES = [
    "> a",
    "On 1 wrote:",
    "On 1",
    "From: a",
    "__________",
    "Sent from my ",
    "a ",
    "--",
    "",
    "<p>",
    "<a b='",
    "&",
    "=",
    "--x",
    "Le 1 a écrit a écrit a écrit",
]


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize(
    "content",
    ["text/html", "text/plain; format=flowed", "multipart/mixed; boundary=x"],
)
def test_no_mail_takes_long_to_read(line: str, content: str) -> None:
    octets = mail(f"Content-Type: {content}", f"{line}\r\n" * (300_000 // (len(line) + 2)))
    before = time.process_time()
    try:
        read(part(octets))
    except UnreadableMailError:
        pass
    # The slowest takes a fifth of a second; what is quadratic takes minutes.
    assert time.process_time() - before < 10


_OPEN = 'a="' + ";" * 1_960
#: Mails that cost seconds, or minutes, where what is read is read again.
COSTLY: dict[str, tuple[str, str | bytes]] = {
    "a subject of blanks": ("Subject: 1" + " " * 7_900 + "1", "a"),
    "flowed lines after an emoji": (
        "Content-Type: text/plain; format=flowed; charset=utf-8",
        "😀" + "a \n" * 300_000,
    ),
    "lines of angle brackets": (
        "Content-Type: text/plain",
        ("2024-01-01 " + "<" * 96 + "@" * 96 + ">" * 96 + "\r\n") * 1_000,
    ),
    "end tags that end nothing": ("Content-Type: text/html", "<b>" * 60_000 + "</i>" * 60_000),
    "end tags that end nothing, as deep as may be": (
        "Content-Type: text/html",
        "<b>" * (MAX_HTML_DEPTH - 2) + "</i>" * 100_000,
    ),
    "parts within parts around megabytes": (
        f"Content-Type: multipart/mixed; boundary=b{MAX_DEPTH - 1}",
        nested(MAX_DEPTH, b"a\r\n" * 1_600_000).partition(b"\r\n\r\n")[2],
    ),
    "lines that are nearly boundaries": multipart("mixed", "--xy\r\n" * 800_000),
    "lines of dashes and blanks": ("Subject: 1", ("- " * 140 + "\r\n") * 3_500),
    "lines that may be attributions": ("In-Reply-To: <a>", ("1." * 140 + ":\r\n") * 3_500),
    "quotes that never end before semicolons": multipart(
        "mixed",
        *[f"Content-Disposition: a; {_OPEN}\r\nContent-Type: text/plain; {_OPEN}"] * MAX_PARTS,
    ),
}


@pytest.mark.parametrize(("headers", "body"), COSTLY.values(), ids=COSTLY)
def test_no_mail_is_read_again_and_again(headers: str, body: str) -> None:
    octets = mail(headers, body)
    before = time.process_time()
    try:
        read(part(octets))
    except UnreadableMailError:
        pass
    # The slowest takes a fifth of a second.
    assert time.process_time() - before < 1


def test_an_element_with_many_attributes_costs_little() -> None:
    attributes = " ".join(f"a{n}=1" for n in range(100_000))
    before = time.process_time()
    assert text("Content-Type: text/html", f"<p {attributes}>x") == "x"
    assert time.process_time() - before < 10


FRAGMENTS = st.sampled_from(
    [
        b"Content-Type: ",
        b"multipart/mixed; boundary=x",
        b'multipart/alternative; boundary="x"',
        b"text/html",
        b"text/plain; charset=",
        b"utf-8",
        b"iso-2022-jp",
        b"utf-7",
        b"; format=flowed",
        b"; boundary*0=x; boundary*1=y",
        b"; charset*=utf-8''%FF",
        b"Content-Transfer-Encoding: base64",
        b"Content-Transfer-Encoding: quoted-printable",
        b"Content-Disposition: inline; filename*=''%",
        b"Subject: =?utf-8?B?",
        b"Subject: =?utf-8?Q?=",
        b"?=",
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b" ",
        b"--x",
        b"--x--",
        b"> ",
        b"On 1 wrote:",
        b"<p>",
        b"<![CDATA[",
        b"&#x110000;",
        b"\x1b$B",
        b"\xff",
        b"\x00",
        b"=\r\n",
    ]
)


@given(st.lists(FRAGMENTS | st.binary(max_size=8), max_size=40).map(b"".join))
@example(b"Content-Type: \r\nContent-Type: ")
@example(b"Content-Type: text/plain; charset*=a'b'c\r\n\r\nx")
@example(b"Content-Disposition: x\xff; filename*0*=\r\n\r\nx")
@example(b"Content-Type: multipart/mixed; boundary*=\0''x\r\n\r\nx")
def test_whatever_comes_is_read_or_refused(octets: bytes) -> None:
    try:
        found = part(octets)
        automatic(found, "a@b")
        message = read(found)
    except UnreadableMailError:
        return
    assert isinstance(message, Mail)
    assert len(message.text) <= 2 * len(octets) + 10
    message.text.encode("utf-8")
    message.recipients.encode("utf-8")


@given(st.text(max_size=300))
def test_any_text_is_cut_and_once_is_enough(written: str) -> None:
    words = reply_text(written)
    assert reply_text(words) == words
    assert text_of_html(written) is not None


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=60))
def test_an_encoded_word_is_what_was_encoded(written: str) -> None:
    octets = written.encode()
    word = "=?utf-8?Q?" + "".join(f"={octet:02X}" for octet in octets) + "?="
    assert unfolded(word) == written.removeprefix("\ufeff")
