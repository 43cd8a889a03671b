"""Every kind of handshake, full and resumed, with the clients that people have."""
import pytest

import clients

# name, host, s_client options, curl options, gnutls priority, expected in s_client's text
T12, T13 = ["-tls1_2"], ["-tls1_3"]
CURL12 = ["--tlsv1.2", "--tls-max", "1.2"]


def tls12(name, host, cipher, gnutls, *more):
    return (name, host, T12 + ["-cipher", cipher, *more], CURL12 + ["--ciphers", cipher], gnutls, cipher)


def tls13(name, host, signature):
    return (name, host, T13, ["--tlsv1.3"], "NORMAL:-VERS-ALL:+VERS-TLS1.3", signature)


G12 = "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+%s:-CIPHER-ALL:+%s"
HANDSHAKES = [
    tls12("rsa_aes128_gcm", "rsa", "AES128-GCM-SHA256", G12 % ("RSA", "AES-128-GCM")),
    tls12("rsa_aes256_gcm", "rsa", "AES256-GCM-SHA384", G12 % ("RSA", "AES-256-GCM")),
    tls12("rsa_aes128_cbc", "rsa", "AES128-SHA", G12 % ("RSA", "AES-128-CBC")),
    tls12("rsa3072", "rsa3072", "AES128-GCM-SHA256", G12 % ("RSA", "AES-128-GCM")),
    tls12("rsa4096", "rsa4096", "AES128-GCM-SHA256", G12 % ("RSA", "AES-128-GCM")),
    tls12("ecdhe_rsa_pkcs1", "rsa", "ECDHE-RSA-AES128-GCM-SHA256",
          G12 % ("ECDHE-RSA", "AES-128-GCM") + ":-SIGN-ALL:+SIGN-RSA-SHA256:+SIGN-ECDSA-SHA256", "-sigalgs",
          "RSA+SHA256:ECDSA+SHA256"),
    tls12("ecdhe_rsa_pss", "rsa", "ECDHE-RSA-AES128-GCM-SHA256",
          G12 % ("ECDHE-RSA", "AES-128-GCM") + ":-SIGN-ALL:+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-ECDSA-SHA256", "-sigalgs",
          "rsa_pss_rsae_sha256:ECDSA+SHA256"),
    tls12("ecdhe_ecdsa_p256", "p256", "ECDHE-ECDSA-AES128-GCM-SHA256", G12 % ("ECDHE-ECDSA", "AES-128-GCM")),
    tls12("ecdhe_ecdsa_p384", "p384", "ECDHE-ECDSA-AES256-GCM-SHA384", G12 % ("ECDHE-ECDSA", "AES-256-GCM")),
    tls13("tls13_rsa_pss", "rsa", "RSA-PSS"),
    tls13("tls13_rsa3072", "rsa3072", "RSA-PSS"),
    tls13("tls13_ecdsa_p256", "p256", "ECDSA"),
    tls13("tls13_ecdsa_p384", "p384", "ECDSA"),
    tls13("tls13_ed25519", "ed25519", "Ed25519"),
]
each = pytest.mark.parametrize("case", HANDSHAKES, ids=[h[0] for h in HANDSHAKES])


@each
def test_openssl_full(shared, pki, case):
    _, host, options, _, _, expected = case
    ok, text = clients.s_client(shared.edge, host + ".test", pki.ca, *options)
    said = text.lower().replace("_", "-")  # "RSA-PSS", and since OpenSSL 3.5 "rsa_pss_rsae_sha256"
    assert ok and expected.lower() in said, text


@each
def test_openssl_resumed(shared, pki, case):
    ok, text = clients.s_client_resumed(shared.edge, case[1] + ".test", pki.ca, *case[2])
    assert ok, text


@each
def test_curl_full(shared, pki, case):
    ok, text = clients.curl(shared.edge, case[1] + ".test", pki.ca, *case[3])
    assert ok, text


def curl_twice(shared, pki, case):
    """curl keeps sessions inside one process: two URLs with the connection closed in between."""
    name, edge = case[1] + ".test", shared.edge
    url = "https://%s:%d/" % (name, edge.port)
    return clients.run(["curl", "-sS", "-v", "--resolve", "%s:%d:%s" % (name, edge.port, edge.host), "--cacert", pki.ca,
                        *case[3], "-H", "Connection: close", url, url])


@each
def test_curl_resumed(shared, pki, case):
    """The edge says whether the second connection was a resumption."""
    before = shared.edge.mark()
    code, text = curl_twice(shared, pki, case)
    assert code == 0 and text.count("from the origin") == 2, text
    shared.edge.wait_log(r"event=connection\b.*sni=\"?%s.*resumed=(1|true|yes)" % (case[1] + r"\.test"), before)


@each
def test_gnutls_full(shared, pki, case):
    ok, text = clients.gnutls(shared.edge, case[1] + ".test", pki.ca, case[4])
    assert ok, text


@each
def test_gnutls_resumed(shared, pki, case):
    ok, text = clients.gnutls(shared.edge, case[1] + ".test", pki.ca, case[4], resume=True)
    assert ok, text
