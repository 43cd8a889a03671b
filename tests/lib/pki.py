"""A certificate authority for tests: keys and certificates of every type, made with the openssl command."""
import hashlib
import os
import subprocess

KEY_TYPES = {
    "rsa2048": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "rsa3072": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"],
    "rsa4096": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"],
    "p256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "p384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "ed25519": ["-algorithm", "ED25519"],
}


def openssl(*arguments, input=None):
    done = subprocess.run(["openssl", *arguments], input=input, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError("openssl %s: %s" % (" ".join(arguments), done.stderr.decode(errors="replace")))
    return done.stdout


class Authority:
    """Keeps everything in FOLDER; `ca` is the path of the root certificate."""

    def __init__(self, folder):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.ca, self.ca_key = self.path("ca.pem"), self.path("ca.key")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", "/CN=Test CA", "-keyout", self.ca_key, "-out", self.ca)

    def path(self, name):
        return os.path.join(self.folder, name)

    def issue(self, name, key_type, hosts, days=30):
        """A key NAME.key (mode 0400) and a certificate NAME.pem for HOSTS; returns both paths."""
        key, csr, cert, extensions = (self.path(name + end) for end in (".key", ".csr", ".pem", ".ext"))
        openssl("genpkey", *KEY_TYPES[key_type], "-out", key)
        os.chmod(key, 0o400)
        openssl("req", "-new", "-key", key, "-subj", "/CN=" + hosts[0], "-out", csr)
        with open(extensions, "w") as handle:
            handle.write("subjectAltName=%s\nbasicConstraints=CA:FALSE\n" % ",".join("DNS:" + h for h in hosts))
        openssl("x509", "-req", "-in", csr, "-CA", self.ca, "-CAkey", self.ca_key, "-CAcreateserial",
                "-days", str(days), "-extfile", extensions, "-out", cert)
        return key, cert


def key_id(cert):
    """SHA-256 of the certificate's SubjectPublicKeyInfo, in hex."""
    public = openssl("x509", "-in", cert, "-noout", "-pubkey")
    return hashlib.sha256(openssl("pkey", "-pubin", "-outform", "DER", input=public)).hexdigest()
