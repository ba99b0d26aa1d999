"""Says what a reader written from docs/image-format.md alone says of images.

    python3 tests/oracle IMAGE...                            the verdict on each image, one line of JSON each
    python3 tests/oracle --mutants FIRST END SEED IMAGE...   the mutants of these bases and of two of its own, from FIRST up to END:
                                                             for each a line of JSON (what was done, size, verdict) and its bytes
    python3 tests/oracle --mutant NUMBER SEED IMAGE...       the bytes of one of them alone
    python3 tests/oracle --crafted                           what chance would not find, told as mutants are
"""

import json
import sys

sys.dont_write_bytecode = True

import crafted
import mutants
import reader
import writer


def load(paths):
    files = [writer.small_image(), writer.rich_image()]
    for path in paths:
        with open(path, "rb") as file:
            files.append(file.read())
    return [mutants.base(file) for file in files]


def tell(name, file):
    line = {"name": name, "size": len(file), "verdict": reader.verdict(file)}
    sys.stdout.buffer.write(json.dumps(line).encode() + b"\n" + file)


def main(arguments):
    if arguments[:1] == ["--mutants"]:
        first, end, seed = map(int, arguments[1:4])
        bases = load(arguments[4:])
        for number in range(first, end):
            name, file = mutants.mutant(seed, number, bases)
            tell(f"mutant {number} of seed {seed}, {name}", file)
    elif arguments[:1] == ["--mutant"]:
        number, seed = map(int, arguments[1:3])
        sys.stdout.buffer.write(mutants.mutant(seed, number, load(arguments[3:]))[1])
    elif arguments == ["--crafted"]:
        for name, file in crafted.files():
            tell(name, file)
    else:
        for path in arguments:
            with open(path, "rb") as file:
                print(json.dumps(reader.verdict(file.read())))


try:
    main(sys.argv[1:])
except BrokenPipeError:
    sys.stderr.close()
