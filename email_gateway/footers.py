"""What telephones and mail programs add below a mail of their own accord."""

import re
from functools import cache

from .languages import footers

# Names of products, and a word for a telephone where it is somebody's own.
_DEVICE = (
    r"(?:iphon\w{1,4}|ipad\w{0,3}|ipod|android|(?:samsung )?galaxy|samsung|blackberry|huawei"
    r"|xiaomi|redmi|oppo|oneplus|pixel|motorola|nokia|xperia|smartphone|outlook|yahoo|gmail|aol"
    r"|gmx|proton ?mail|airmail|k-9 mail|fairemail|bluemail|windows mail|mailbox for ip(?:ad|hone)"
    r"|mail (?:for|pour|für|voor|para|per|dla|для) windows"
    r"|(?:my|mon|ma|mein\w*|mijn|mi|mio|meu|meus|min|mitt|mojego|моего) (?:\w+ )?"
    r"(?:mobile|phone|téléphone|portable|telefoon|telefon|handy|móvil|telefono|telemóvel|celular"
    r"|mobil|mobilgerät|mobiltelefon|мобильного|телефона|tablet|tablette|tableta)"
    r"|(?:mobile|handheld|wireless) (?:phone|device))"
)
# A model, a shop or a full stop may follow, and where to get the program.
_TAIL = (
    r"(?:[ ,’'-][\w’'.+-]+){0,4}[.!。]?(?:\s?<[^<>\s]{1,200}>)?"
    # K-9 Mail apologises.
    r"(?: (?:please )?(?:excuse my brevity|excuse the brevity|veuillez excuser ma brièveté"
    r"|bitte entschuldigen sie die kürze|excuseer mijn beknoptheid|disculpe mi brevedad"
    r"|perdonate la brevità|desculpe a brevidade)\.?)?"
)
_LINK = re.compile(r"\[([^\]]{1,60})\]\([^()\s]{1,200}\)")
#: No program's line is longer.
_LONGEST = 300


def is_footer(line: str) -> bool:
    """Whether a line was added by a telephone or a mail program."""
    return len(line) <= _LONGEST and _footers().fullmatch(_comparable(line)) is not None


def _comparable(line: str) -> str:
    # A Turkish capital has no lower case of one character.
    # Proton's has a link in Markdown.
    line = _LINK.sub(r"\1", line.strip())
    return line.lower().replace("’", "'").replace("i̇", "i")


@cache
def _footers() -> re.Pattern[str]:
    forms = (each.replace("D", rf"(?:\w+ ){{0,2}}{_DEVICE}") for each in footers())
    return re.compile(rf"(?:{'|'.join(forms)}){_TAIL}")
