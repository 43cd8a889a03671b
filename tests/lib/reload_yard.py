"""A key server whose edges and keys come and go while it serves."""
import os
import re
import signal
import subprocess
import time

import tls12
from daemon import program
from fleet import Identity, keyless, write
from pki import key_id
from processes import start

SIGN = "ops=sign_tls13"
P256 = "0403"
HASH = "11" * 32


class Yard:
    """A key server with an RSA and a P-256 key and two edges that may be taken out of its list."""

    def __init__(self, site, pki, extra=""):
        self.site, self.pki, self.askers = site, pki, []
        self.second = Identity(site.folder, "second.key")
        self.second_psk = write(site.folder + "/second.psk", keyless("genkey").stdout, 0o400)
        with open(self.second_psk) as handle:
            self.psk = handle.read().strip()
        self.server = site.start_server([pki.p256[0], pki.rsa[0]], authorized=self.first() + self.other(), extra=extra)

    def first(self, options=SIGN):
        return self.site.authorized_line("first", options=options)

    def other(self, options=SIGN):
        return self.site.authorized_line("other", self.second, self.psk, options)

    def write(self, text):
        path = os.path.join(self.server.folder, "authorized_edges")
        write(path + ".new", text)
        os.rename(path + ".new", path)

    def reload(self, outcome=r"event=edges_loaded"):
        since, begun = self.server.mark(), time.monotonic()
        self.server.send_signal(signal.SIGHUP)
        return self.server.wait_log(outcome, since), since, begun

    def next_vault(self, outcome):
        """Reloads, to OUTCOME; the pid of the vault that has taken over. Whose line comes first is nobody's promise: it is several
        processes that log."""
        _, since, _ = self.reload(outcome)
        return int(re.search(r"pid=(\d+)", self.server.wait_log(r"event=vault_ready cause=reload", since)).group(1))

    def asker(self, second=False):
        who = (self.second, self.second_psk) if second else (self.site.edge_identity, self.site.psk_path)
        self.askers.append(tls12.Asker(program("tests/peer_ask"), self.server, *who))
        return self.askers[-1]

    def load(self, seconds, kind="p256", in_flight=64, second=False):
        """Requests without a pause, in a process of their own."""
        who = {"identity": self.second, "psk_path": self.second_psk} if second else {}
        key, cert = getattr(self.pki, kind)
        config = self.site.edge_config([(self.server.address, self.server.identity.public)], [cert], "127.0.0.1:1", **who)
        return start([program("keyless"), "bench", "-c", config, "--op", "sign_tls13", "--key", key_id(cert),
                      "--in-flight", str(in_flight), "--seconds", str(seconds), "--warm-up", "0", "--json"],
                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def close(self):
        for asker in self.askers:
            asker.close()
