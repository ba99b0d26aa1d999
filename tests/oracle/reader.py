"""A reader of boot images, written from docs/image-format.md alone: it shares nothing with the crate `stos-image`.

`verdict` says of the bytes of a file what the document says: either {"facts": ...}, or {"errors": [...]}, all those with which
a reader may stop there. It is one, but for the broken rules of one step and for a payload with several faults.
"""

import hashlib

import rules
import wire

PAGE = 4096
BLOCK = 65536
MAGIC = b"STOSIMG\0"
SYMBOLS_BIT, INPUTS_BIT = 1, 2

# Name, offset and size in the header section.
FIELDS = {
    "magic": (0, 8),
    "format_version": (8, 4),
    "header_size": (12, 4),
    "incompatible_features": (16, 8),
    "compatible_features": (24, 8),
    "image_id": (32, 32),
    "file_size": (64, 8),
    "metadata_size": (72, 8),
    "symbols_size": (80, 8),
    "payload_size": (88, 8),
    "block_size": (96, 4),
    "reserved0": (100, 4),
    "metadata_digest": (104, 32),
    "symbols_digest": (136, 32),
    "block_digests_digest": (168, 32),
    "inputs_size": (200, 8),
    "inputs_digest": (208, 32),
    "reserved1": (240, 16),
}

LIMITS = {"metadata_size": 1 << 24, "symbols_size": 1 << 26, "inputs_size": 1 << 28, "payload_size": 1 << 32}


# An input of more bytes is not put together: it may be all of guest memory.
LARGEST_INPUT = 1 << 24


class Refused(Exception):
    """The errors of which a reader may give any one."""

    def __init__(self, *errors):
        self.errors = list(errors)


def refused(kind, **values):
    return Refused({"kind": kind, **values})


def sha256(data):
    return hashlib.sha256(data).digest()


def up(size):
    return -(-size // PAGE) * PAGE


def image_id(header):
    return sha256(header[:32] + bytes(32) + header[64:])


def number(header, field):
    at, size = FIELDS[field]
    return int.from_bytes(header[at : at + size], "little")


def digest(header, field):
    at, size = FIELDS[field]
    return header[at : at + size]


def sections(header):
    """The sections after the header: name, start and size without padding."""
    sizes = {name: number(header, f"{name}_size") for name in ("metadata", "symbols", "inputs")}
    payload = number(header, "payload_size")
    sizes["block digests"] = -(-payload // BLOCK) * 32
    sizes["payload"] = payload
    places = {}
    at = PAGE
    for name, size in sizes.items():
        places[name] = (at, size)
        at = up(at + size)
    return places


def first_byte(data, at):
    """The offset of the first byte that is not zero, from `at` on."""
    return at + len(data) - len(data.lstrip(b"\0"))


def check_header(file):
    header = file[:PAGE]
    if not file:
        raise refused("Empty")
    if not MAGIC.startswith(header[:8]):
        raise refused("Magic", found=list(header[:8]))
    if len(header) < PAGE:
        raise refused("Truncated", section="header", end=PAGE, file=len(file))
    if number(header, "format_version") != 1:
        raise refused("Version", found=number(header, "format_version"))
    if number(header, "incompatible_features"):
        raise refused("IncompatibleFeatures", bits=number(header, "incompatible_features"))
    if image_id(header) != digest(header, "image_id"):
        raise refused("HeaderDamaged")
    if any(header[256:]):
        raise refused("Padding", section="header", offset=first_byte(header[256:], 256))
    for field, value in (("header_size", 256), ("block_size", BLOCK), ("reserved0", 0), ("reserved1", 0)):
        if number(header, field) != value:
            raise refused("HeaderField", field=field)
    for field, limit in LIMITS.items():
        if number(header, field) > limit:
            raise refused("SectionTooLarge", field=field, value=number(header, field), limit=limit)
    for section, bit in (("symbols", SYMBOLS_BIT), ("inputs", INPUTS_BIT)):
        size, there = number(header, f"{section}_size"), bool(number(header, "compatible_features") & bit)
        if there != (size > 0):
            raise refused("SectionFeature", section=section, present=there, size=size)
    if number(header, "payload_size") % PAGE:
        raise refused("HeaderField", field="payload_size")
    start, size = sections(header)["payload"]
    if number(header, "file_size") != start + size:
        raise refused("HeaderField", field="file_size")
    return header


def read_sections(file, header):
    places = sections(header)
    data = {}
    for name in ("metadata", "symbols", "inputs", "block digests"):
        start, size = places[name]
        stop = up(start + size)
        if len(file) < stop:
            raise refused("Truncated", section=name, end=stop, file=len(file))
        data[name] = file[start : start + size]
        if sha256(data[name]) != digest(header, f"{name.replace(' ', '_')}_digest"):
            raise refused("SectionDamaged", section=name)
        padding = file[start + size : stop]
        if any(padding):
            raise refused("Padding", section=name, offset=first_byte(padding, start + size))
    return data


def decode(section, type, data):
    try:
        return wire.decode(type, data)[0]
    except wire.Encoding:
        raise refused("Encoding", section=section) from None


def keep_rules(fields):
    if fields:
        raise Refused(*({"kind": "Metadata", "field": field} for field in fields))


def pages(extents):
    """The address of each page of the payload."""
    for extent in extents:
        yield from range(extent["start"], extent["start"] + extent["size"], PAGE)


def check_payload(file, header, digests, metadata):
    start, size = sections(header)["payload"]
    stop = start + size
    errors = []
    for index, at in enumerate(range(start, stop, BLOCK)):
        block = file[at : min(at + BLOCK, stop)]
        if at + len(block) < min(at + BLOCK, stop):
            break
        if sha256(block) != digests[32 * index : 32 * index + 32]:
            regions = regions_of(metadata, at - start, len(block))
            errors.append({"kind": "BlockDamaged", "block": index, "offset": at, "size": len(block), "regions": regions})
    for offset, address in zip(range(start, stop, PAGE), pages(metadata["extents"])):
        page = file[offset : offset + PAGE]
        if len(page) == PAGE and not any(page):
            errors.append({"kind": "ZeroPage", "address": address})
    if len(file) < stop:
        errors.append({"kind": "Truncated", "section": "payload", "end": stop, "file": len(file)})
    if errors:
        raise Refused(*errors)
    if len(file) > stop:
        raise refused("TrailingBytes", end=stop)


def regions_of(metadata, offset, size):
    """The different names of the regions that own bytes of a piece of the payload, in the order of addresses."""
    touched = set()
    at = 0
    for extent in metadata["extents"]:
        first, last = max(offset, at), min(offset + size, at + extent["size"])
        if first < last:
            low, high = extent["start"] + first - at, extent["start"] + last - at
            for n, region in enumerate(metadata["regions"]):
                if region["range"]["start"] < high and rules.end(region["range"]) > low:
                    touched.add(n)
        at += extent["size"]
    return list(dict.fromkeys(metadata["regions"][n]["name"] for n in sorted(touched)))


def memory_bytes(payload, extents, start, size):
    """What guest memory holds at entry."""
    content = bytearray(size)
    at = 0
    for extent in extents:
        first, last = max(start, extent["start"]), min(start + size, rules.end(extent))
        if first < last:
            offset = at + first - extent["start"]
            content[first - start : last - start] = payload[offset : offset + last - first]
        at += extent["size"]
    return bytes(content)


def content_of(item, payload, extents, kept):
    parts = []
    for part in item["content"]:
        if part["variant"] == "kept":
            parts.append(kept[part["offset"] : part["offset"] + part["size"]])
        else:
            parts.append(memory_bytes(payload, extents, part["start"], part["size"]))
    return b"".join(parts)


def listed(rows):
    """A digest over rows, one a line, with a space between two values of a row."""
    return sha256("".join(" ".join(map(str, row.values())) + "\n" for row in rows).encode()).hex()


def facts(file, header, data, metadata, symbols):
    start, size = sections(header)["payload"]
    payload = file[start : start + size]
    inputs = []
    for item in metadata["inputs"]:
        whole = None
        if item["size"] <= LARGEST_INPUT:
            whole = sha256(content_of(item, payload, metadata["extents"], data["inputs"])) == item["digest"]
        inputs.append({**item, "digest": item["digest"].hex(), "whole": whole})
    return {
        "id": digest(header, "image_id").hex(),
        "payload": sha256(payload).hex(),
        **metadata,
        "inputs": inputs,
        "symbols": [len(symbols["symbols"]), listed(symbols["symbols"])],
        "files": symbols["files"],
        "lines": [len(symbols["lines"]), listed(symbols["lines"])],
    }


def read(file):
    header = check_header(file)
    data = read_sections(file, header)
    metadata = decode("metadata", wire.METADATA, data["metadata"])
    keep_rules(rules.of_metadata(metadata, number(header, "payload_size"), len(data["inputs"])))
    symbols = {"symbols": [], "files": [], "lines": []}
    if number(header, "compatible_features") & SYMBOLS_BIT:
        symbols = decode("symbols", wire.SYMBOLS, data["symbols"])
        modules = sum(region["kind"] == "module" for region in metadata["regions"])
        keep_rules(rules.of_symbols(symbols, modules))
    check_payload(file, header, data["block digests"], metadata)
    return facts(file, header, data, metadata, symbols)


def verdict(file):
    try:
        return {"facts": read(file)}
    except Refused as refusal:
        return {"errors": refusal.errors}
