"""Looks for the numbers of a private key in files and in the memory of processes.

    numbers = secrets_of("rsa.key")              {'d': …, 'prime p': …}
    in_process(pid, numbers)                     names of the numbers that were found
    in_folder(path, numbers)

Each number is looked for as big-endian bytes (files, DER), as little-endian bytes (how big-number libraries keep it in
memory), and, in files, as the base64 of the PEM that it came from.
"""
import os
import re
import subprocess

CHUNK = 16 << 20
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


def in_process(pid, secrets):
    """The names of SECRETS found in readable memory of PID. Needs the right to trace it."""
    found, overlap = set(), 4096
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", buffering=0) as memory:
        for line in maps:
            span, rights, rest = line.split(None, 2)
            if "r" not in rights or rest.endswith(("[vvar]\n", "[vsyscall]\n", "[vvar_vclock]\n")):
                continue
            start, end = (int(x, 16) for x in span.split("-"))
            if end - start >= SHADOW:
                continue
            for at in range(start, end, CHUNK):
                try:
                    memory.seek(at)
                    found |= _search(memory.read(min(CHUNK + overlap, end - at)), secrets)
                except (OSError, ValueError, OverflowError):
                    break
    return found


def in_folder(folder, secrets):
    found = set()
    for path, _, files in os.walk(folder):
        for name in files:
            file = os.path.join(path, name)
            if os.path.isfile(file):
                with open(file, "rb") as handle:
                    found |= _search(handle.read(), secrets)
    return found
