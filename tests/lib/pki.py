"""A certificate authority for tests: keys and certificates of every type, made with the openssl command."""
import datetime
import hashlib
import os
import subprocess
import tempfile

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


CA_CONFIG = """[ca]
default_ca = authority
[authority]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = names
unique_subject = no
[names]
commonName = supplied
"""


def sign(csr, ca, ca_key, out, extensions, days=30, start=0):
    """Signs the request CSR into OUT, valid from START to DAYS days from now; both may be negative or fractions.
    `openssl x509 -days` cannot do that: it starts now, and refuses negative days since 3.5. EXTENSIONS is a file."""
    def date(days):
        return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")

    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "ca.cnf")
        with open(config, "w") as handle:
            handle.write(CA_CONFIG.format(folder=folder))
        open(os.path.join(folder, "index"), "w").close()
        openssl("ca", "-batch", "-notext", "-config", config, "-cert", ca, "-keyfile", ca_key, "-in", csr, "-out", out,
                "-extfile", extensions, "-startdate", date(start), "-enddate", date(days))


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

    def issue(self, name, key_type, hosts, days=30, start=0, key=None):
        """A key NAME.key (mode 0400; or KEY, which is there already) and a certificate NAME.pem for HOSTS, valid from START
        to DAYS days from now; returns both paths."""
        own, csr, cert, extensions = (self.path(name + end) for end in (".key", ".csr", ".pem", ".ext"))
        if key is None:
            openssl("genpkey", *KEY_TYPES[key_type], "-out", own)
            os.chmod(own, 0o400)
            key = own
        openssl("req", "-new", "-key", key, "-subj", "/CN=" + hosts[0], "-out", csr)
        with open(extensions, "w") as handle:
            handle.write("subjectAltName=%s\nbasicConstraints=CA:FALSE\n" % ",".join("DNS:" + h for h in hosts))
        sign(csr, self.ca, self.ca_key, cert, extensions, days, start)
        return key, cert


def key_id(cert):
    """SHA-256 of the certificate's SubjectPublicKeyInfo, in hex."""
    public = openssl("x509", "-in", cert, "-noout", "-pubkey")
    return hashlib.sha256(openssl("pkey", "-pubin", "-outform", "DER", input=public)).hexdigest()
