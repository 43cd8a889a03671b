"""The goals, and whether a figure meets its own. Nothing else here is written down: figures and references come from the run."""

LANES, SCALAR = "lanes", "scalar"
# Rate through the whole daemon and channel as a multiple of `openssl speed`, 64 in flight: at least.
KEY_SERVER = {
    LANES: {"rsa2048": 1.8, "rsa3072": 3.5, "rsa4096": 3.5, "p256": 3.5, "ed25519": 2.0},
    SCALAR: {"rsa2048": 0.95, "rsa3072": 0.95, "rsa4096": 0.95, "p256": 0.85},
}
ALONE_US = 40          # over a bare echo and the operation itself, p50: at most
BESIDE_RSA_MS = 5      # p99 of ECDSA beside 1,024 RSA of another edge: at most
# CPU of a full handshake against nginx with a local key: at most. Names as in edge.HANDSHAKES.
EDGE = {"TLS 1.2 RSA": 0.35, "TLS 1.2 ECDHE-RSA": 0.55, "TLS 1.2 ECDHE-ECDSA": 0.95, "TLS 1.3 ECDSA": 0.95}
TOGETHER = {"TLS 1.2 RSA": 0.65, "TLS 1.2 ECDHE-RSA": 0.65, "TLS 1.2 ECDHE-ECDSA": 1.0, "TLS 1.3 ECDSA": 1.0}
WAITING = 10000        # handshakes at once, all of which complete
WAITING_KB = 60        # each: at most
IDLE_KB = 30           # of a TLS connection: at most
BULK = 1.0             # CPU per MB against the best of the others: at most
SERVER_START_MB = 15   # resident: at most
RELOAD_MS = 100        # that takes an edge away, whatever the number of keys: at most
SERVER_CHANNEL_KB = 8  # of an idle channel: at most

MET, MISSED, OPEN = "met", "missed", "–"


def row(group, what, figure, unit, reference=None, reference_name="", at_least=None, at_most=None, not_applicable=None, value=None):
    """One line of the result. The goal is for VALUE, by default FIGURE; without a goal the line only informs."""
    value = figure if value is None and not not_applicable else value
    goal = at_least if at_least is not None else at_most
    if not_applicable:
        verdict = "not applicable: " + not_applicable
    elif goal is None or value is None:
        verdict = OPEN
    else:
        verdict = MET if (value >= goal if at_least is not None else value <= goal) else MISSED
    return {"group": group, "what": what, "figure": figure, "unit": unit, "reference": reference, "reference_name": reference_name,
            "value": value, "goal": goal, "direction": "at least" if at_least is not None else "at most" if at_most is not None else None,
            "verdict": verdict}
