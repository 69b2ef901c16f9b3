# SPDX-License-Identifier: GPL-2.0-or-later
"""The device-mapper ioctls, as far as tests need them.

Directly and not through dmsetup, for two reasons: the kernel's errno arrives as it is,
and a process less per operation is what makes a scenario quick. Callers: lib.py.
"""

import ctypes
import os
import struct

HEADER = struct.Struct("<3I I I I i I I I Q 128s 129s 7x")
TARGET = struct.Struct("<Q Q i I 16s")
assert HEADER.size == 312 and TARGET.size == 40

REMOVE_ALL, LIST_DEVICES, DEV_CREATE, DEV_REMOVE = 1, 2, 3, 4
DEV_SUSPEND, DEV_STATUS, TABLE_LOAD, TABLE_CLEAR = 6, 7, 9, 10
TABLE_STATUS, TARGET_MSG = 12, 14

READONLY, SUSPEND, STATUS_TABLE, BUFFER_FULL = 1 << 0, 1 << 1, 1 << 4, 1 << 8
SKIP_LOCKFS, NOFLUSH, IMA, DATA_OUT = 1 << 10, 1 << 11, 1 << 19, 1 << 16

BUFFER_BYTES = 64 * 1024
CONTROL = "/dev/mapper/control"
# fcntl.ioctl() would hold all other threads while a resume waits for a held disk
LIBC = ctypes.CDLL(None, use_errno=True)


def _call(command: int, name: str, payload: bytes = b"", flags: int = 0, targets: int = 0,
          buffer_bytes: int = BUFFER_BYTES, uuid: str = "") -> tuple[dict[str, int], bytes]:
    size = max(buffer_bytes, HEADER.size + len(payload) + 1)
    buffer = bytearray(size)
    HEADER.pack_into(buffer, 0, 4, 0, 0, size, HEADER.size, targets, 0, flags, 0, 0, 0,
                     name.encode(), uuid.encode())
    buffer[HEADER.size:HEADER.size + len(payload)] = payload
    control = os.open(CONTROL, os.O_RDWR)
    try:
        request = 3 << 30 | HEADER.size << 16 | 0xFD << 8 | command
        address = (ctypes.c_char * size).from_buffer(buffer)
        if LIBC.ioctl(control, ctypes.c_ulong(request), address) < 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
    finally:
        os.close(control)
    fields = HEADER.unpack_from(buffer)
    header = dict(zip(("data_size", "data_start", "targets", "open_count", "flags", "event_nr"),
                      fields[3:9], strict=True))
    header["minor"] = (fields[10] & 0xFF) | (fields[10] >> 12 & ~0xFF)
    return header, bytes(buffer[header["data_start"]:header["data_size"]])


def _pack_table(lines: str) -> tuple[bytes, int]:
    packed, count = b"", 0
    for line in filter(None, (text.strip() for text in lines.splitlines())):
        start, length, kind, *rest = line.split(" ", 3)
        parameters = (rest[0] if rest else "").encode() + b"\0"
        parameters += bytes(-len(parameters) % 8)
        packed += TARGET.pack(int(start), int(length), 0, TARGET.size + len(parameters),
                              kind.encode()) + parameters
        count += 1
    return packed, count


def create(name: str, uuid: str = "") -> str:
    """A device without a table; its node."""
    return f"/dev/dm-{_call(DEV_CREATE, name, uuid=uuid)[0]['minor']}"


def load(name: str, table: str, read_only: bool = False) -> None:
    packed, count = _pack_table(table)
    _call(TABLE_LOAD, name, packed, READONLY if read_only else 0, count)


def clear(name: str) -> None:
    _call(TABLE_CLEAR, name)


def resume(name: str) -> None:
    _call(DEV_SUSPEND, name)


def suspend(name: str, flush: bool = True, lock_fs: bool = True) -> None:
    _call(DEV_SUSPEND, name, flags=SUSPEND | (0 if flush else NOFLUSH)
          | (0 if lock_fs else SKIP_LOCKFS))


def remove(name: str) -> None:
    _call(DEV_REMOVE, name)


def devices() -> list[str]:
    header, data = _call(LIST_DEVICES, "")
    names: list[str] = []
    at = 0
    while len(data) > at + 12:
        dev, after = struct.unpack_from("<QI", data, at)
        end = data.index(b"\0", at + 12)
        if dev:
            names.append(data[at + 12:end].decode())
        if not after:
            break
        at += after
    return names


def _lines(name: str, flags: int, buffer_bytes: int) -> list[str]:
    header, data = _call(TABLE_STATUS, name, flags=flags, buffer_bytes=buffer_bytes)
    if header["flags"] & BUFFER_FULL:
        raise BufferError(f"the status of {name} is larger than {buffer_bytes} bytes")
    lines, at = [], 0
    for _ in range(header["targets"]):
        start, length, _, after, kind = TARGET.unpack_from(data, at)
        text = data[at + TARGET.size:data.index(b"\0", at + TARGET.size)].decode()
        lines.append(f"{start} {length} {kind.rstrip(bytes(1)).decode()} {text}".rstrip())
        at = after
    return lines


def status(name: str, flush: bool = True, buffer_bytes: int = BUFFER_BYTES) -> list[str]:
    return _lines(name, 0 if flush else NOFLUSH, buffer_bytes)


def table(name: str) -> list[str]:
    return _lines(name, STATUS_TABLE, BUFFER_BYTES)


def ima(name: str) -> list[str]:
    return _lines(name, IMA, BUFFER_BYTES)


def event_nr(name: str) -> int:
    return _call(DEV_STATUS, name)[0]["event_nr"]


INACTIVE_TABLE = 1 << 6    # of flags(): one is loaded that the next resume takes


def flags(name: str) -> int:
    return _call(DEV_STATUS, name)[0]["flags"]


def message(name: str, text: str, sector: int = 0) -> str:
    """Send a message; its reply ("" when there is none)."""
    header, data = _call(TARGET_MSG, name, struct.pack("<Q", sector) + text.encode() + b"\0")
    if not header["flags"] & DATA_OUT:
        return ""
    return data.split(b"\0", 1)[0].decode().rstrip("\n")
