#include "tests/unit/keyserver/world.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keyserver/rules/authorized_snapshot.h"

bool world_keeps_listener;
rlim_t world_descriptors; /* that the net process may have; 0 = as many as this one */
int world_in_flight;      /* requests of one edge; 0 = IN_FLIGHT */

/* ---- the world around it ---- */

static char *path_in(const struct fixture *f, const char *name)
{
    char *path = NULL;
    assert_true(asprintf(&path, "%s/%s", f->folder, name) > 0);
    return path;
}

void write_edges(struct fixture *f, const char *first, const char *second)
{
    const char *const options[2] = {first, second};
    char key[IDENTITY_TEXT_SIZE], psk[IDENTITY_TEXT_SIZE];
    int fd = open(f->config.authorized_edges, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    for (int i = 0; i < 2; i++) {
        base64_encode(key, f->edges[i].public, 32);
        base64_encode(psk, f->psks[i], 32);
        if (options[i] != NULL)
            assert_true(dprintf(fd, "%s edge%d psk=%s %s\n", key, i, psk, options[i]) > 0);
    }
    close(fd);
}

static void write_files(struct fixture *f)
{
    struct fault fault;

    identity_generate(&f->server);
    assert_int_equal(identity_save_secret(f->config.identity, f->server.secret, &fault), 0);
    for (int i = 0; i < 2; i++) {
        identity_generate(&f->edges[i]);
        random_bytes(f->psks[i], 32);
    }
    write_edges(f, "", "");
}

static int listen_on_loopback(struct address *address)
{
    struct fault fault;

    assert_int_equal(address_parse(address, "127.0.0.1:0", 0, &fault), 0);
    int fd = address_listen(address, false, 64, &fault);
    assert_true(fd >= 0);
    assert_int_equal(address_of_socket(fd, address), 0);
    return fd;
}

int take_snapshot(const struct fixture *f)
{
    struct fault fault;
    int fd = authorized_snapshot_take(f->config.authorized_edges, &fault);

    assert_true(fd >= 0);
    return fd;
}

int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    int control[2];
    struct control_message message;
    int passed;

    assert_non_null(f);
    assert_int_equal(secret_init(), 0);
    strcpy(f->folder, "/tmp/test_net.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    f->config = (struct server_config){.identity = path_in(f, "identity"),
                                       .authorized_edges = path_in(f, "authorized_edges"),
                                       .in_flight_per_edge = world_in_flight != 0 ? world_in_flight
                                                                                  : IN_FLIGHT,
                                       .deadline_max = world_in_flight != 0 ? 60000 : 5000,
                                       .handshake_timeout = 5000,
                                       .idle_timeout = 60000,
                                       .drain_timeout = 5000,
                                       .half_open_max = 64,
                                       .handshakes_per_second = 0};
    write_files(f);
    int listener = listen_on_loopback(&f->listen), admin = listen_on_loopback(&f->admin);
    assert_int_equal(control_pair(control), 0);
    f->pid = fork();
    assert_true(f->pid >= 0);
    if (f->pid == 0) {
        struct identity *identity = NULL;
        struct fault fault;
        if (identity_load(&identity, f->config.identity, &fault) != 0)
            _exit(99);
        const struct net_descriptors given = {.control = control[1],
                                              .identity = identity,
                                              .edges = take_snapshot(f),
                                              .admin = admin,
                                              .listeners = &listener,
                                              .listener_count = 1};
        close(control[0]);
        log_init("net", LOG_ERROR, LOG_LOGFMT);
        if (world_descriptors != 0)
            (void)setrlimit(RLIMIT_NOFILE, &(struct rlimit){world_descriptors, world_descriptors});
        _exit(net_run(&f->config, &given));
    }
    close(control[1]);
    if (world_keeps_listener)
        f->listener = listener;
    else
        close(listener);
    close(admin);
    f->control = control[0];
    f->wall.fd = -1;
    assert_int_equal(poll(&(struct pollfd){.fd = f->control, .events = POLLIN}, 1, EDGE_PATIENCE_MS), 1);
    assert_int_equal(control_receive(f->control, &message, &passed), 0);
    assert_int_equal(message.kind, CONTROL_STARTED);
    *state = f;
    return 0;
}

int finish(struct fixture *f)
{
    int status = -1;

    if (f->pid <= 0)
        return 0;
    (void)!control_send(f->control, CONTROL_DRAIN, 0, -1); /* it may have ended by itself */
    assert_int_equal(waitpid(f->pid, &status, 0), f->pid);
    f->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int tear_down(void **state)
{
    struct fixture *f = *state;

    if (f->wall.fd >= 0)
        wall_close(&f->wall);
    int status = finish(f);
    close(f->control);
    unlink(f->config.identity);
    unlink(f->config.authorized_edges);
    rmdir(f->folder);
    free(f->config.identity);
    free(f->config.authorized_edges);
    free(f);
    return status;
}

void connect_edge(struct fixture *f, struct test_edge *edge, int which)
{
    edge_connect(edge, &f->listen, &f->edges[which], f->server.public, f->psks[which]);
}

/* ---- playing the vault ---- */

void give_wall(struct fixture *f, enum control_wall_cause cause, struct wall *old)
{
    int net, vault;

    assert_int_equal(wall_pair(&net, &vault), 0);
    assert_int_equal(control_send(f->control, CONTROL_WALL, cause, net), 0);
    close(net);
    if (old != NULL)
        *old = f->wall;
    else if (f->wall.fd >= 0)
        wall_close(&f->wall);
    assert_int_equal(wall_adopt(&f->wall, vault), 0);
}

void until_ready(struct fixture *f)
{
    struct buffer body;
    uint64_t until = clock_ms() + EDGE_PATIENCE_MS;
    int status;

    do {
        buffer_init(&body);
        status = admin_get(&f->admin, "/ready", 1000, &body);
        buffer_clear(&body);
        assert_true(clock_ms() < until);
    } while (status != 200);
}

/* The next slot from WALL of any kind, copied; fails after a while. */
static struct wall_request any_slot(struct fixture *f, struct wall *wall)
{
    while (f->slot_next >= f->slot_count) {
        assert_true(wall_rig_wait(wall, WALL_SLOTS, EDGE_PATIENCE_MS));
        f->slot_count = wall_receive_requests(wall, f->slots, WALL_BATCH_MAX);
        f->slot_next = 0;
        assert_true(f->slot_count >= 0);
    }
    struct wall_request slot = f->slots[f->slot_next++];
    if (slot.kind == WALL_EPOCH_WANTED) {
        f->epochs_wanted++;
        memcpy(f->epoch_edge, slot.edge_key, sizeof f->epoch_edge);
    }
    return slot;
}

struct wall_request next_slot(struct fixture *f, struct wall *wall)
{
    struct wall_request slot = any_slot(f, wall);

    while (slot.kind == WALL_EPOCH_WANTED)
        slot = any_slot(f, wall);
    return slot;
}

const uint8_t *next_epoch_wanted(struct fixture *f, struct wall *wall)
{
    while (any_slot(f, wall).kind != WALL_EPOCH_WANTED)
        ;
    return f->epoch_edge;
}

void answer_epoch(struct wall *wall, const uint8_t *edge_key, uint64_t number, uint8_t fill, uint32_t left_ms)
{
    struct wall_answer slot = {.kind = WALL_EPOCH};

    memcpy(slot.u.epoch.edge_key, edge_key, 32);
    memset(slot.u.epoch.key, fill, sizeof slot.u.epoch.key);
    slot.u.epoch.number = number;
    slot.u.epoch.left_ms = left_ms;
    assert_int_equal(wall_send_answers(wall, &slot, 1), 1);
}

void send_epoch_number(struct wall *wall, uint64_t number)
{
    struct wall_answer slot = {.kind = WALL_STATS};

    slot.u.stats.ready = 1;
    slot.u.stats.epoch = number;
    assert_int_equal(wall_send_answers(wall, &slot, 1), 1);
}

void answer(struct wall *wall, uint64_t token, const char *text)
{
    struct wall_answer slot = {.token = token, .kind = WALL_OUTCOME};

    slot.u.outcome.length = (uint16_t)strlen(text);
    memcpy(slot.u.outcome.bytes, text, strlen(text));
    assert_int_equal(wall_send_answers(wall, &slot, 1), 1);
}

void send_stats(struct wall *wall, uint32_t workers, uint64_t faults)
{
    struct wall_answer slot = {.kind = WALL_STATS};

    slot.u.stats.workers = workers;
    slot.u.stats.faults = faults;
    slot.u.stats.ready = 1;
    assert_int_equal(wall_send_answers(wall, &slot, 1), 1);
}

double metric(struct fixture *f, const char *name)
{
    struct buffer body;
    double value = -1;

    buffer_init(&body);
    assert_int_equal(admin_get(&f->admin, "/metrics", 5000, &body), 200);
    assert_int_equal(buffer_put(&body, "", 1), 0);
    const char *text = (const char *)buffer_bytes(&body);
    size_t length = strlen(name);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == ' ')
            value = strtod(line + length, NULL);
        if (*line == '\0')
            break;
    }
    buffer_clear(&body);
    return value;
}

void until_metric(struct fixture *f, const char *name, double value)
{
    uint64_t until = clock_ms() + EDGE_PATIENCE_MS;

    while (metric(f, name) != value) {
        if (clock_ms() > until)
            fail_msg("%s is %g, not %g", name, metric(f, name), value);
    }
}
