"""The published contract, sendSmsNow.wsdl, as package data."""

from pathlib import Path

#: The WSDL as it is checked in; its address is that of a local server.
PATH = Path(__file__).with_name("sendSmsNow.wsdl")
