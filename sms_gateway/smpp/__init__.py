"""How an SMSC speaks: SMPP 3.4 as bytes and values. No sockets, no clock, no threads."""
