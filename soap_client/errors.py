"""The one exception of a failed call."""

#: The reply codes of the service in words.
SENTENCES = {
    6: "Process time exceeded",
    7: "The message is not sent",
    30: "Internal error - Contact technical support",
    40: "API key is disabled",
    50: "API key is not correct",
    60: "API key is missing",
    70: "More than 4 numbers in one request",
    80: "The account does not allow multiple sending",
    99: "The destination country is not reachable at the moment",
    100: "Exceeding the limit of one SMS per minute",
    200: "Message id is missing",
    201: "Message id does not exist",
    202: "Message is already sent",
}

TIMED_OUT = 6
NOT_SENT = 7
INTERNAL = 30
TOO_FAST = 100


class SmsError(Exception):
    """The call failed, or nobody knows whether it did: `code` says which, `sentence` in words.

    Code 6 means that no answer came in time, 30 that the service, or the way to it, failed; the
    outcome is unknown then, and the exception's cause tells more. All others are the service's own.
    """

    def __init__(self, code: int, note: str = "") -> None:
        self.code = code
        self.sentence = SENTENCES.get(code, "Unknown reply code")
        #: More about this very case; may be empty.
        self.note = note
        super().__init__(code, note)

    def __str__(self) -> str:
        if self.code == TOO_FAST and self.note:
            return f"{self.code}: {self.note}"  # it names the limit in the place of the usual one
        return f"{self.code}: {self.sentence}" + (f" ({self.note})" if self.note else "")
