"""The cable between hosts: carries packets, and delays, loses or keeps them as it is told.

`python -m hosts.wire NAME...` makes a TUN device for each name in the network namespace it runs in,
and prints a line. The Nth name is at the address `address(N)`. Each line of JSON on stdin is the
weather from then on, and is answered by a line:

    {"cut": [["db1", "*"], ["worker1", "db2"]], "delay": 40, "jitter": 20, "loss": 0.02}

`cut` are pairs of hosts whose packets are thrown away without a word, as when a cable is pulled;
"*" is everybody. `delay` and `jitter` are milliseconds each way, `loss` is a share of packets.
`slow` are further delays of single hosts. The kernel's netem could do most of it, and is missing
from many kernels.
"""

import fcntl
import heapq
import json
import os
import random
import select
import struct
import sys
import time
from typing import Any

# linux/if_tun.h
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_NETWORK = "10.203.0."
#: Octets of a packet: few packets cost less than many.
MTU = 16_000


def address(number: int) -> str:
    """The IPv4 address of the host with this number, from 1."""
    return f"{_NETWORK}{number}"


def _device(name: str) -> int:
    """The file descriptor of a new TUN device."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return device


class Wire:
    """What happens to a packet from one host to another."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._chance = random.Random(1)
        self.set({})

    def set(self, weather: dict[str, Any]) -> None:
        self.delay = weather.get("delay", 0) / 1_000
        self.jitter = weather.get("jitter", 0) / 1_000
        self.loss = weather.get("loss", 0.0)
        self._slow = {name: ms / 1_000 for name, ms in weather.get("slow", {}).items()}
        self._cut = {frozenset(pair) for pair in weather.get("cut", [])}

    def carried(self, source: int, target: int) -> float | None:
        """Seconds until a packet between hosts with these numbers arrives; None when it is lost."""
        if not (self._cut or self.delay or self.loss or self._slow):
            return 0.0
        ends = self._names[source - 1], self._names[target - 1]
        if any(frozenset(pair) in self._cut for pair in (ends, (ends[0], "*"), (ends[1], "*"))):
            return None
        if self.loss and self._chance.random() < self.loss:
            return None
        spread = self._chance.uniform(0, self.jitter) if self.jitter else 0.0
        return self.delay + spread + max(self._slow.get(name, 0.0) for name in ends)


def carry(names: list[str]) -> None:
    """Carry packets until stdin ends."""
    devices = {number: _device(name) for number, name in enumerate(names, 1)}
    wire = Wire(names)
    print("{}", flush=True)
    poll = select.epoll()
    for device in (*devices.values(), sys.stdin.fileno()):
        poll.register(device, select.EPOLLIN)
    late: list[tuple[float, int, int, bytes]] = []
    count = 0
    while True:
        wait = max(0.0, late[0][0] - time.monotonic()) if late else None
        for ready, _ in poll.poll(wait):
            if ready == sys.stdin.fileno():
                line = sys.stdin.readline()
                if not line:
                    return
                wire.set(json.loads(line))
                print("{}", flush=True)
                continue
            for packet in _packets(ready):
                source, target = packet[15], packet[19]
                if packet[0] >> 4 != 4 or source not in devices or target not in devices:
                    continue
                delay = wire.carried(source, target)
                if delay == 0.0:
                    _write(devices[target], packet)
                elif delay is not None:
                    count += 1
                    heapq.heappush(late, (time.monotonic() + delay, count, target, packet))
        while late and late[0][0] <= time.monotonic():
            _, _, target, packet = heapq.heappop(late)
            _write(devices[target], packet)


def _packets(device: int) -> list[bytes]:
    """What a host has sent; a bounded number, so that all have their turn."""
    found: list[bytes] = []
    try:
        while len(found) < 32:
            found.append(os.read(device, MTU + 100))
    except OSError:
        pass  # nothing more, or the device is down
    return found


def _write(device: int, packet: bytes) -> None:
    try:
        os.write(device, packet)
    except OSError:
        pass  # a full queue loses packets, as any cable does


if __name__ == "__main__":
    carry(sys.argv[1:])
