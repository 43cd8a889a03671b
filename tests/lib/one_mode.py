"""An edge and a key server that serve RSA key exchange in one mode only, for clients made by hand (tls12_client.py)."""
import os
import re
import socket

import pytest

import clients
from daemon import SLOW
from tls12_client import RECORD_MAX, Alert, Client

MODES = {"plain": ("rsa_premaster", "ops=sign_tls12,sign_tls13,rsa_premaster"), "bound": ("rsa_master", "ops=sign_tls12,sign_tls13,rsa_master")}
ANSWERS = r'keyless_server_answers_total\{operation="%s",status="%s"'
REPLACED = "keyless_edge_rsa_ciphertexts_replaced_total"
# What differs between any two connections that fail alike.
OWN = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z|\w*(trace|peer|client|us|ms|time|addr|port)=\S+")


class Rig:
    """An edge whose key server serves RSA key exchange in one mode only."""

    def __init__(self, site, pki, origin, mode):
        self.operation, options = MODES[mode]
        self.pki = pki
        self.server = site.start_server([pki.rsa[0]], authorized=site.authorized_line(options=options), extra="epoch = 10m")
        self.edge = site.start_edge([self.server], [pki.rsa[1]], origin.address)
        if mode == "bound":
            self.edge.wait_epochs()
        self.edge.wait_grants()

    def client(self, raw, **how):
        return Client(raw, os.urandom(32), self.pki.rsa[1], **how)

    def connect(self):
        return socket.create_connection((self.edge.host, self.edge.port), timeout=60 * SLOW)

    def counted(self):
        """Figures of both sides: operations answered, refused, ciphertexts replaced, exchanges that are not in this mode."""
        server, edge = self.server.admin, self.edge.admin
        return [server.metric(ANSWERS % (self.operation, "ok")), server.metric(ANSWERS % (".*", "refused")), edge.metric(REPLACED),
                edge.metric("keyless_edge_key_operations_rejected_total"), edge.metric('rsa_key_exchanges_total{mode="too_long"}')]

    def fail(self, key_exchange, then=Client.finish):
        """(alert, log lines, how the figures changed) of a handshake with that body of ClientKeyExchange, and what comes THEN."""
        before, since = self.counted(), self.edge.mark()
        with self.connect() as raw, pytest.raises(Alert) as alert:
            client = self.client(raw)
            client.hello()
            client.exchange(key_exchange)
            then(client)
        self.edge.wait_log("event=connection .*result=handshake_failed", since)
        lines = [OWN.sub("*", line) for line in self.edge.find("event=(handshake_failed|connection) ", since)]
        return alert.value.args[0], lines, [b - a for a, b in zip(before, self.counted())]

    def serves(self, record=RECORD_MAX, **hello):
        """A handshake with that ClientHello, in records of RECORD bytes, and a page; Alert when there is none."""
        with self.connect() as raw:
            client = self.client(raw, record=record)
            client.handshake(**hello)
            client.send(clients.REQUEST)
            since = self.edge.mark()
            assert b"from the origin" in client.receive()
        self.edge.wait_log("event=connection ", since)
