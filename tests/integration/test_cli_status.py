"""keyless status: daemons that are ready, that are not, and that nobody reaches."""
import json
import os
import re

from command import admin, replace, run
from daemon import Daemon, program
from fleet import keyless


def test_status_of_both(shared):
    done = keyless("status", admin(shared.server), admin(shared.edge))
    assert re.search(r"^keyless-server \d\S* at %s: ready, up " % re.escape(admin(shared.server)), done.stdout, re.M)
    assert re.search(r"^keyless-edge \d\S* at %s: ready, up " % re.escape(admin(shared.edge)), done.stdout, re.M)
    assert re.search(r"^ +vault +6 keys, \d+ workers", done.stdout, re.M)
    assert re.search(r"^ +EDGE +ADDRESS +CONNECTED +RTT ms +IN FLIGHT +REQUESTS +PER s +REFUSED +SOFTWARE\n +edge1 +127\.0\.0\.1:\d+ ", done.stdout, re.M)
    assert re.search(r"^ +KEY SERVER +ADDRESS +STATE .*\n +ks1 +%s +connected " % re.escape(shared.server.address), done.stdout, re.M)
    assert re.search(r"^ +rsa\.test +rsa +(29|30) +/", done.stdout, re.M)
    assert "\033" not in done.stdout  # no terminal
    assert keyless("status", "--all", admin(shared.edge)).stdout.count(".pem") >= 6


def test_status_json(shared):
    server, edge = json.loads(keyless("status", "--json", admin(shared.server), admin(shared.edge)).stdout)
    assert server["reachable"] and server["ready"] and server["status"]["vault"]["keys"] == 6
    assert edge["reachable"] and edge["ready"] and edge["status"]["program"] == "keyless-edge"


def test_status_over_a_unix_socket(site, pki):
    path = os.path.join(site.folder, "a.sock")
    _, config, _ = site.server_folder([pki.rsa[0]])
    replace(config, 'admin = "127.0.0.1:0"', 'admin = "unix:%s"' % path)
    server = Daemon([program("keyless-server"), "-c", config])
    site.daemons.append(server)
    server.wait_log(r"event=ready\b")
    assert re.search(r"^keyless-server .*: ready", keyless("status", "unix:" + path).stdout)


def test_status_not_ready_ends_with_1(site, pki):
    edge = site.start_edge([site.absent_server()], [pki.rsa[1]], "127.0.0.1:1", ready=False)
    done = run("status", admin(edge))
    assert done.returncode == 1 and re.search(r"^keyless-edge .*: not ready: \S", done.stdout)
    assert "disconnected" in done.stdout
    (one,) = json.loads(run("status", "--json", admin(edge)).stdout)
    assert one["reachable"] and not one["ready"] and one["why"]


def test_status_of_nobody_ends_with_3(shared, tmp_path):
    nobody = "unix:%s/none" % tmp_path
    done = run("status", nobody, admin(shared.server))
    assert done.returncode == 3 and "is the daemon running" in done.stderr and "keyless-server" in done.stdout
    (one,) = json.loads(run("status", "--json", nobody).stdout)
    assert not one["reachable"] and one["why"]


def test_status_of_something_else_ends_with_3(origin):
    done = run("status", origin.address)
    assert done.returncode == 3 and origin.address in done.stderr
