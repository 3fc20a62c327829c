"""The name server of the hosts: `python -m hosts.names NAME=ADDRESS...` answers for `NAME.lab`."""

import socket
import struct
import sys

ZONE = "lab"
# RFC 1035, section 4: the header's flags, types and classes.
_ANSWER, _NO_SUCH_NAME = 0x8580, 0x8583
_A, _IN = 1, 1


def answer(query: bytes, addresses: dict[str, str]) -> bytes:
    """The answer to a query of one question."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii"))
        at += 1 + query[at]
    question = query[12 : at + 5]
    (kind,) = struct.unpack_from("!H", query, at + 1)
    address = addresses.get(".".join(labels).lower())
    records = b""
    if address is not None and kind == _A:
        # The name is the question's (section 4.1.4); nobody keeps the answer.
        records = struct.pack("!HHHIH", 0xC00C, _A, _IN, 0, 4) + socket.inet_aton(address)
    flags = _NO_SUCH_NAME if address is None else _ANSWER
    return query[:2] + struct.pack("!HHHHH", flags, 1, bool(records), 0, 0) + question + records


def serve(addresses: dict[str, str]) -> None:
    """Answer until killed."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("", 53))
        while True:
            query, peer = server.recvfrom(512)
            server.sendto(answer(query, addresses), peer)


if __name__ == "__main__":
    pairs = (pair.split("=") for pair in sys.argv[1:])
    serve({f"{name}.{ZONE}": address for name, address in pairs})
