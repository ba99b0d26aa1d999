"""Puts images together, right ones and wrong ones: every digest is made right last, whatever stands in the rest."""

import reader
import wire
from reader import BLOCK, FIELDS, PAGE, sha256, up

SEGMENT = {"selector": 0, "base": 0, "limit": 0, "access": 0}


class Draft:
    """An image before its digests are made. `header` holds the fields that are not to be what they should be."""

    def __init__(self, metadata, symbols=None, inputs=b"", payload=b"", header=None):
        self.metadata = metadata
        self.symbols = symbols or b""
        self.inputs = inputs
        self.payload = payload
        self.header = header or {}
        # Bytes that are put where the padding is or a digest, before the digests over them are made: offset and byte.
        self.padding = []
        self.digests = []

    def file(self):
        digests = bytearray(b"".join(sha256(self.payload[at : at + BLOCK]) for at in range(0, len(self.payload), BLOCK)))
        for at, byte in self.digests:
            if at < len(digests):
                digests[at] ^= byte
        parts = (self.metadata, self.symbols, self.inputs, bytes(digests), self.payload)
        body = bytearray()
        for part in parts:
            body += part + bytes(up(len(part)) - len(part) if part is not self.payload else 0)
        fields = {
            "magic": reader.MAGIC,
            "format_version": 1,
            "header_size": 256,
            "compatible_features": (1 if self.symbols else 0) | (2 if self.inputs else 0),
            "file_size": PAGE + len(body),
            "metadata_size": len(self.metadata),
            "symbols_size": len(self.symbols),
            "payload_size": len(self.payload),
            "block_size": BLOCK,
            "metadata_digest": sha256(self.metadata),
            "symbols_digest": sha256(self.symbols),
            "block_digests_digest": sha256(digests),
            "inputs_size": len(self.inputs),
            "inputs_digest": sha256(self.inputs),
            **self.header,
        }
        header = bytearray(PAGE)
        for field, value in fields.items():
            at, size = FIELDS[field]
            header[at : at + size] = value if isinstance(value, bytes) else value.to_bytes(size, "little")
        file = header + body
        for at, byte in self.padding:
            if at < len(file):
                file[at] ^= byte
        return bytes(sealed(file))


def sealed(file):
    """The file with the image id that it should have."""
    file = bytearray(file)
    file[32:64] = reader.image_id(bytes(file[:PAGE]))
    return file


def draft_of(file):
    """The draft of a right image."""
    header = file[:PAGE]
    places = reader.sections(header)
    metadata, symbols, inputs, payload = (
        file[start : start + size] for start, size in (places[name] for name in ("metadata", "symbols", "inputs", "payload"))
    )
    return Draft(metadata, symbols, inputs, payload)


def entry():
    """What the small image of the document is entered with."""
    segments = {name: dict(SEGMENT) for name in wire.SEGMENTS}
    segments["cs"] = {"selector": 8, "base": 0, "limit": 0xFFFF_FFFF, "access": 0xC09B}
    segments["tr"] = {"selector": 0x18, "base": 0, "limit": 0x67, "access": 0x8B}
    table = {"base": 0, "limit": 0}
    general = dict.fromkeys(wire.GENERAL, 0)
    control = {"eip": 0x1000, "eflags": 2, "cr0": 0x11, "cr3": 0, "cr4": 0}
    return {"general": general, **control, "gdtr": table, "idtr": dict(table), "segments": segments}


def small():
    """The metadata and the payload of the document's small image."""
    metadata = {
        "name": "x",
        "protocol": "none",
        "profile": None,
        "memory_size": 0x10_0000,
        "memory_map": [],
        "regions": [],
        "entry": entry(),
        "fault_catcher": None,
        "run": {"timeout_ms": None, "expect": [], "exit_port": 0xF4},
        "inputs": [],
        "manifest": "",
        "extents": [{"start": 0x1000, "size": 0x1000}],
    }
    return metadata, b"\xf4" + bytes(0xFFF)


def small_image():
    metadata, payload = small()
    return Draft(wire.METADATA.write(metadata), payload=payload).file()


def rich_image():
    """An image that has some of everything and is small all the same."""
    metadata, _ = small()
    payload = b"".join(bytes([n + 1]) * PAGE for n in range(40))
    first, second, third = payload[:0x1800] + b"head", b"tail" + bytes(0x300), b""
    contents = [
        [memory(0x1000, 0x1800), kept(0, 4)],
        [kept(4, 4), memory(0x60_0000, 0x300)],
        [],
        [memory(0x4000, 0x10), memory(0x4020, 0x10), kept(8, 3), memory(0x4FFF, 2)],
    ]
    fourth = payload[0x3000:0x3010] + payload[0x3020:0x3030] + b"end" + payload[0x3FFF:0x4001]
    names = [("kernel", "kernel.elf"), ("modules[0]", "a/b.txt"), ("modules[1]", "empty"), ("initramfs", "root.cpio")]
    files = zip(names, (first, second, third, fourth), contents)
    metadata.update(
        profile="debug",
        memory_size=0x100_0000,
        memory_map=[
            {"range": {"start": 0, "size": 0x9_FC00}, "kind": "available"},
            {"range": {"start": 0x9_F000, "size": 0x6_1000}, "kind": "reserved"},
            {"range": {"start": 0xFFFC_0000, "size": 0x4_0000}, "kind": "reserved"},
        ],
        regions=[
            region(0x1000, 0x1800, "kernel", 5, "kernel .text"),
            region(0x2800, 0x800, "kernel", 6, "kernel .data"),
            region(0x3000, 0x2000, "module", 4, "module b.txt"),
            region(0x6_0000, 0x1_0000, "stack", 6, "stack é"),
            region(0x60_0000, 0x1000, "module", 4, "module empty"),
        ],
        fault_catcher={"record": 0x6_0000, "port": 0x5F4},
        run={"timeout_ms": 5000, "expect": ["^ready$", "done|gone"], "exit_port": 0xF4},
        inputs=[
            {"key": key, "path": path, "size": len(data), "digest": sha256(data), "content": content}
            for (key, path), data, content in files
        ],
        manifest="kernel: kernel.elf\n",
        extents=[{"start": 0x1000, "size": 0x8000}, {"start": 0xA000, "size": 0x1000}, {"start": 0x10_0000, "size": 0x1_F000}],
    )
    symbols = {
        "symbols": [
            symbol(0x1000, 0x40, 0, "_start"),
            symbol(0x1000, 0x40, 0, "start"),
            symbol(0x1000, 0x40, 1, "start"),
            symbol(0x1800, 0, 2, "end"),
            symbol(0xFFFF_F000, 0x2000, 0, "top"),
        ],
        "files": ["start.S", "main.c"],
        "lines": [
            {"address": 0x1000, "file": 0, "line": 3},
            {"address": 0x1004, "file": 1, "line": 9},
            {"address": 0x1008, "file": 0, "line": 0},
            {"address": 0x1010, "file": 1, "line": 9},
        ],
    }
    return Draft(wire.METADATA.write(metadata), wire.SYMBOLS.write(symbols), b"headtailend", payload).file()


def memory(start, size):
    return {"variant": "memory", "start": start, "size": size}


def kept(offset, size):
    return {"variant": "kept", "offset": offset, "size": size}


def region(start, size, kind, permissions, name):
    return {"range": {"start": start, "size": size}, "kind": kind, "permissions": permissions, "name": name}


def symbol(address, size, module, name):
    return {"address": address, "size": size, "module": module, "name": name}
