"""The footers that telephones and mail programs add to a mail by themselves."""

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
# Words that may stand before and after the device: a model, a shop, a program. Any other word
# makes it a text:
# `Sent from Samsung warehouse 3` is a text.
_BEFORE = (
    r"(?:(?:samsung|new|secure|personal|appareil|téléphone|smartphone|messagerie|sécurisée"
    r"|application|l'application|app|dispositivo|teléfono|telefono|telefone|celular|telefon"
    r"|telefoon|toestel|gerät|handy|móvil|urządzenia|устройства|телефона|android|mobile|mio|mijn"
    r"|meu) ){0,2}"
)
_AFTER = (
    r"(?:\S*\d\S*|ultra|plus|pro|max|mini|fe|note|edge|lite|phone|smartphone|tablet|mobile"
    r"|device|handset|gerät|mail|email|secure|app|android|ios|mac|windows|for|on|with|from|via|using"
    r"|pour|avec|für|mit|voor|met|para|con|com|per|courriel|mailbox|orange|free|sfr|vodafone"
    r"|galaxy|samsung|iphone|ipad|yahoo|outlook|gmail|meu|saya|meg|shop|iplus|a|the|of|de)"
)
_TAIL = (
    rf"(?:['-]\w{{1,8}})?(?:[ ,]{{1,2}}{_AFTER}){{0,6}}[.!。]?(?:\s?<[^<>\s]{{1,200}}>)?"
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
    forms = (each.replace("D", _BEFORE + _DEVICE) for each in footers())
    return re.compile(rf"(?:{'|'.join(forms)}){_TAIL}")
