"""The wire form of metadata and symbols: what docs/image-format.md has under "Wire form of metadata and symbols".

A type is a small object that reads a value and writes it. Values are plain: an int, a str, bytes (a digest), None, a list,
a dict by field, and for a variant that carries values a dict with the key "variant".
"""


class Encoding(Exception):
    """The bytes are no value of the type."""


class Cursor:
    """Where a reading stands, and what it has passed: (path, offset, type) of each value without parts."""

    def __init__(self, data):
        self.data = data
        self.at = 0
        self.leaves = []

    def take(self, size):
        if size > len(self.data) - self.at:
            raise Encoding(f"{size} bytes wanted at {self.at}, {len(self.data) - self.at} left")
        self.at += size
        return self.data[self.at - size : self.at]


class Int:
    """An unsigned little-endian integer."""

    def __init__(self, size):
        self.size = size

    def read(self, cursor, path):
        cursor.leaves.append((path, cursor.at, self))
        return int.from_bytes(cursor.take(self.size), "little")

    def write(self, value):
        return value.to_bytes(self.size, "little")


U8, U16, U32, U64 = Int(1), Int(2), Int(4), Int(8)


class Text:
    """A `String`."""

    def read(self, cursor, path):
        cursor.leaves.append((path, cursor.at, self))
        size = int.from_bytes(cursor.take(8), "little")
        try:
            return cursor.take(size).decode("utf-8")
        except UnicodeDecodeError as error:
            raise Encoding(f"{path}: {error}") from None

    def write(self, value):
        data = value.encode("utf-8")
        return U64.write(len(data)) + data


class Digest:
    """32 bytes without a count."""

    def read(self, cursor, path):
        cursor.leaves.append((path, cursor.at, self))
        return cursor.take(32)

    def write(self, value):
        return value


class Option:
    """Nothing, or a value."""

    def __init__(self, inner):
        self.inner = inner

    def read(self, cursor, path):
        cursor.leaves.append((path, cursor.at, self))
        there = cursor.take(1)[0]
        if there > 1:
            raise Encoding(f"{path}: {there} is neither none nor some")
        return self.inner.read(cursor, path) if there else None

    def write(self, value):
        return b"\0" if value is None else b"\1" + self.inner.write(value)


class Vec:
    """A count, and as many values."""

    def __init__(self, inner):
        self.inner = inner

    def read(self, cursor, path):
        cursor.leaves.append((path, cursor.at, self))
        count = int.from_bytes(cursor.take(8), "little")
        values = []
        # Each value takes a byte at least, so a count that lies ends with the data.
        while len(values) < count:
            values.append(self.inner.read(cursor, f"{path}[{len(values)}]"))
        return values

    def write(self, values):
        return U64.write(len(values)) + b"".join(map(self.inner.write, values))


class Enum:
    """A number, for each of which there is a name."""

    def __init__(self, *names):
        self.names = names

    def read(self, cursor, path):
        cursor.leaves.append((path, cursor.at, self))
        number = int.from_bytes(cursor.take(4), "little")
        if number >= len(self.names):
            raise Encoding(f"{path}: there is no variant {number}")
        return self.names[number]

    def write(self, value):
        return U32.write(self.names.index(value))


class Union:
    """An enum of which every variant carries the fields of a struct."""

    def __init__(self, **variants):
        self.variants = list(variants.items())

    def read(self, cursor, path):
        cursor.leaves.append((path, cursor.at, self))
        number = int.from_bytes(cursor.take(4), "little")
        if number >= len(self.variants):
            raise Encoding(f"{path}: there is no variant {number}")
        name, struct = self.variants[number]
        return {"variant": name, **struct.read(cursor, path)}

    def write(self, value):
        number, struct = next((n, s) for n, (name, s) in enumerate(self.variants) if name == value["variant"])
        return U32.write(number) + struct.write(value)


class Struct:
    """Its fields, one after another."""

    def __init__(self, **fields):
        self.fields = fields

    def read(self, cursor, path):
        inside = f"{path}." if path else ""
        return {name: type.read(cursor, inside + name) for name, type in self.fields.items()}

    def write(self, value):
        return b"".join(type.write(value[name]) for name, type in self.fields.items())


RANGE = Struct(start=U64, size=U64)
TABLE = Struct(base=U32, limit=U16)
SEGMENT = Struct(selector=U16, base=U32, limit=U32, access=U16)
GENERAL = ("eax", "ebx", "ecx", "edx", "esi", "edi", "ebp", "esp")
SEGMENTS = ("cs", "ds", "es", "fs", "gs", "ss", "tr")
KINDS = ("kernel", "module", "initramfs", "command line", "protocol", "paging", "boot code", "stack", "early memory")
KINDS += ("frame descriptors", "reserved")

ENTRY = Struct(
    general=Struct(**dict.fromkeys(GENERAL, U32)),
    eip=U32,
    eflags=U32,
    cr0=U32,
    cr3=U32,
    cr4=U32,
    gdtr=TABLE,
    idtr=TABLE,
    segments=Struct(**dict.fromkeys(SEGMENTS, SEGMENT)),
)

METADATA = Struct(
    name=Text(),
    protocol=Text(),
    profile=Option(Text()),
    memory_size=U64,
    memory_map=Vec(Struct(range=RANGE, kind=Enum("available", "reserved"))),
    regions=Vec(Struct(range=RANGE, kind=Enum(*KINDS), permissions=U8, name=Text())),
    entry=ENTRY,
    fault_catcher=Option(Struct(record=U64, port=U16)),
    run=Struct(timeout_ms=Option(U64), expect=Vec(Text()), exit_port=U16),
    inputs=Vec(
        Struct(
            key=Text(),
            path=Text(),
            size=U64,
            digest=Digest(),
            content=Vec(Union(memory=RANGE, kept=Struct(offset=U64, size=U64))),
        )
    ),
    manifest=Text(),
    extents=Vec(RANGE),
)

SYMBOLS = Struct(
    symbols=Vec(Struct(address=U32, size=U32, module=U32, name=Text())),
    files=Vec(Text()),
    lines=Vec(Struct(address=U32, file=U32, line=U32)),
)


def decode(type, data):
    """The value that fills `data`, and where its parts lie."""
    cursor = Cursor(data)
    value = type.read(cursor, "")
    if cursor.at != len(data):
        raise Encoding(f"{len(data) - cursor.at} bytes after the end")
    return value, cursor.leaves
