"""Audit logs for tests of what reads them."""
import json
import os
import shutil
import subprocess

from daemon import BUILD, PATIENCE
from processes import start


class WrittenLog:
    """An audit log below FOLDER, written by a program that does what the vault does."""

    def __init__(self, folder, keys, count=60, rotate=6000):
        self.top = str(folder)
        self.folder, self.key, self.public = (os.path.join(self.top, name) for name in ("log", "audit.key", "audit.pub"))
        key_folder = os.path.join(self.top, "keys")
        os.makedirs(key_folder)
        for name, path in keys.items():
            target = os.path.join(key_folder, name + ".pem")
            shutil.copy(path, target)
            os.chmod(target, 0o400)
        self.process = start(
            [os.path.join(BUILD, "tests", "peer_audit"), "write", self.folder, self.key, key_folder, str(count), str(rotate)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.wait()

    def wait(self):
        assert self.process.stdout.readline() == "written\n"

    def more(self, count=1):
        for _ in range(count):
            self.process.stdin.write("more\n")
            self.process.stdin.flush()
            self.wait()

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(timeout=PATIENCE) == 0
        self.process.stdout.close()
        return self

    def files(self):
        return sorted(os.path.join(self.folder, name) for name in os.listdir(self.folder) if name.startswith("audit-"))

    def lines(self):
        """(file, line number, record) of every record."""
        found = []
        for path in self.files():
            with open(path) as handle:
                found += [(path, number, json.loads(line)) for number, line in enumerate(handle, 1)]
        return found

    def copy(self, folder):
        other = object.__new__(WrittenLog)
        shutil.copytree(self.folder, os.path.join(str(folder), "log"))
        other.top, other.folder = str(folder), os.path.join(str(folder), "log")
        other.key, other.public, other.process = self.key, self.public, None
        return other
