"""Refuses encrypted mails and files written as letters, whose text would be armour."""

import re

from .unreadable import UnreadableMailError

_TYPES = {
    "multipart/encrypted": "the mail is encrypted",  # RFC 1847 §2.2
    "application/pgp-encrypted": "the mail is encrypted (PGP)",  # RFC 3156 §4
    "application/pgp": "the mail is encrypted or signed with PGP in a form of the past",
    "application/x-pgp-message": "the mail is encrypted (PGP)",
    "application/pkcs7-mime": "the mail is encrypted (S/MIME)",  # RFC 8551 §3
    "application/x-pkcs7-mime": "the mail is encrypted (S/MIME)",
    # Microsoft's rights management writes this type; a text beside it says so.
    "application/x-microsoft-rpmsg-message": "the mail is encrypted (Microsoft)",
}
_SIGNED = {"signed-data", "compressed-data", "authenveloped-data", "authenticated-data"}
_HELP = "; send it without encryption, and signed only as multipart/signed"

# RFC 9580 §6.2, RFC 7468 §2; what uuencode (POSIX) and yEnc write.
_ARMOUR = (
    (
        re.compile(r"-----BEGIN PGP [A-Z ,0-9/]{3,40}-----"),
        "the text is encrypted or signed inline (PGP)",
    ),
    (
        re.compile(
            r"-----BEGIN (?:PKCS7|CMS|ENCRYPTED [A-Z ]{3,30}|(?:X509 |TRUSTED )?CERTIFICATE)-----"
        ),
        "the text is encrypted or signed inline (S/MIME)",
    ),
    (re.compile(r"=ybegin (?:part=\d+ )?(?:total=\d+ )?line=\d+ .*"), "the text is a file (yEnc)"),
)
_UUENCODED = re.compile(r"begin [0-7]{3,4} \S.*")
_UU_LINE = re.compile(r"M[ -`]{60}|[ -`]{2,61}")


def refuse_encrypted(type: str, smime_type: str) -> None:
    """Raise UnreadableMailError for a part that holds a text nobody here can read."""
    problem = _TYPES.get(type)
    smime = smime_type.strip().lower()
    if problem is None or smime == "certs-only":
        return
    if smime in _SIGNED:
        problem = "the text of the mail is inside its signature (S/MIME)"
    raise UnreadableMailError(problem + _HELP)


def refuse_armour(text: str) -> None:
    """Raise UnreadableMailError for armour, and for a file that is written as letters."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if line.startswith("-----BEGIN ") or line.startswith("=ybegin "):
            for form, problem in _ARMOUR:
                if form.fullmatch(line.strip()):
                    raise UnreadableMailError(problem + _HELP)
        elif line.startswith("begin ") and _UUENCODED.fullmatch(line):
            following = lines[number + 1 : number + 2]
            if following and len(following[0]) > 2 and _is_uuencoded(following[0]):
                raise UnreadableMailError(
                    "the text has a file in it (uuencode); attach the file instead"
                )


def _is_uuencoded(line: str) -> bool:
    """Whether a line has as many characters as its first says (POSIX uuencode)."""
    octets = (ord(line[0]) - 32) & 63
    return _UU_LINE.fullmatch(line) is not None and len(line) - 1 in (
        -(-octets // 3) * 4,
        -(-octets * 4 // 3),
    )
