"""Serves the SOAP face: SOAP 1.1 and 1.2 at one address, through a `Backend`."""

from . import compat as compat
from .transport import PATHS, SoapApp

__all__ = ["PATHS", "SoapApp"]
