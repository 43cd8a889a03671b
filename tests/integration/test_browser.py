"""A page in headless Chromium, through the edge."""
import os
import shutil
import subprocess

import pytest

from pki import openssl

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.parametrize("host", ["rsa", "p256"])
def test_a_page_in_chromium(shared, pki, tmp_path, host):
    """The certificate is trusted by its key's hash; a wrong signature or key would fail all the same."""
    if not CHROMIUM:
        pytest.skip("chromium is missing")
    cert = getattr(pki, host)[1]
    public = openssl("pkey", "-pubin", "-outform", "DER", input=openssl("x509", "-in", cert, "-noout", "-pubkey"))
    pin = openssl("base64", "-A", input=openssl("dgst", "-sha256", "-binary", input=public)).decode()
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--user-data-dir=%s" % (tmp_path / "profile"),
         "--host-resolver-rules=MAP *.test 127.0.0.1", "--ignore-certificate-errors-spki-list=" + pin, "--dump-dom",
         "https://%s.test:%d/" % (host, shared.edge.port)],
        capture_output=True, text=True, timeout=120, env=dict(os.environ, HOME=str(tmp_path)))
    assert "from the origin" in done.stdout, done.stderr[-2000:]
