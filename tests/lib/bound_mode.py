"""Sites in bound mode: edges and key servers for TLS 1.2 RSA key exchange, and counts of its handshakes by kind."""
import ssl

import clients

BOUND = "ops=sign_tls12,sign_tls13,rsa_master"
BOTH = "ops=sign_tls12,sign_tls13,rsa_master,rsa_premaster"
MODE = r'keyless_edge_rsa_key_exchanges_total\{mode="%s"\}'
KIND = r'keyless_edge_handshakes_total\{kind="%s"\}'
KEY_SECONDS = 60  # the most that the option takes
PATIENT = "key = %ds handshake = %ds" % (KEY_SECONDS, 2 * KEY_SECONDS)
WAITING = "keyless_edge_handshakes_waiting_for_key"


def start(site, pki, origin, servers=1, options=BOUND, extra="", **edge):
    started = [site.start_server([pki.rsa[0]], authorized=site.authorized_line(options=options), extra=extra) for _ in range(servers)]
    return started, site.start_edge(started, [pki.rsa[1]], origin.address, **edge).wait_epochs(servers)


def tls(pki, options=0, ciphers=clients.RSA_KX):
    made = clients.context(pki.ca, ssl.TLSVersion.TLSv1_2, ciphers)
    made.options |= options
    return made


class Counted:
    """How many RSA handshakes of each sort there were inside of a `with`."""

    def __init__(self, edge, server=None):
        self.edge, self.server = edge, server

    def _now(self):
        edge = self.edge.admin
        now = {"bound": edge.metric(KIND % "rsa"), "plain": edge.metric(KIND % "rsa_plain"), "resumed": edge.metric(KIND % "resumed12"),
               "no_ems": edge.metric(MODE % "no_extended_master_secret")}
        if self.server:
            for operation in ("rsa_master", "rsa_premaster"):
                now[operation] = self.server.admin.metric(r'keyless_server_answers_total\{operation="%s",status="ok"' % operation)
        return now

    def __enter__(self):
        self.before = self._now()
        return self

    def __exit__(self, *_):
        pass

    def __eq__(self, expected):
        now = self._now()
        self.seen = {name: now[name] - self.before[name] for name in now if now[name] != self.before[name]}
        return self.seen == expected

    def __repr__(self):
        return repr(self.seen)
