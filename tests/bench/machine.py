"""The machine: who is measured on, CPU time of processes, and what binds them to a CPU."""
import os
import re
import shutil
import subprocess
import time

from daemon import program

CPUS = sorted(os.sched_getaffinity(0))
# What is measured runs on one CPU, what asks on another; with one CPU there is nothing to choose.
SERVER_CPU, CLIENT_CPU = (CPUS[1], CPUS[0]) if len(CPUS) > 1 else (-1, -1)


def cpu_seconds(pids):
    """CPU time of whole processes, threads that have ended included, in nanosecond steps (clock_getcpuclockid(3))."""
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)


def children(parent):
    """Process ids of the children of PARENT, by no name: workers often have the same."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % entry) as handle:
                fields = handle.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(entry))
    return sorted(found)


def pin(pids, cpu):
    """Binds every thread of PIDS; those that they start later inherit it."""
    for pid in pids if cpu >= 0 else ():
        for task in os.listdir("/proc/%d/task" % pid):
            os.sched_setaffinity(int(task), {cpu})


def pinned(command, cpu):
    """COMMAND for subprocess, bound to CPU from its start."""
    return ["taskset", "-c", str(cpu), *command] if cpu >= 0 and shutil.which("taskset") else list(command)


def resident_kb(pids):
    total = 0
    for pid in pids:
        with open("/proc/%d/status" % pid) as handle:
            total += int(re.search(r"VmRSS:\s+(\d+)", handle.read()).group(1))
    return total


def proportional_kb(pids):
    """Resident memory in which a page of several processes counts once, in parts; None where that may not be read."""
    total = 0
    try:
        for pid in pids:
            with open("/proc/%d/smaps_rollup" % pid) as handle:
                total += int(re.search(r"^Pss:\s+(\d+)", handle.read(), re.M).group(1))
    except OSError:
        return None
    return total


def first_line(*command):
    """What a program says of its version; None when it is not installed."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.strip().splitlines()[0].strip()


def has_ifma():
    with open("/proc/cpuinfo") as handle:
        return "avx512ifma" in handle.read()


def describe():
    with open("/proc/cpuinfo") as handle:
        cpu = handle.read()

    def field(name):
        found = re.search(r"^%s\s*:\s*(.*)$" % name, cpu, re.M)
        return found.group(1) if found else "?"

    system = re.search(r'^PRETTY_NAME="?([^"\n]*)', open("/etc/os-release").read(), re.M) if os.path.exists("/etc/os-release") else None
    return {
        "cpu": "%s (family %s, model %s), %d CPUs, %s AVX-512 IFMA" % (
            field("model name"), field("cpu family"), field("model"), len(CPUS), "with" if has_ifma() else "without"),
        "kernel": "%s %s" % (os.uname().sysname, os.uname().release),
        "system": system.group(1) if system else "?",
        "openssl": first_line("openssl", "version"),
        "client": first_line(program("bench/tls_client"), "library"),
        "nginx": first_line("nginx", "-v"),
        "haproxy": first_line("haproxy", "-v"),
        "hitch": first_line("hitch", "--version"),
    }


SPEED = {"rsa2048": "rsa2048", "rsa3072": "rsa3072", "rsa4096": "rsa4096", "p256": "ecdsap256", "p384": "ecdsap384",
         "ed25519": "ed25519"}


def speed_us(key_type, seconds):
    """CPU µs of one private-key operation by `openssl speed`, on the CPU where the servers are."""
    done = subprocess.run(pinned(["openssl", "speed", "-mr", "-seconds", str(max(1, round(seconds))), SPEED[key_type]], SERVER_CPU),
                          capture_output=True, text=True, check=True)
    # +F2 (RSA), +F4 (ECDSA), +F6 (EdDSA; with the name before the figures): signatures a second
    fields = next(line for line in done.stdout.splitlines() if re.match(r"\+F[246]:", line)).split(":")
    return 1e6 / float(fields[4] if fields[0] == "+F6" else fields[3])
