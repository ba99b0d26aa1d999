"""The rules of docs/image-format.md, section "Rules": each field that breaks one is named.

A reader stops at one of them; which, where several are broken, the document leaves open.
"""

from wire import SEGMENTS

PAGE = 4096
MIB = 1 << 20
GIB = 1 << 30

# Ports at which neither an exit nor a fault can be told, first and last.
TAKEN = (
    (0x20, 0x21), (0xA0, 0xA1), (0x4D0, 0x4D1), (0x40, 0x43), (0x61, 0x61), (0x60, 0x60), (0x64, 0x64), (0x70, 0x71),
    (0x80, 0x80), (0x92, 0x92), (0xE9, 0xE9), (0x170, 0x177), (0x376, 0x376), (0x1F0, 0x1F7), (0x3F6, 0x3F6),
    (0x3C0, 0x3DF), (0x3F8, 0x3FF), (0x505, 0x505), (0x5F4, 0x5F4), (0xCF8, 0xCFF), (0x0, 0xF), (0x81, 0x8F),
    (0xC0, 0xDF), (0x3F1, 0x3F5), (0x3F7, 0x3F7), (0x510, 0x511), (0x514, 0x51B),
)  # fmt: skip

# Characters that plain text has not, first and last.
HIDDEN = (
    (0x00, 0x1F), (0x7F, 0x9F), (0x61C, 0x61C), (0x200E, 0x200F), (0x202A, 0x202E), (0x2066, 0x2069), (0xAD, 0xAD),
    (0x180E, 0x180E), (0x200B, 0x200D), (0x2060, 0x2065), (0x206A, 0x206F), (0xFEFF, 0xFEFF), (0x2028, 0x2029),
    (0xFFF9, 0xFFFB), (0xE0000, 0xE007F),
)  # fmt: skip


def within(number, ranges):
    return any(first <= number <= last for first, last in ranges)


def is_plain(text):
    return text.isascii() and text.isprintable() or not any(within(ord(c), HIDDEN) for c in text)


def is_name(text, limit):
    return 1 <= len(text.encode()) <= limit and is_plain(text)


def is_path(text):
    return all(1 <= len(part.encode()) <= 255 and part not in (".", "..") for part in text.split("/"))


def end(range):
    return range["start"] + range["size"]


class Broken:
    """The fields that break a rule."""

    def __init__(self):
        self.fields = []

    def unless(self, kept, field):
        if not kept and field not in self.fields:
            self.fields.append(field)


def of_metadata(metadata, payload_size, inputs_size):
    broken = Broken()
    memory = metadata["memory_size"]
    broken.unless(is_name(metadata["name"], 255), "name")
    broken.unless(is_name(metadata["protocol"], 255), "protocol")
    if metadata["profile"] is not None:
        broken.unless(is_name(metadata["profile"], 255), "profile")
    broken.unless(memory % PAGE == 0 and MIB <= memory <= 0xE000_0000, "memory_size")
    of_memory(broken, metadata, memory, payload_size)
    of_entry(broken, metadata["entry"], memory)
    of_ports(broken, metadata, memory)
    of_run(broken, metadata["run"])
    of_inputs(broken, metadata["inputs"], memory, inputs_size)
    manifest = metadata["manifest"]
    broken.unless(len(manifest.encode()) <= MIB and is_plain(manifest.replace("\n", "")), "manifest")
    return broken.fields


def of_memory(broken, metadata, memory, payload_size):
    broken.unless(len(metadata["memory_map"]) <= 65536, "memory_map")
    for n, entry in enumerate(metadata["memory_map"]):
        broken.unless(entry["range"]["size"] >= 1 and end(entry["range"]) <= 4 * GIB, f"memory_map[{n}]")

    broken.unless(len(metadata["regions"]) <= 65536, "regions")
    before = 0
    for n, region in enumerate(metadata["regions"]):
        range = region["range"]
        broken.unless(range["size"] >= 1 and end(range) <= memory and range["start"] >= before, f"regions[{n}]")
        broken.unless(region["permissions"] <= 7, f"regions[{n}].permissions")
        broken.unless(is_name(region["name"], 255), f"regions[{n}].name")
        before = end(range)

    before = None
    for n, extent in enumerate(metadata["extents"]):
        pages = extent["size"] >= PAGE and extent["size"] % PAGE == 0 and extent["start"] % PAGE == 0
        apart = before is None or extent["start"] >= before + PAGE
        broken.unless(pages and apart and end(extent) <= memory, f"extents[{n}]")
        before = end(extent)
    broken.unless(sum(extent["size"] for extent in metadata["extents"]) == payload_size, "extents")


def of_entry(broken, entry, memory):
    def bits(value, *ranges):
        return any(value >> bit & 1 for first, last in ranges for bit in range(first, last + 1))

    cr0, eflags = entry["cr0"], entry["eflags"]
    mode = bits(cr0, (0, 0)) and not bits(cr0, (31, 31))
    cache = bits(cr0, (30, 30)) or not bits(cr0, (29, 29))
    broken.unless(mode and cache and not bits(cr0, (6, 15), (17, 17), (19, 28)), "entry.cr0")
    broken.unless(entry["cr3"] < memory, "entry.cr3")
    broken.unless(entry["cr4"] & ~0xFF == 0, "entry.cr4")
    reserved = bits(eflags, (17, 17), (3, 3), (5, 5), (15, 15), (22, 31))
    broken.unless(bits(eflags, (1, 1)) and not reserved, "entry.eflags")
    for name in SEGMENTS:
        segment = entry["segments"][name]
        access, limit = segment["access"], segment["limit"]
        field = f"entry.segments.{name}"
        kept = not bits(access, (8, 11), (13, 13))
        if name == "cs":
            kept = kept and all(bits(access, (bit, bit)) for bit in (3, 4, 7))
        if name == "tr":
            kept = kept and access & 0b1001_1111 == 0x8B
            broken.unless(segment["selector"] & 4 == 0, f"{field}.selector")
        broken.unless(kept, f"{field}.access")
        kept = limit & 0xFFF == 0xFFF if bits(access, (15, 15)) else limit <= 0xFFFFF
        broken.unless(kept and (name != "tr" or limit >= 0x67), f"{field}.limit")


def of_ports(broken, metadata, memory):
    catcher = metadata["fault_catcher"]
    exit_port = metadata["run"]["exit_port"]
    exits = range(exit_port, exit_port + 4)
    kept = exit_port <= 0xFFFC and not any(within(port, TAKEN) for port in exits)
    if catcher is not None:
        port = catcher["port"]
        broken.unless(port == 0x5F4 or not within(port, TAKEN), "fault_catcher.port")
        broken.unless(catcher["record"] + 128 <= memory, "fault_catcher.record")
        kept = kept and port not in exits
    broken.unless(kept, "run.exit_port")


def of_run(broken, run):
    timeout = run["timeout_ms"]
    broken.unless(timeout is None or 1 <= timeout <= 86_400_000, "run.timeout_ms")
    broken.unless(len(run["expect"]) <= 64, "run.expect")
    for n, expression in enumerate(run["expect"]):
        broken.unless(is_name(expression, 4096), f"run.expect[{n}]")


def of_inputs(broken, inputs, memory, inputs_size):
    broken.unless(len(inputs) <= 4096, "inputs")
    total = 0
    kept_end = 0
    for n, item in enumerate(inputs):
        field = f"inputs[{n}]"
        broken.unless(is_name(item["key"], 255), f"{field}.key")
        broken.unless(is_name(item["path"], 4096) and is_path(item["path"]), f"{field}.path")
        total += item["size"]
        broken.unless(total <= 4 * GIB, f"{field}.size")
        before = None
        sizes = 0
        for m, part in enumerate(item["content"]):
            place = f"{field}.content[{m}]"
            sizes += part["size"]
            broken.unless(part["size"] >= 1 and sizes <= item["size"], place)
            if part["variant"] == "memory":
                broken.unless(end(part) <= memory, place)
            same = before is not None and before["variant"] == part["variant"]
            if part["variant"] == "kept":
                broken.unless(part["offset"] == kept_end, f"{field}.content.offset")
                kept_end = part["offset"] + part["size"]
                broken.unless(not same, place)
            else:
                broken.unless(not same or end(before) != part["start"], place)
            before = part
        broken.unless(sizes >= item["size"], f"{field}.content")
    # What is kept ends with the section that keeps it.
    broken.unless(kept_end == inputs_size, "inputs")


def of_symbols(section, modules):
    broken = Broken()
    symbols, files, lines = section["symbols"], section["files"], section["lines"]
    broken.unless(len(symbols) <= 1_048_576 and (symbols or lines), "symbols")
    broken.unless(len(files) <= 65536, "files")
    broken.unless(len(lines) <= 4_194_304, "lines")

    before = None
    for n, symbol in enumerate(symbols):
        key = (symbol["address"], symbol["name"].encode(), symbol["size"], symbol["module"])
        broken.unless(before is None or key > before, f"symbols[{n}]")
        before = key
        broken.unless(symbol["module"] <= modules, f"symbols[{n}].module")
        broken.unless(is_name(symbol["name"], 4096), f"symbols[{n}].name")

    seen = set()
    for n, name in enumerate(files):
        broken.unless(is_name(name, 4096) and name not in seen, f"files[{n}]")
        seen.add(name)

    used = set()
    before = None
    for n, line in enumerate(lines):
        file = line["file"]
        if before is None:
            broken.unless(line["line"] != 0, "lines[0]")
        else:
            broken.unless(line["address"] > before["address"], f"lines[{n}].address")
            broken.unless((file, line["line"]) != (before["file"], before["line"]), f"lines[{n}]")
        in_turn = file in used or file == len(used)
        broken.unless(file < len(files) and (in_turn if line["line"] else file == 0), f"lines[{n}].file")
        if line["line"]:
            used.add(file)
        before = line
    broken.unless(len(used) >= len(files), "files")
    return broken.fields
