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
from email_gateway.own_words import own_words
from email_gateway.unreadable import Unreadable

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
    with pytest.raises(Unreadable) as caught:
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
        ("Auto-Submitted: AUTO-REPLIED (vacation)", Automatic.REFUSE),
        ("Auto-Submitted: auto-replied; owner-email=a@b", Automatic.DISCARD),
        ("auto-submitted: Auto-Notified", Automatic.DISCARD),
        ("Auto-Submitted: auto-generated", Automatic.REFUSE),
        ("Precedence: Bulk", Automatic.REFUSE),
        ("Precedence: auto_reply", Automatic.DISCARD),
        ("Precedence: first-class", None),
        ("X-Autorespond: yes", Automatic.DISCARD),
        ("List-Unsubscribe: <mailto:a@b>", Automatic.REFUSE),
        ("Content-Type: multipart/report; boundary=x", Automatic.DISCARD),
        ("Subject: Auto-Submitted: auto-replied", None),
    ],
)
def test_the_headers_of_automatic_mails(header: str, verdict: Automatic | None) -> None:
    assert automatic(part(mail(header)), "a@b") is verdict


@pytest.mark.parametrize(
    ("subject", "recipients"),
    [
        ("+32494000001", "+32494000001"),
        ("  0032494000001 ", "0032494000001"),
        ("Re: RE: Fwd: TR : AW: Antw: +32494000001", "+32494000001"),
        ("Re[2]: +32494000001", "+32494000001"),
        ("=?utf-8?B?KzMyNDk0MDAwMDAx?=", "+32494000001"),
        ("=?iso-8859-1?Q?+32_494_00?= =?iso-8859-1?Q?0001?=", "+32 494 000001"),
        ("=?utf-8*fr?q?+32494000001?=", "+32494000001"),
        ("+32494000001,\r\n +32494000002", "+32494000001, +32494000002"),
        ("=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
        ("+32494000001 Re: +32494000002", "+32494000001 Re: +32494000002"),
        ("réunion", "réunion"),
        ("r\udce9union", "réunion"),
        ("", ""),
    ],
)
def test_the_subject_is_the_numbers(subject: str, recipients: str) -> None:
    octets = f"Subject: {subject}\r\n\r\nHello".encode("utf-8", "surrogateescape")
    assert read(part(octets)).recipients == recipients


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
    with pytest.raises(Unreadable, match=r"^the charset '.{0,40}' is unknown$"):
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
        except Unreadable:
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
    with pytest.raises(Unreadable, match="not in the charset"):
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
        (*multipart("encrypted", "Content-Type: application/pgp-encrypted\r\n\r\nx"), "there is"),
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


def nested(depth: int) -> bytes:
    octets = b"\r\ndeep"
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
        with pytest.raises(Unreadable, match="too many parts"):
            read(part(nested(depth)))
    with pytest.raises(Unreadable, match="too many parts"):
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
    with pytest.raises(Unreadable, match="nested too deep"):
        text_of_html("<b>" * (deepest + 1))


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("Hello", "Hello"),
        ("\n\n  a\n\n\n\nb  \n\n", "a\n\nb"),
        ("a\u00a0b\u202f!\u200b\ufeff", "a b !"),
        ("Hello\n-- \nJean", "Hello"),
        ("Hello\n--\nJean", "Hello"),
        ("Hello --\n--- x", "Hello --\n--- x"),
        ("> quoted\nanswer", "answer"),
        ("Hi\n\nOn Mon, 5 Jan 2026 at 10:00, Jean <a@b.c>\nwrote:\n> x", "Hi"),
        ("Hi\n\nOn 5 Jan, Jean wrote:\n\n> x\n\nbelow", "Hi\n\nbelow"),
        ("Hi\n2026-01-05 10:00 GMT+01:00 Jean <a@b.c>:\n> x", "Hi"),
        ("Oui\nLe lun. 5 janv. 2026 à 10:00, Jean <a@b.c> a écrit\xa0:\n> x", "Oui"),
        ("Ja\nOp ma 5 jan. 2026 om 10:00 schreef Jan <a@b.c>:\n> x", "Ja"),
        ("Ja\nAm 05.01.2026 um 10:00 schrieb Jan <a@b.c>:\n> x", "Ja"),
        ("Hi\n-----Original Message-----\nFrom: x", "Hi"),
        ("Hi\n---------- Forwarded message ---------\nx", "Hi"),
        ("Oui\n---------- Message transféré ---------\nx", "Oui"),
        ("Oui\n----- Mail original -----\nx", "Oui"),
        ("Hi\n\nBegin forwarded message:\n\nx", "Hi"),
        ("Hi\nFrom: J <a@b>\nSent: Monday\nTo: M\nSubject: x\n\nold", "Hi"),
        ("Hi\n*From:* J\n*Date:* Monday\n*To:* M\n\nold", "Hi"),
        ("Oui\n________________________________\nDe : J\nEnvoyé : lundi\nÀ : M\n\nold", "Oui"),
        ("Ja\nVan: J\nVerzonden: maandag\nAan: M\nOnderwerp: x\n\noud", "Ja"),
        ("Hi\n\nSent from my iPhone\n", "Hi"),
        ("Hi\nEnvoyé de mon iPad", "Hi"),
        ("Hi\nEnvoyé à partir d'Outlook pour Android", "Hi"),
        ("Hi\nObtenir Outlook pour iOS<https://aka.ms/o0ukef>", "Hi"),
        ("Hi\nSent from Mail for Windows", "Hi"),
        ("Hi\nEnvoyé avec la messagerie sécurisée Proton Mail.", "Hi"),
        ("Hi\nVerstuurd vanaf mijn iPhone", "Hi"),
        ("Hi\nVon meinem iPhone gesendet", "Hi"),
        # What a person wrote stays.
        ("On Monday he wrote:\nno", "On Monday he wrote:\nno"),
        ("Le chat a écrit :\nmiaou", "Le chat a écrit :\nmiaou"),
        ("From: Brussels\nTo: Paris", "From: Brussels\nTo: Paris"),
        ("De : Paul\nVenez à 8 h", "De : Paul\nVenez à 8 h"),
        ("Sent from the office", "Sent from the office"),
        ("Sent from my iPhone was what he said\nNo?", "Sent from my iPhone was what he said\nNo?"),
        ("a\n__________\nb", "a\n__________\nb"),
        # Nothing is left of these, and the backend says that the text is empty.
        ("> only quoted", ""),
        ("-- \nJean", ""),
        ("Sent from my iPhone", ""),
    ],
)
def test_quotes_signatures_and_footers_are_cut(written: str, words: str) -> None:
    assert own_words(written) == words


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
    except Unreadable:
        pass
    # The slowest takes a fifth of a second; what is quadratic takes minutes.
    assert time.process_time() - before < 10


_OPEN = 'a="' + ";" * 1_960
#: Mails that cost seconds, or minutes, where what is read is read again.
COSTLY = {
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
    except Unreadable:
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
@example(b"Content-Type: text/plain; charset*=a'b'c\r\n\r\nx")
@example(b"Content-Disposition: x\xff; filename*0*=\r\n\r\nx")
@example(b"Content-Type: multipart/mixed; boundary*=\0''x\r\n\r\nx")
def test_whatever_comes_is_read_or_refused(octets: bytes) -> None:
    found = part(octets)
    automatic(found, "a@b")
    try:
        message = read(found)
    except Unreadable:
        return
    assert isinstance(message, Mail)
    assert len(message.text) <= 2 * len(octets) + 10
    message.text.encode("utf-8")
    message.recipients.encode("utf-8")


@given(st.text(max_size=300))
def test_any_text_is_cut_and_once_is_enough(written: str) -> None:
    words = own_words(written)
    assert own_words(words) == words
    assert text_of_html(written) is not None


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=60))
def test_an_encoded_word_is_what_was_encoded(written: str) -> None:
    octets = written.encode()
    word = "=?utf-8?Q?" + "".join(f"={octet:02X}" for octet in octets) + "?="
    assert unfolded(word) == written.removeprefix("\ufeff")
