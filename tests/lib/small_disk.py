"""A disk that is soon full: a small tmpfs in a mount namespace of its own, which ends with this object."""
import contextlib
import os
import shutil
import subprocess

from processes import start

# As root, or in a user namespace where everybody may make one. Root and working folder are those of who holds it: the tests may run in a
# chroot, which another mount namespace does not know.
UNSHARE = ["unshare", "--mount"] + ([] if os.geteuid() == 0 else ["--user", "--map-root-user"])
ENTER = ["--mount", "--root", "--wd"] + ([] if os.geteuid() == 0 else ["--user", "--preserve-credentials"])
BLOCKS = (1 << 20, 4096)  # bytes; the last one is what a file takes at least


def missing():
    """What is missing to have one; None when nothing is."""
    for tool in ("unshare", "nsenter", "mount"):
        if shutil.which(tool) is None:
            return "the command %s (package util-linux or mount)" % tool
    done = subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, text=True)
    return None if done.returncode == 0 else "mounting in a namespace of one's own: " + done.stderr.strip()


class SmallDisk:
    """SIZE bytes at FOLDER, which is made here. Inside the namespace it is FOLDER, from outside it is `path`; `inside`
    is the beginning of a command that runs there."""

    def __init__(self, folder, size):
        self.folder = str(folder)
        os.makedirs(self.folder)
        self.holder = start(
            [*UNSHARE, "sh", "-c", 'mount -t tmpfs -o size=$1,mode=0700 tmpfs "$2" && echo mounted && exec cat', "sh",
             str(size), self.folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"mounted\n":
            self.close()
            raise AssertionError("no small disk could be mounted at " + self.folder)
        self.path = "/proc/%d/root%s" % (self.holder.pid, self.folder)
        self.inside = ["nsenter", "--target", str(self.holder.pid), *ENTER]

    def fill(self):
        """Takes all the room that is left, to the last block."""
        for size in BLOCKS:
            with open(os.path.join(self.path, "filler"), "ab", buffering=0) as filler, contextlib.suppress(OSError):
                while filler.write(bytes(size)) > 0:
                    pass

    def make_room(self):
        os.unlink(os.path.join(self.path, "filler"))

    def close(self):
        self.holder.stdin.close()
        self.holder.wait()
        self.holder.stdout.close()
