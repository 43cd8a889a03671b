"""Looks for the numbers of a private key in files and in the memory of processes.

    numbers = secrets_of("rsa.key")              {'d': …, 'prime p': …}
    in_process(pid, numbers)                     names of the numbers that were found
    pieces_in_process(pid, numbers)              lines that say where any 15 bytes of them were found
    in_folder(path, numbers)

Each number is looked for as big-endian bytes (files, DER), as little-endian bytes (how big-number libraries keep it in
memory), and, in files, as the base64 of the PEM that it came from.
"""
import os
import re
import subprocess

CHUNK, OVERLAP, PAGE = 1 << 20, 4096, 4096
PIECE = 8  # bytes that are found by chance once in 2^64
ORDERS = ("", ", backwards")
SHADOW = 1 << 34  # bytes; only a sanitizer maps as much, for its shadow of the address space, which holds no data


def _fields(key_file):
    """{'modulus': int, 'prime1': int, …} from `openssl pkey -text`."""
    text = subprocess.run(["openssl", "pkey", "-in", key_file, "-noout", "-text"], check=True, capture_output=True,
                          text=True).stdout
    found = {}
    for name, digits in re.findall(r"^(\w+):\s*\n((?:[ \t]+[0-9a-f:]+\s*\n)+)", text, re.M):
        found[name] = bytes.fromhex(re.sub(r"[^0-9a-f]", "", digits))
    return found


NAMES = {"privateExponent": "d", "prime1": "p", "prime2": "q", "exponent1": "d mod p-1", "exponent2": "d mod q-1",
         "coefficient": "1/q mod p", "priv": "private number"}


def secrets_of(key_file):
    """{name: [spellings]} of the secret numbers of KEY_FILE."""
    secrets = {}
    for field, value in _fields(key_file).items():
        if field in NAMES:
            number = value.lstrip(b"\0")
            secrets[NAMES[field]] = [number, number[::-1]]
    with open(key_file) as handle:
        body = [line for line in handle.read().splitlines() if line and not line.startswith("-----")]
    if body:
        secrets["PEM text"] = [body[len(body) // 2].encode()]
    return secrets


def _search(data, secrets):
    return {name for name, spellings in secrets.items() if any(s in data for s in spellings)}


def _mappings(pid):
    """(start, end, name) of each readable mapping of PID where something lies that a process has written: the rest is pages of
    files as they are."""
    found, wanted = [], False
    with open("/proc/%d/smaps" % pid) as smaps:
        for line in smaps:
            words = line.split(None, 5)
            if not words[0].endswith(":"):
                start, end = (int(x, 16) for x in words[0].split("-"))
                mapping = start, end, words[5].strip() if len(words) > 5 else "memory without a name"
                wanted = "r" in words[1] and end - start < SHADOW
                is_shared = "s" in words[1]
            elif wanted and (is_shared or (words[0] in ("Anonymous:", "Swap:") and int(words[1]) > 0)):
                found.append(mapping)
                wanted = False
    return found


def _without_zeros(data):
    """(offset, bytes) of each run of pages of DATA that are not all zeros: most of a heap is."""
    begin = None
    for at in range(0, len(data) + PAGE, PAGE):
        is_zero = data[at:at + PAGE].count(0) == len(data[at:at + PAGE])
        if begin is None and not is_zero:
            begin = at
        elif begin is not None and is_zero:
            yield begin, data[begin:at]
            begin = None


def _contents(pid):
    """(address, bytes, name of the mapping) of all that PID and those it shares memory with have written, in parts that overlap.
    Needs the right to trace it."""
    with open("/proc/%d/mem" % pid, "rb", buffering=0) as memory:
        for start, end, name in _mappings(pid):
            for at in range(start, end, CHUNK):
                try:
                    memory.seek(at)
                    data = memory.read(min(CHUNK + OVERLAP, end - at))
                except (OSError, ValueError, OverflowError):
                    break
                for begin, part in _without_zeros(data):
                    yield at + begin, part, name


def in_process(pid, secrets):
    """The names of SECRETS found in the memory of PID."""
    found = set()
    for _, data, _ in _contents(pid):
        found |= _search(data, secrets)
    return found


def _runs(data, secret):
    """(at in DATA, at in SECRET, length) of each run of SECRET in DATA that has one of its pieces in it."""
    runs = set()
    for begin in range(0, len(secret) - PIECE + 1, PIECE):
        at = data.find(secret[begin:begin + PIECE])
        while at >= 0:
            low, high = 0, PIECE
            while low < min(at, begin) and data[at - low - 1] == secret[begin - low - 1]:
                low += 1
            while high < min(len(data) - at, len(secret) - begin) and data[at + high] == secret[begin + high]:
                high += 1
            runs.add((at - low, begin - low, low + high))
            at = data.find(secret[begin:begin + PIECE], at + PIECE)
    return runs


def pieces_in_process(pid, secrets):
    """A line for each run of 15 bytes or more (and of 8, where they begin at a multiple of 8) of SECRETS in the memory of PID:
    which bytes of which, and where they lie. None of the bytes themselves."""
    found = {}
    for begin, data, where in _contents(pid):
        for name, spellings in secrets.items():
            for order, spelling in zip(ORDERS, spellings):
                for at, first, length in _runs(data, spelling):
                    found[begin + at, name, order] = "%s%s: bytes %d to %d of %d at %#x in %s" % (
                        name, order, first, first + length - 1, len(spelling), begin + at, where)
    return [found[at] for at in sorted(found)]


def in_folder(folder, secrets):
    found = set()
    for path, _, files in os.walk(folder):
        for name in files:
            file = os.path.join(path, name)
            if os.path.isfile(file):
                with open(file, "rb") as handle:
                    found |= _search(handle.read(), secrets)
    return found
