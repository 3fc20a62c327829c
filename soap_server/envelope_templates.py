"""Reads and answers envelopes of `sendSms` by templates, without a parser.

All envelopes of a client are equal to the last space, except for the recipients, the message and
the key. So an envelope is split at its texts, and the rest, its template, is looked up. spyne reads
a new template once, with marks in place of the texts. That shows which text is which parameter, and
spyne's answer, with marks in place of the result, is the template of the answers.

A text without "<", with known references and allowed characters only, cannot change how a parser
reads the markup around it (XML 1.0 §2.4, §4.1). So spyne would read the texts as it read the marks.
spyne reads all other envelopes.
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

#: The most templates that are cached, and the length of the longest, bytes.
MOST_TEMPLATES = 200
LONGEST_TEMPLATE = 4096

# The text of an element that contains only text, and not only white space. XML 1.0: §2.2 for
# characters, §2.4 for "]]>", §4.1 for references. In UTF-8 U+FFFE and U+FFFF begin with 0xEF. The
# group is not possessive: up to Python 3.11.4 a possessive group keeps a failed partial match.
_CONTENT = (
    rb"(?![ \t\r\n]*+(?:<|\Z))"
    rb"(?:[^<&\]\xef\x00-\x08\x0b\x0c\x0e-\x1f]++"
    rb"|&(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});"
    rb"|\](?!\]>)|\xef(?!\xbf[\xbe\xbf]))+"
)
# The text with the tags around it. The start tag keeps the search from trying each ">".
_ELEMENT = re.compile(rb"(<[^<>]*+>)(" + _CONTENT + rb")(</)")
# NuSOAP draws a random prefix for each client object. Replacing it everywhere by another that does
# not occur changes nothing; and no name that we need contains such a prefix.
_DRAWN = re.compile(rb" xmlns:(ns[0-9]{4})=")
_FIXED = b"ns0000"
_REFERENCE = re.compile("&(?:#x([0-9a-fA-F]+)|#([0-9]+)|([a-z]+));")
# The text of nearly all envelopes: no reference, no CR, and no white space in front.
_USUAL = rb"([^<&\]\xef\x00-\x20][^<&\]\xef\x00-\x08\x0b-\x1f]*+)"
# As numbers: `in` first tries its operand as a number, and for bytes that raises inside.
_RETURN, _AMPERSAND = b"\r&"
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}

#: Marks in place of the result while spyne writes the answer: they occur nowhere else in it.
RESULT = SendSmsResult(error=111111, sent=222222, id="333333")

#: spyne's reading of an envelope: the arguments, and the media type and bytes of the answer with
#: RESULT. None when it is no call of `sendSms`, or has a header.
Reading = tuple[list[str], bytes, bytes] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvelopeTemplate:
    """An envelope without its texts, and its answer without the result."""

    #: The numbers of the texts that are recipients, message and key, from 1.
    groups: tuple[int, int, int]
    media_type: bytes
    #: The answer, with placeholders for error, sent and id.
    answer: bytes

    def filled(self, reply: Reply) -> bytes:
        """The answer with this reply."""
        return self.answer % (int(reply.error), reply.sent, escape(reply.id).encode())


class EnvelopeTemplates:
    """A cache of templates."""

    def __init__(self, read_by_spyne: Callable[[bytes], Reading]) -> None:
        self._read_by_spyne = read_by_spyne
        #: The marks in place of the texts while spyne reads a template, with characters of all
        #: lengths in UTF-8. They are random, so they occur nowhere else.
        self._marks = [f"{token_hex(16)} ä€😀" for _ in range(3)]
        #: Templates by the pieces around the texts; None for pieces that are no template.
        self._known: dict[tuple[bytes, ...], EnvelopeTemplate | None] = {}
        #: The latest template, with a pattern for its envelopes with usual texts. It is tried
        #: first, which takes a third of the time.
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
        """As `read`; ValueError for a text that is not XML."""
        # Between two texts: the beginning of an end tag, the pieces after it, and a start tag.
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
        """The template with these pieces, cached or read by spyne; None for another call."""
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
    """A pattern for envelopes with usual texts between these pieces."""
    return re.compile(_USUAL.join(map(re.escape, around)))


@lru_cache(maxsize=64)
def is_plain(content_type: bytes) -> bool:
    """Whether a body of this type is an envelope in UTF-8, if it is UTF-8 at all."""
    media_type, parameters = header_value(content_type.decode("latin-1"))
    charset = parameters.get("charset", "").lower()
    return not media_type.startswith("multipart/") and charset not in CHARSETS_WIDE


def _text(content: bytes) -> str:
    """The text of this XML content. ValueError if it refers to a forbidden character."""
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
