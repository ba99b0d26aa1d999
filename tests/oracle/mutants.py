"""Images with a fault or two, sealed again: every digest is right, so that what stands behind the digests is looked at.

Mutant n of a seed is always the same bytes, whichever others are made.
"""

import random

import reader
import rules
import wire
import writer
from reader import BLOCK, FIELDS, LIMITS, PAGE

TEXTS = ["", "x", "é", "\u202e", "\u200b", "\x1b[2J", "\n", "\x00", "a\u2028b", "\ufeff", "\U000e0041", "\u00ad", "\ud7ff", "\u061b"]
TEXTS += ["..", ".", "a/../b", "/a", "a/", "a//b", "a" * 255, "a" * 256, "a/" * 2047 + "b", "a/" * 2047 + "bc", "a/" * 2048 + "b"]
TEXTS += ["é" * 127, "é" * 128, "b/" + "c" * 255, "b/" + "c" * 256, "\u2065", "\u206f\u2070", "\x7f", "\x80", "\xa0", "\u180e", "\ufff8"]
NOT_TEXT = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80", b"\xf8\x88\x80\x80\x80", b"\xef\xbb\xbfa"]


class Parts:
    """An image taken apart, so that a mutation can change values and bytes of it."""

    def __init__(self, file):
        self.draft = writer.draft_of(file)
        self.metadata = wire.decode(wire.METADATA, self.draft.metadata)[0]
        self.symbols = wire.decode(wire.SYMBOLS, self.draft.symbols)[0] if self.draft.symbols else None

    def write(self):
        self.draft.metadata = wire.METADATA.write(self.metadata)
        if self.symbols is not None:
            self.draft.symbols = wire.SYMBOLS.write(self.symbols)


def base(file):
    """Refuses a file that this writer would not write so: it is no base then, but a finding."""
    verdict = reader.verdict(file)
    if "facts" not in verdict:
        raise SystemExit(f"oracle: a base is refused: {verdict}")
    parts = Parts(file)
    parts.write()
    if parts.draft.file() != file:
        raise SystemExit("oracle: a base has another encoding than the one that this writer gives it")
    return file


def edges(random, size, near):
    """A number of `size` bytes at which something may change."""
    top = (1 << 8 * size) - 1
    power = 1 << random.randrange(8 * size)
    port = random.choice(random.choice(rules.TAKEN))
    several = [0, 1, top, power, power - 1, 0xF_FFFF, 0x10_0000, 0xE000_0000, 4 * rules.GIB, random.randrange(top + 1), port, near]
    number = random.choice(several) + random.choice([0, 0, 0, 1, -1, 3, -3, PAGE, -PAGE])
    return number & top


def change_number(random, old, size):
    way = random.randrange(4)
    if way == 0:
        return old ^ 1 << random.randrange(8 * size)
    if way == 1:
        return old + random.choice([1, -1, 2, -2, 16, -16, PAGE, -PAGE]) & (1 << 8 * size) - 1
    return edges(random, size, old)


def leaf(random, data, leaves):
    """Changes one value where it lies in the bytes."""
    path, at, type = random.choice(leaves)
    if isinstance(type, wire.Int):
        size = type.size
    elif isinstance(type, wire.Digest):
        size = 32
    elif isinstance(type, wire.Option):
        size = 1
    elif isinstance(type, (wire.Enum, wire.Union)):
        size = 4
    else:
        size = 8
    old = int.from_bytes(data[at : at + size], "little")
    if isinstance(type, (wire.Enum, wire.Union, wire.Option)):
        new = random.choice([0, 1, 2, 3, 10, 11, 255])
    elif isinstance(type, wire.Int) and random.randrange(4) == 0:
        # The value of another field: an address that is somebody else's, a size that is another's.
        other = random.choice([entry for entry in leaves if isinstance(entry[2], wire.Int)])
        new = int.from_bytes(data[other[1] : other[1] + other[2].size], "little") + random.choice([0, 0, 1, -1])
    else:
        new = change_number(random, old, size)
    new &= (1 << 8 * size) - 1
    return f"{path} = {new:#x}", data[:at] + new.to_bytes(size, "little") + data[at + size :]


def text(random, data, leaves):
    """Puts another text where one is, or bytes that are none."""
    path, at, _ = random.choice([entry for entry in leaves if isinstance(entry[2], wire.Text)])
    size = int.from_bytes(data[at : at + 8], "little")
    old = data[at + 8 : at + 8 + size]
    if random.randrange(4) == 0:
        new = random.choice(NOT_TEXT)
    else:
        new = random.choice(TEXTS).encode()
    if random.randrange(2):
        place = random.randrange(len(old) + 1)
        new = old[:place] + new + old[place:]
    return f"{path} = {new[:20]!a}", data[:at] + wire.U64.write(len(new)) + new + data[at + 8 + size :]


def cut(random, data, _):
    """Bytes more or fewer, or others."""
    at = random.randrange(len(data))
    way = random.randrange(4)
    if way == 0:
        return f"cut at {at}", data[:at]
    if way == 1:
        more = bytes(random.randrange(1, 20))
        return f"{len(more)} bytes more", data + more
    if way == 2:
        return f"without byte {at}", data[:at] + data[at + 1 :]
    return f"byte {at} twice", data[:at] + data[at : at + 1] + data[at:]


def lists(value):
    """Every list in a value that has elements, with its path."""
    found = []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += [(f"{key}{path}" if path[:1] in ("", "[") else f"{key}.{path}", rows) for path, rows in lists(inner)]
    elif isinstance(value, list):
        if value:
            found.append(("", value))
        for n, inner in enumerate(value[:20]):
            found += [(f"[{n}].{path}", rows) for path, rows in lists(inner)]
    return found


def rows(random, value):
    """An element more, fewer, or elsewhere."""
    there = lists(value)
    if not there:
        return "nothing: there is no list"
    path, found = random.choice(there)
    n = random.randrange(len(found))
    m = random.randrange(len(found))
    way = random.randrange(5)
    if way == 0:
        del found[n]
        return f"{path} without {n}"
    if way == 1:
        found.insert(n, found[n])
        return f"{path}[{n}] twice"
    if way == 2:
        found[n], found[m] = found[m], found[n]
        return f"{path}: {n} and {m} swapped"
    if way == 3:
        del found[n:]
        return f"{path} up to {n}"
    found.append(found[n])
    return f"{path}[{n}] again at the end"


def ranges(random, parts):
    """Splits, joins or moves an extent, a region or a part of an input; what is kept together stays so, but for the fault."""
    places = [parts.metadata["extents"], [region["range"] for region in parts.metadata["regions"]]]
    if not any(places):
        return "no ranges"
    found = random.choice([place for place in places if place])
    n = random.randrange(len(found))
    chosen = found[n]
    step = random.choice([1, PAGE, PAGE, 2 * PAGE])
    way = random.randrange(4)
    if way == 0 and found is parts.metadata["extents"] and chosen["size"] > step:
        found.insert(n + 1, {"start": chosen["start"] + step, "size": chosen["size"] - step})
        chosen["size"] = step
        return f"extent {n} in two"
    if way == 1 and n + 1 < len(found):
        gap = random.choice([0, 1, -1, PAGE, PAGE - 1, -PAGE])
        chosen["start"] = max(0, found[n + 1]["start"] - chosen["size"] + gap)
        return f"range {n} at the next one"
    if way == 2:
        chosen["start"] = max(0, parts.metadata["memory_size"] - chosen["size"] + random.choice([0, 1, -1, PAGE, -PAGE]))
        return f"range {n} at the end of memory"
    chosen["start"] = max(0, chosen["start"] + random.choice([step, -step]))
    return f"range {n} moved"


def in_values(random, parts):
    """Changes values of metadata or symbols."""
    if parts.symbols is not None and random.randrange(3) == 0:
        said = "symbols: " + rows(random, parts.symbols)
    elif random.randrange(2):
        said = rows(random, parts.metadata)
    else:
        said = ranges(random, parts)
    parts.write()
    return said


def in_bytes(random, parts):
    """Changes bytes of metadata or symbols."""
    draft = parts.draft
    section = "symbols" if draft.symbols and random.randrange(3) == 0 else "metadata"
    data = getattr(draft, section)
    leaves = wire.decode(wire.SYMBOLS if section == "symbols" else wire.METADATA, data)[1]
    way = random.choices([leaf, text, cut], [8, 3, 1])[0]
    if way is text and not any(isinstance(entry[2], wire.Text) for entry in leaves):
        way = leaf
    if section == "metadata" and way is leaf and random.randrange(2):
        # Half of them where most rules are, and not in the long lists.
        named = ("entry.", "memory_size", "run.", "fault_catcher", "manifest")
        leaves = [entry for entry in leaves if entry[0].startswith(named)]
    said, changed = way(random, data, leaves)
    setattr(draft, section, changed)
    return f"{section}: {said}"


def in_header(random, parts):
    """Changes a field of the header."""
    sound = parts.draft.file()
    field = random.choice([name for name in FIELDS if name not in ("image_id", "magic")])
    at, size = FIELDS[field]
    old = int.from_bytes(sound[at : at + size], "little")
    new = change_number(random, old, size)
    if field in LIMITS and random.randrange(3) == 0:
        new = LIMITS[field] + random.choice([0, 1, PAGE])
    parts.draft.header[field] = new
    return f"{field} = {new:#x}"


def in_sections(random, parts):
    """Changes what the other sections hold, or what lies between them."""
    draft = parts.draft
    way = random.randrange(7)
    if way == 0 and draft.inputs:
        at = random.randrange(len(draft.inputs))
        draft.inputs = draft.inputs[:at] + b"\xa5" + draft.inputs[at + 1 :]
        return f"another byte {at} in inputs"
    if way == 1:
        draft.inputs = random.choice([b"", draft.inputs + b"x", draft.inputs[:-1]])
        return f"{len(draft.inputs)} bytes of inputs"
    if way == 2 and draft.payload:
        page = random.randrange(len(draft.payload) // PAGE) * PAGE
        draft.payload = draft.payload[:page] + bytes(PAGE) + draft.payload[page + PAGE :]
        return f"a page of zeros at {page:#x} of the payload"
    if way == 3 and draft.payload:
        at = random.randrange(len(draft.payload))
        draft.payload = draft.payload[:at] + b"\xa5" + draft.payload[at + 1 :]
        return f"another byte {at:#x} in the payload"
    if way == 4 and draft.payload:
        at = random.randrange(len(draft.payload) // PAGE + 1) * 32
        draft.digests.append((at, 1 << random.randrange(8)))
        return "another digest of a block"
    if way == 5:
        places = reader.sections(draft.file()[:PAGE])
        name = random.choice(["header", "metadata", "symbols", "inputs", "block digests"])
        start, size = places.get(name, (0, 256))
        stop = reader.up(start + size)
        if start + size < stop:
            draft.padding.append((random.choice([start + size, stop - 1, random.randrange(start + size, stop)]), 1))
            return f"padding after {name}"
    size = random.choice([PAGE, BLOCK, -PAGE])
    draft.payload = draft.payload + b"\x01" * size if size > 0 else draft.payload[:size]
    return f"payload of {len(draft.payload):#x} bytes"


def in_file(random, file):
    """Changes the file without sealing it again."""
    way = random.randrange(4)
    at = random.choice([random.randrange(len(file)), random.randrange(300), random.randrange(PAGE, 2 * PAGE)]) % len(file)
    if way == 0:
        places = reader.sections(file[:PAGE]).values()
        cuts = [0, 7, 8, 9, 4095, 4096, len(file) - 1] + [start + size + step for start, size in places for step in (-1, 0, 1)]
        stop = random.choice([at, random.choice(cuts)])
        return f"{stop} bytes of the file", file[: max(stop, 0)]
    if way == 1:
        return "a byte more", file + b"\0"
    if way == 2:
        return f"bit of byte {at:#x}", file[:at] + bytes([file[at] ^ 1 << random.randrange(8)]) + file[at + 1 :]
    two = random.randrange(len(file))
    return f"bytes {at:#x} and {two:#x} swapped", bytes(swapped(file, at, two))


def swapped(file, one, two):
    file = bytearray(file)
    file[one], file[two] = file[two], file[one]
    return file


def mutant(seed, number, bases):
    """What was done to which base, and the bytes."""
    chance = random.Random(f"{seed}:{number}")
    chosen = chance.randrange(len(bases))
    file = bases[chosen]
    parts = Parts(file)
    said = []
    for _ in range(chance.choice([1, 1, 1, 1, 1, 1, 2, 3])):
        way = chance.choices([in_values, in_bytes, in_header, in_sections], [30, 50, 8, 12])[0]
        if way is in_header and said:
            # The fields of the header are found in a file that is right but for values.
            way = in_sections
        said.append(way(chance, parts))
        if way is in_bytes:
            # Values may not be there to be read any more.
            break
    file = parts.draft.file()
    if chance.randrange(20) == 0:
        more, file = in_file(chance, bases[chosen] if parts.draft.header else file)
        said.append(more)
    return f"base {chosen}: {'; '.join(said)}", file
