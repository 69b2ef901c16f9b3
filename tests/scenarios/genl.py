# SPDX-License-Identifier: GPL-2.0-or-later
"""The generic netlink family "dm_remap" as raw sockets see it: events and dumps.

Written from the headers in common/ alone, so that the kernel and the library are not tested
against each other only. Callers: test_netlink.py.
"""

import os
import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

COMMON = Path(__file__).resolve().parents[2] / "common"
NETLINK_GENERIC, SOL_NETLINK, ADD_MEMBERSHIP = 16, 270, 1
NLM_F_REQUEST, NLM_F_DUMP = 1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
GENL_ID_CTRL, CTRL_CMD_GETFAMILY = 16, 3
CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, CTRL_ATTR_MCAST_GROUPS = 1, 2, 7
CTRL_ATTR_MCAST_GRP_NAME, CTRL_ATTR_MCAST_GRP_ID = 1, 2

Message = dict[str, Any]


def _enum(name: str) -> dict[str, int]:
    """The numbers of an enum without explicit values, as the header lists them."""
    body = re.search(rf"enum {name} \{{(.*?)/\* private", (COMMON / "dm_remap.h").read_text(), re.S)
    assert body, name
    words = []
    for line in body[1].splitlines():
        if line.startswith("#include"):
            words += ["DM_REMAP_A_" + row for row in re.findall(
                r"^[A-Z_]+\(([A-Z_]+)", (COMMON / "dm_remap_counters.h").read_text(), re.M)]
        elif not line.startswith("#"):
            words += re.findall(r"\b(DM_REMAP_\w+)", line)
    return {word: number for number, word in enumerate(words)}


ATTRIBUTES = {number: name.removeprefix("DM_REMAP_A_").lower()
              for name, number in _enum("dm_remap_attr").items()}
NUMBER_OF = {name: number for number, name in ATTRIBUTES.items()}
COMMANDS = {name.removeprefix("DM_REMAP_CMD_").lower(): number
            for name, number in _enum("dm_remap_cmd").items()}
EVENTS = {number: name.removeprefix("DM_REMAP_EVENT_").lower()
          for name, number in _enum("dm_remap_event").items()}


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("<HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 4:
        length, kind = struct.unpack_from("<HH", data)
        assert 4 <= length <= len(data)
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3:]


def _decode(data: bytes) -> Message:
    message: Message = {}
    for kind, value in _attributes(data):
        name = ATTRIBUTES[kind]
        if name in ("name", "mode", "old_mode"):
            message[name] = value.rstrip(b"\0").decode()
        elif name == "uuid":
            message[name] = value
        elif name != "pad":
            message[name] = int.from_bytes(value, "little")
    if "event" in message:
        message["event"] = EVENTS[message["event"]]
    return message


class Genl:
    """One socket."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_GENERIC)
        self._socket.bind((0, 0))
        self._socket.settimeout(20)
        answer = next(self._request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY,
                                    _attribute(CTRL_ATTR_FAMILY_NAME, b"dm_remap\0")))
        fields = dict(_attributes(answer))
        self.family = int.from_bytes(fields[CTRL_ATTR_FAMILY_ID], "little")
        self.groups = {}
        for _, group in _attributes(fields[CTRL_ATTR_MCAST_GROUPS]):
            inside = dict(_attributes(group))
            self.groups[inside[CTRL_ATTR_MCAST_GRP_NAME].rstrip(b"\0").decode()] = \
                int.from_bytes(inside[CTRL_ATTR_MCAST_GRP_ID], "little")

    def close(self) -> None:
        self._socket.close()

    def receive_buffer(self, nr_bytes: int) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, nr_bytes)

    def _messages(self) -> Iterator[tuple[int, bytes]]:
        data = self._socket.recv(1 << 17)
        while len(data) >= 16:
            length, kind = struct.unpack_from("<IH", data)
            yield kind, data[16:length]
            data = data[(length + 3) & ~3:]

    def _request(self, family: int, command: int, attributes: bytes = b"",
                 flags: int = 0) -> Iterator[bytes]:
        payload = struct.pack("<BBH", command, 1, 0) + attributes
        self._socket.send(struct.pack("<IHHII", 16 + len(payload), family,
                                      NLM_F_REQUEST | flags, 1, 0) + payload)
        while True:
            for kind, data in self._messages():
                if kind == NLMSG_ERROR:
                    error = -struct.unpack_from("<i", data)[0]
                    raise OSError(error, os.strerror(error))
                if kind == NLMSG_DONE:
                    error = -struct.unpack_from("<i", data)[0] if len(data) >= 4 else 0
                    if error > 0:
                        raise OSError(error, os.strerror(error))
                    return
                yield data[4:]
                if not flags & NLM_F_DUMP:
                    return

    def dump(self, command: str, **attributes: int | bytes) -> list[Message]:
        packed = b"".join(_attribute(NUMBER_OF[name], value if isinstance(value, bytes) else
                                     struct.pack("<I", value))
                          for name, value in attributes.items())
        return [_decode(data) for data in
                self._request(self.family, COMMANDS[command], packed, NLM_F_DUMP)]

    def join(self) -> None:
        self._socket.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, self.groups["events"])

    def events(self) -> list[Message]:
        """What has come so far; waits for the first."""
        found = [_decode(data[4:]) for kind, data in self._messages() if kind == self.family]
        self._socket.setblocking(False)
        try:
            while True:
                found += [_decode(data[4:]) for kind, data in self._messages()
                          if kind == self.family]
        except BlockingIOError:
            return found
        finally:
            self._socket.settimeout(20)

    def wait_for(self, event: str) -> list[Message]:
        """All events up to the first of kind EVENT."""
        found: list[Message] = []
        while not any(message["event"] == event for message in found):
            found += self.events()
        return found
