"""Images at the edge of every rule and one beyond it: what mutants reach seldom or never."""

import rules
import wire
import writer
from mutants import NOT_TEXT, TEXTS, Parts
from reader import BLOCK, FIELDS, LIMITS, PAGE

PORT_EDGES = sorted({port + step for pair in rules.TAKEN for port in pair for step in (-4, -3, -1, 0, 1) if port + step >= 0})

# A field of the metadata, and the values that are tried there.
VALUES = {
    "memory_size": [0, 0xFF000, 0x10_0000, 0x10_0001, 0x11_F000, 0xE000_0000, 0xE000_1000, 1 << 63, (1 << 64) - PAGE],
    "memory_map.0.range.start": [4 * rules.GIB - 0x9_FC00, 4 * rules.GIB - 0x9_FBFF, (1 << 64) - 1],
    "memory_map.0.range.size": [0, 1, 4 * rules.GIB, 4 * rules.GIB + 1, (1 << 64) - 1],
    "regions.0.permissions": [0, 7, 8, 255],
    "regions.0.range.size": [0, 1, 0x1800, 0x1801, (1 << 64) - 0x1000],
    "regions.4.range.size": [0xA0_0000, 0xA0_0001],
    "extents.0.size": [0, 0x7000, 0x8FFF, 0x9000, (1 << 64) - 0x1000],
    "extents.0.start": [0, 0x800, 0x2000],
    "extents.2.start": [0xB000, 0xC000, 0xFE_1000, 0xFE_2000],
    "entry.cr3": [0, 0xFF_FFFF, 0x100_0000, 0xFFFF_FFFF],
    "fault_catcher.record": [0, 0xFF_FF80, 0xFF_FF81, (1 << 64) - 128, (1 << 64) - 1],
    "fault_catcher.port": [*PORT_EDGES, 0x5F3, 0x5F5, 0xF3, 0xF4, 0xF7, 0xF8, 0xFFFF],
    "run.exit_port": [*PORT_EDGES, 0xFFFC, 0xFFFD, 0xFFFF],
    "run.timeout_ms": [None, 0, 1, 86_400_000, 86_400_001, (1 << 64) - 1],
    "inputs.0.size": [0, 0x1803, 4 * rules.GIB, (1 << 64) - 1],
    "inputs.0.content.0.size": [0, (1 << 64) - 1],
    "inputs.0.content.0.start": [0, 0xFF_E800, 0xFF_E801, (1 << 64) - 1],
    "inputs.0.content.1.offset": [1, (1 << 64) - 1],
    "inputs.3.content.1.start": [0x4010, 0x4011, 0x400F],
    "inputs.3.content.2.size": [2, 4],
    "symbols.symbols.0.module": [0, 1, 2, 3, 0xFFFF_FFFF],
    "symbols.symbols.0.address": [0x1001, 0],
    "symbols.symbols.0.size": [0xFFFF_FFFF],
    "symbols.symbols.3.name": ["start"],
    "symbols.files": [[], ["start.S"], ["main.c", "start.S"], ["start.S", "start.S"], ["start.S", "main.c", "more.c"]],
    "symbols.lines.0.line": [0],
    "symbols.lines.1.file": [0, 2, 0xFFFF_FFFF],
    "symbols.lines.1.address": [0x1000, 0x1008],
    "symbols.lines.2.file": [1, 2],
    "symbols.lines.3": [{"address": 0x1010, "file": 0, "line": 0}],
}

TEXT_FIELDS = ["name", "protocol", "profile", "regions.3.name", "run.expect.0", "inputs.1.key", "inputs.1.path", "manifest"]
TEXT_FIELDS += ["symbols.symbols.4.name", "symbols.files.1"]


def rich():
    return Parts(writer.rich_image())


def put(parts, path, value):
    *way, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    place = parts.metadata
    if way and way[0] == "symbols" or last == "symbols":
        place, way = parts.symbols, way[1:]
    for key in way:
        place = place[key]
    place[last] = value


def written(parts):
    parts.write()
    return parts.draft.file()


def values():
    for path, tried in VALUES.items():
        for value in tried:
            parts = rich()
            put(parts, path, value)
            yield f"{path} = {value!a}", written(parts)
    for path in TEXT_FIELDS:
        for text in [*TEXTS, "a" * 4095, "a/" + "a" * 4096, *characters()]:
            parts = rich()
            put(parts, path, text)
            yield f"{path} = {text[:20]!a}", written(parts)


def characters():
    """Text with the characters at the edges of what is hidden."""
    for first, last in rules.HIDDEN:
        for code in {first - 1, first, last, last + 1}:
            if code >= 0:
                yield f"a{chr(code)}b"


def registers():
    """Each bit of the registers that have rules, and the limits of segments."""
    for register in ("cr0", "cr4", "eflags"):
        for bit in range(32):
            parts = rich()
            parts.metadata["entry"][register] ^= 1 << bit
            yield f"{register} with bit {bit} turned", written(parts)
    for cache in (0x2000_0011, 0x4000_0011, 0x6000_0011):
        parts = rich()
        parts.metadata["entry"]["cr0"] = cache
        yield f"cr0 = {cache:#x}", written(parts)
    for name in wire.SEGMENTS:
        for bit in range(16):
            parts = rich()
            parts.metadata["entry"]["segments"][name]["access"] ^= 1 << bit
            yield f"access of {name} with bit {bit} turned", written(parts)
        for granular in (0, 0x8000):
            for limit in (0, 0x66, 0x67, 0xFFE, 0xFFF, 0x1000, 0xF_FFFF, 0x10_0000, 0x10_0FFF, 0xFFFF_EFFF, 0xFFFF_FFFF):
                parts = rich()
                segment = parts.metadata["entry"]["segments"][name]
                segment["access"] = segment["access"] & 0x7FFF | granular
                segment["limit"] = limit
                yield f"limit of {name} = {limit:#x}, G {bool(granular)}", written(parts)
    for selector in (0, 4, 0xFFFB, 0xFFFF):
        parts = rich()
        parts.metadata["entry"]["segments"]["tr"]["selector"] = selector
        yield f"selector of tr = {selector:#x}", written(parts)


def counts():
    """Lists as long as they may be, and one longer."""
    for more in (0, 1):
        parts = rich()
        parts.metadata["memory_map"] = parts.metadata["memory_map"][:1] * (65536 + more)
        yield f"65536 + {more} ranges of the memory map", written(parts)
        parts = rich()
        parts.metadata["regions"] = [writer.region(n, 1, "kernel", 0, "r") for n in range(65536 + more)]
        parts.symbols["symbols"] = parts.symbols["symbols"][:1]
        yield f"65536 + {more} regions", written(parts)
        parts = rich()
        parts.metadata["run"]["expect"] = ["x"] * (64 + more)
        yield f"64 + {more} expressions", written(parts)
        parts = rich()
        parts.metadata["manifest"] = "\n" * (rules.MIB + more)
        yield f"a manifest of 1 MiB + {more}", written(parts)
        parts = rich()
        parts.metadata["inputs"] += [parts.metadata["inputs"][2]] * (4092 + more)
        yield f"4096 + {more} inputs", written(parts)
        parts = rich()
        parts.symbols["files"] = [str(n) for n in range(65536 + more)]
        parts.symbols["lines"] = [{"address": n, "file": n, "line": 1} for n in range(65536 + more)]
        yield f"65536 + {more} files", written(parts)
        parts = rich()
        part = writer.memory(0, 0x100_0000)
        parts.metadata["inputs"] = [
            {"key": "x", "path": "x", "size": 256 * 0x100_0000 + more, "digest": bytes(32), "content": [part] * 256}
        ]
        if more:
            parts.metadata["inputs"][0]["content"].append(writer.memory(7, 1))
        parts.draft.inputs = b""
        yield f"inputs of 4 GiB + {more}", written(parts)


def encodings():
    """Values that are no values."""
    for section, type in (("metadata", wire.METADATA), ("symbols", wire.SYMBOLS)):
        data = getattr(rich().draft, section)
        for path, at, leaf in wire.decode(type, data)[1]:
            wrong = {
                wire.Option: [(b"\x02", 1), (b"\xff", 1)],
                wire.Enum: [(wire.U32.write(len(getattr(leaf, "names", ()))), 4), (b"\xff" * 4, 4)],
                wire.Union: [(wire.U32.write(2), 4), (b"\0\0\0\1", 4)],
                wire.Vec: [(wire.U64.write(1 << 40), 8), (b"\xff" * 8, 8)],
                wire.Text: [(wire.U64.write(1 << 40), 8), (b"\xff" * 8, 8)],
            }
            for new, size in wrong.get(leaf.__class__, []):
                parts = rich()
                setattr(parts.draft, section, data[:at] + new + data[at + size :])
                yield f"{section}: {path} of {new.hex()}", parts.draft.file()
        for size in range(0, len(data), 7):
            parts = rich()
            setattr(parts.draft, section, data[:size])
            yield f"{section} of {size} bytes", parts.draft.file()
        for more in (b"\0", b"\0" * PAGE, b"x"):
            parts = rich()
            setattr(parts.draft, section, data + more)
            yield f"{section} with {len(more)} bytes more", parts.draft.file()
    at = next(at for path, at, _ in wire.decode(wire.METADATA, rich().draft.metadata)[1] if path == "name")
    for wrong in NOT_TEXT:
        parts = rich()
        data = parts.draft.metadata
        parts.draft.metadata = data[:at] + wire.U64.write(len(wrong)) + wrong + data[at + 9 :]
        yield f"name of {wrong.hex()}", parts.draft.file()
    parts = rich()
    parts.symbols.update(symbols=[], files=[], lines=[])
    yield "no symbols in the section for them", written(parts)
    parts.symbols.update(files=["x"])
    yield "only a file in the section for symbols", written(parts)
    for left in ("symbols", "lines"):
        parts = rich()
        parts.symbols.update(files=[], lines=[]) if left == "symbols" else parts.symbols.update(symbols=[])
        yield f"only {left}", written(parts)


def headers():
    """Each field of the header at its edges, one fault at a time and two."""
    for field, (at, size) in FIELDS.items():
        if field in ("image_id", "magic"):
            continue
        sound = writer.rich_image()
        old = int.from_bytes(sound[at : at + size], "little")
        tried = {0, 1, old ^ 1, old ^ 1 << 8 * size - 1, (1 << 8 * size) - 1, old + PAGE, old - PAGE}
        tried |= {LIMITS[field] + step for step in (0, 1)} if field in LIMITS else set()
        for new in sorted(tried):
            if 0 <= new < 1 << 8 * size:
                parts = rich()
                parts.draft.header[field] = new
                yield f"{field} = {new:#x}", parts.draft.file()
    # Of two faults the one that a reader comes to first.
    faults = [("format_version", 2), ("incompatible_features", 1), ("header_size", 0), ("block_size", 1), ("reserved0", 1)]
    faults += [("reserved1", 1), ("metadata_size", 1 << 40), ("symbols_size", 1 << 40), ("inputs_size", 1 << 40)]
    faults += [("payload_size", (1 << 40) + 1), ("compatible_features", 0), ("compatible_features", 1), ("compatible_features", 2)]
    faults += [("payload_size", 1), ("file_size", 0), ("metadata_digest", 0), ("symbols_digest", 0), ("inputs_digest", 0)]
    faults += [("block_digests_digest", 0), ("metadata_size", 0), ("symbols_size", 0), ("inputs_size", 0), ("payload_size", 0)]
    for one in faults:
        for two in faults:
            if one[0] < two[0]:
                parts = rich()
                parts.draft.header.update([one, two])
                yield f"{one[0]} = {one[1]:#x} and {two[0]} = {two[1]:#x}", parts.draft.file()
    sound = writer.rich_image()
    for start, name in ((0, "magic"), (32, "image_id"), (256, "rest of the header"), (2000, "rest of the header")):
        yield f"another byte {start}: {name}", sound[:start] + b"!" + sound[start + 1 :]
    for at in (256, 300, 4095):
        parts = rich()
        parts.draft.padding.append((at, 1))
        yield f"byte {at} of the header", parts.draft.file()
    empty = rich()
    empty.draft.metadata = b""
    yield "no metadata", empty.draft.file()
    unknown = rich()
    unknown.draft.header["compatible_features"] = (1 << 64) - 1
    yield "features that nobody knows and nobody needs", unknown.draft.file()


def ends():
    """Files that end early or late, and payloads with faults."""
    sound = writer.rich_image()
    for stop in (0, 1, 7, 8, 4095, 4096, 4097, 8191, 8192, 8193, 12288, 16384, 16385, 20479, 20480, 20481, 90000, len(sound) - 1):
        yield f"{stop} bytes", sound[:stop]
    for wrong in (b"", b"ELF", b"\x7fELF...", b"STOSIMG", b"STOSIMG\0", b"STOSIMG\1" * 600, b"\0" * 7, b"\0" * 8):
        yield f"a file that begins with {wrong[:8]!a}", wrong
    for more in (b"\0", b"x" * PAGE):
        yield f"{len(more)} bytes more", sound + more
    for block in range(3):
        parts = rich()
        parts.draft.digests.append((32 * block, 1))
        yield f"digest of block {block}", parts.draft.file()
    for page in (0, 7, 8, 9, 15, 16, 39):
        parts = rich()
        payload = parts.draft.payload
        parts.draft.payload = payload[: page * PAGE] + bytes(PAGE) + payload[(page + 1) * PAGE :]
        yield f"page {page} of zeros", parts.draft.file()
        parts.draft.digests.append((32 * (page * PAGE // BLOCK), 1))
        yield f"page {page} of zeros in a damaged block", parts.draft.file()
    parts = rich()
    parts.metadata["extents"] = []
    parts.draft.payload = b""
    yield "no payload", written(parts)
    parts.draft.header["block_digests_digest"] = 0
    yield "no payload, and a digest of nothing that is not that of nothing", written(parts)


def files():
    for kind in (values, registers, counts, encodings, headers, ends):
        yield from kind()
