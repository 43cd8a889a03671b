"""Pages in headless Chromium, through the edge: the newest handshake, and the oldest and hardest one."""
import os
import re
import shutil
import subprocess

import pytest

from daemon import SLOW
from pki import openssl

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync",
           "--host-resolver-rules=MAP *.test 127.0.0.1"]
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium (package chromium) is missing")


def page(edge, pki, name, profile):
    """The page as Chromium shows it. It trusts the certificate by its key's hash: a wrong signature would fail all the same."""
    public = openssl("pkey", "-pubin", "-outform", "DER",
                     input=openssl("x509", "-in", getattr(pki, name)[1], "-noout", "-pubkey"))
    pin = openssl("base64", "-A", input=openssl("dgst", "-sha256", "-binary", input=public)).decode()
    done = subprocess.run(
        [CHROMIUM, *OPTIONS, "--user-data-dir=%s" % profile, "--ignore-certificate-errors-spki-list=" + pin, "--dump-dom",
         "https://%s.test:%d/" % (name, edge.port)],
        capture_output=True, text=True, timeout=120 * SLOW, env=dict(os.environ, HOME=str(profile)))
    assert "from the origin" in done.stdout, done.stderr[-2000:]


def kinds(edge):
    """The kinds of full handshakes that there have been."""
    found = {re.search(r'kind="(\w+)"', name).group(1): count for name, count in edge.admin.metrics().items()
             if name.startswith("keyless_edge_handshakes_total")}
    return {kind for kind, count in found.items() if count and not kind.startswith("resumed")}


@pytest.mark.parametrize("name, tls, kind", [
    ("rsa", "", "tls13_rsa"),
    ("p256", "", "tls13_ecdsa"),
    ("rsa", 'maximum_version = "tls1.2"', "ecdhe_rsa"),
    ("rsa", 'maximum_version = "tls1.2" rsa_key_exchange = on ciphers = "AES128-GCM-SHA256"', "rsa"),
], ids=["tls13_rsa", "tls13_ecdsa", "ecdhe_rsa", "rsa_key_exchange"])
def test_a_page_in_chromium(site, pki, origin, tmp_path, name, tls, kind):
    key, cert = getattr(pki, name)
    edge = site.start_edge([site.start_server([key])], [cert], origin.address, tls=tls)
    page(edge, pki, name, tmp_path / "profile")
    assert kinds(edge) == {kind}
