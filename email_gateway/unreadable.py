"""Why a mail cannot become an SMS."""

from sms_gateway.errors import GatewayError


class UnreadableMailError(GatewayError):
    """No text can be had from the mail; the message says why, in words for its sender."""
