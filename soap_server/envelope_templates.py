"""Envelopes of `sendSms` that are known but for their texts, read and answered without a parser.

A client writes all its envelopes alike, to the last space; only the recipients, the message and the
key in them differ. So an envelope is cut at its texts, and what remains, its template, is looked
up. spyne reads a new template once, with marks in place of the texts, which shows which text is
which parameter; and spyne's answer to it, with marks for what it reports, is the template of the
answers.

A text that has no "<", whose references are all known and whose characters are all allowed cannot
change how what is around it is read (XML 1.0 §2.4, §4.1). So what spyne made of the marks it would
make of the texts. All that is not of this kind is left to spyne.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from secrets import token_hex

from sms_gateway.backend import Reply

from .decode import CHARSETS_WIDE, header_value, join_surrogates
from .protocol import NOT_XML, escape
from .types import SendSmsResult

#: The most templates that are kept, and how long one may be, in bytes.
MOST_TEMPLATES = 200
LONGEST_TEMPLATE = 4096

# The text of an element that holds nothing else, and more than white space. XML 1.0: §2.2 for
# characters, §2.4 for "]]>", §4.1 for references. In UTF-8 U+FFFE and U+FFFF begin with 0xEF. Its
# group is not possessive: up to Python 3.11.4 those keep what they began to match and could not.
_CONTENT = (
    rb"(?![ \t\r\n]*+(?:<|\Z))"
    rb"(?:[^<&\]\xef\x00-\x08\x0b\x0c\x0e-\x1f]++"
    rb"|&(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});"
    rb"|\](?!\]>)|\xef(?!\xbf[\xbe\xbf]))+"
)
# With the tags around it. The first of them keeps the search from trying each of many ">".
_ELEMENT = re.compile(rb"(<[^<>]*+>)(" + _CONTENT + rb")(</)")
# NuSOAP draws a prefix for each of its clients. Another in its place changes nothing when it takes
# all of its places and was not there before; and no name that matters has such a one in it.
_DRAWN = re.compile(rb" xmlns:(ns[0-9]{4})=")
_FIXED = b"ns0000"
_REFERENCE = re.compile("&(?:#x([0-9a-fA-F]+)|#([0-9]+)|([a-z]+));")
# A text as nearly all are: without a reference, a line end of Windows or white space in front.
_USUAL = rb"([^<&\]\xef\x00-\x20][^<&\]\xef\x00-\x08\x0b-\x1f]*+)"
# `in` looks for an octet as a number first: for bytes it makes an exception and drops it.
_RETURN, _AMPERSAND = b"\r&"
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}

#: What stands for the result while its answer is written: numbers that are nowhere else in it.
RESULT = SendSmsResult(error=111111, sent=222222, id="333333")

#: What spyne makes of an envelope: the arguments, and the media type and the bytes of its answer
#: when the result is RESULT; None when it is no call of `sendSms`, or has more to it.
Reading = tuple[list[str], bytes, bytes] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeTemplate:
    """All of an envelope but its texts, and its answer but for what it reports."""

    #: Which of the texts are recipients, message and key, from 1.
    groups: tuple[int, int, int]
    media_type: bytes
    #: With places for error, sent and id.
    answer: bytes

    def filled(self, reply: Reply) -> bytes:
        """The answer that reports this."""
        return self.answer % (int(reply.error), reply.sent, escape(reply.id).encode())


class EnvelopeTemplates:
    """The templates that came lately."""

    def __init__(self, read_by_spyne: Callable[[bytes], Reading]) -> None:
        self._read_by_spyne = read_by_spyne
        #: The marks that stand for the texts while spyne reads a template, in characters of all
        #: lengths. Nobody can know them, so they are nowhere else in it.
        self._marks = [f"{token_hex(16)} ä€😀" for _ in range(3)]
        #: By what is around the texts; None for what is no template.
        self._known: dict[tuple[bytes, ...], EnvelopeTemplate | None] = {}
        #: The one that came last, and what matches envelopes of it with usual texts: it is tried
        #: first, as that takes a third of the time.
        self._latest: tuple[re.Pattern[bytes], EnvelopeTemplate] | None = None

    def read(self, envelope: bytes) -> tuple[EnvelopeTemplate, str, str, str] | None:
        """An envelope's template, recipients, message and key; None when spyne has to read it."""
        try:
            if self._latest is not None:
                pattern, template = self._latest
                match = pattern.fullmatch(envelope)
                if match is not None:
                    recipients, message, apikey = match.group(*template.groups)
                    return template, recipients.decode(), message.decode(), apikey.decode()
            return self._read(envelope)
        except ValueError:
            return None

    def _read(self, envelope: bytes) -> tuple[EnvelopeTemplate, str, str, str] | None:
        """The same; ValueError for a text that is none."""
        # Between two texts: the end tag's beginning, what follows, and a start tag.
        pieces = _ELEMENT.split(envelope)
        if len(pieces) != 13:
            return None
        around = (
            pieces[0] + pieces[1],
            b"".join(pieces[3:6]),
            b"".join(pieces[7:10]),
            pieces[11] + pieces[12],
        )
        template = self._known.get(around)
        if template is not None:
            self._latest = _usual(around), template
        else:
            template = self._find_or_learn(around)
        if template is None:
            return None
        texts = [b"", *pieces[2::4]]
        recipients, message, apikey = [_text(texts[group]) for group in template.groups]
        return template, recipients, message, apikey

    def _find_or_learn(self, around: tuple[bytes, ...]) -> EnvelopeTemplate | None:
        """The template with these pieces, found by its prefix or learned; None for another call."""
        if sum(map(len, around)) > LONGEST_TEMPLATE:
            return None
        marked = around[0]
        for mark, piece in zip(self._marks, around[1:], strict=True):
            marked += mark.encode() + piece
        if (drawn := _DRAWN.search(marked)) and _FIXED not in marked:
            around = tuple(piece.replace(drawn[1], _FIXED) for piece in around)
            marked = marked.replace(drawn[1], _FIXED)
        if around not in self._known:
            if len(self._known) >= MOST_TEMPLATES:
                del self._known[next(iter(self._known))]
            self._known[around] = self._form(self._read_by_spyne(marked))
        return self._known[around]

    def _form(self, reading: Reading) -> EnvelopeTemplate | None:
        if reading is None:
            return None
        arguments, media_type, answer = reading
        if sorted(arguments) != sorted(self._marks):
            return None
        recipients, message, apikey = (1 + self._marks.index(each) for each in arguments)
        answer = answer.replace(b"%", b"%%")
        for mark, place in ((b"111111", b"%d"), (b"222222", b"%d"), (b"333333", b"%b")):
            answer = answer.replace(mark, place)
        return EnvelopeTemplate(
            groups=(recipients, message, apikey),
            media_type=media_type,
            answer=answer,
        )


@lru_cache(maxsize=MOST_TEMPLATES)
def _usual(around: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """Matches envelopes with usual texts between these pieces."""
    return re.compile(_USUAL.join(map(re.escape, around)))


@lru_cache(maxsize=64)
def is_plain(content_type: bytes) -> bool:
    """Whether a body of this type is an envelope in UTF-8, if it is UTF-8 at all."""
    media_type, parameters = header_value(content_type.decode("latin-1"))
    charset = parameters.get("charset", "").lower()
    return not media_type.startswith("multipart/") and charset not in CHARSETS_WIDE


def _text(content: bytes) -> str:
    """The text that XML has for this content. ValueError for what is no text."""
    if _RETURN in content:
        # XML 1.0 §2.11.
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if _AMPERSAND in content:
        return _REFERENCE.sub(_referred, join_surrogates(content).decode())
    return content.decode()


def _referred(reference: re.Match[str]) -> str:
    hexadecimal, decimal, name = reference.groups()
    if name:
        return _ENTITIES[name]
    character = chr(int(hexadecimal, 16) if hexadecimal else int(decimal))
    if NOT_XML.match(character):
        raise ValueError
    return character
