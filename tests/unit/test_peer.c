/* The link to the other node, with real sockets: who is let in, what arrives, what of the link is
 * told, and when.
 */
#include <criterion/criterion.h>
#include <czmq.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apps/ixnd/peer.h"
#include "core/base/alloc.h"
#include "dap/connection.h"
#include "tests/unit/own_address.h"

enum { PATIENCE_MS = 60000, LARGE = 30 * 1000 * 1000 };

#define SEEN_MAX 64

/* One end, with what it has been told about its link. */
typedef struct {
    config_t config;
    peer_t *peer;
    peer_link_t seen[SEEN_MAX];
    usec_t seen_at[SEEN_MAX];
    size_t seen_len;
} end_t;

static char s_folder[] = "/tmp/ixn-test-peer-XXXXXX";

static void s_begin(void)
{
    zsys_init();
    zsys_handler_set(NULL);
    cr_assert(mkdtemp(s_folder));
}

static void s_end(void)
{
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", s_folder);
    cr_expect_eq(system(command), 0);
}

TestSuite(peer, .init = s_begin, .fini = s_end, .timeout = 300);

/* ---- Ends ---- */

/* Makes a certificate of that name, as `ixnctl pair keygen` does. */
static void s_key(const char *name, char path[CONFIG_PATH_SIZE])
{
    snprintf(path, CONFIG_PATH_SIZE, "%s/%s", s_folder, name);
    zcert_t *certificate = zcert_new();
    cr_assert_eq(zcert_save_secret(certificate, path), 0);
    zcert_destroy(&certificate);
    cr_assert_eq(chmod(path, 0600), 0);
}

/* A port at which nobody listens. */
static void s_free_endpoint(char endpoint[CONFIG_PATH_SIZE])
{
    char any[OWN_ADDRESS_SIZE];
    void *context = zmq_ctx_new();
    void *socket = zmq_socket(context, ZMQ_PAIR);
    size_t size = CONFIG_PATH_SIZE;
    cr_assert_eq(zmq_bind(socket, own_address(any)), 0);
    cr_assert_eq(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
    zmq_close(socket);
    zmq_ctx_term(context);
}

static void s_configure(end_t *a, end_t *b)
{
    *a = (end_t){.config = {.has_peer = true}};
    s_key("pair.key", a->config.peer_certificate);
    s_free_endpoint(a->config.peer_bind);
    s_free_endpoint(a->config.peer_endpoint);
    *b = *a;
    memcpy(b->config.peer_bind, a->config.peer_endpoint, CONFIG_PATH_SIZE);
    memcpy(b->config.peer_endpoint, a->config.peer_bind, CONFIG_PATH_SIZE);
}

static void s_open(end_t *end)
{
    error_t error = {0};
    end->peer = peer_new(&end->config, &error);
    cr_assert(end->peer, "%s", error.text);
}

static void s_watch(end_t *end)
{
    peer_link_t event;
    while (end->peer && peer_next_link(end->peer, &event)) {
        if (end->seen_len == SEEN_MAX)
            continue;
        end->seen_at[end->seen_len] = connection_now();
        end->seen[end->seen_len++] = event;
    }
}

static bool s_has_seen(const end_t *end, peer_link_t event)
{
    for (size_t i = 0; i < end->seen_len; i++)
        if (end->seen[i] == event)
            return true;
    return false;
}

static void s_wait_for_link(end_t *end, peer_link_t event)
{
    usec_t until = connection_now() + PATIENCE_MS * USEC_PER_MS;
    for (s_watch(end); !s_has_seen(end, event); s_watch(end)) {
        cr_assert(connection_now() < until, "no event %d of the link", (int)event);
        zmq_pollitem_t item = {peer_monitor(end->peer), 0, ZMQ_POLLIN, 0};
        zmq_poll(&item, 1, 100);
    }
}

/* The next frame; waits for it. */
static const uint8_t *s_frame(end_t *end, size_t *ret_len)
{
    const uint8_t *bytes;
    usec_t until = connection_now() + PATIENCE_MS * USEC_PER_MS;
    while (!peer_receive(end->peer, &bytes, ret_len)) {
        cr_assert(connection_now() < until, "no frame");
        zmq_pollitem_t item = {peer_socket(end->peer), 0, ZMQ_POLLIN, 0};
        zmq_poll(&item, 1, 100);
    }
    return bytes;
}

static void s_expect_frame(end_t *end, const char *text)
{
    size_t len;
    const uint8_t *bytes = s_frame(end, &len);
    cr_expect(len == strlen(text) && memcmp(bytes, text, len) == 0, "%.*s", (int)len,
              (const char *)bytes);
}

static void s_say(end_t *end, const char *text)
{
    peer_send(end->peer, memory_copy(text, strlen(text)), strlen(text));
}

/* The other end in a process of its own, which can be stopped and killed. */
static pid_t s_open_elsewhere(const end_t *end)
{
    pid_t pid = fork();
    cr_assert(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
    end_t own = {.config = end->config};
    error_t error;
    zsys_shutdown();
    zsys_init();
    zsys_handler_set(NULL);
    own.peer = peer_new(&own.config, &error);
    while (own.peer) {
        size_t len;
        const uint8_t *bytes;
        zmq_pollitem_t item = {peer_socket(own.peer), 0, ZMQ_POLLIN, 0};
        zmq_poll(&item, 1, -1);
        while (peer_receive(own.peer, &bytes, &len))
            continue;
    }
    _exit(1);
}

static void s_kill(pid_t pid)
{
    cr_assert_eq(kill(pid, SIGKILL), 0);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

/* ---- What arrives ---- */

Test(peer, both_ways)
{
    end_t a, b;
    s_configure(&a, &b);
    s_open(&a);
    s_say(&a, "nobody is there: dropped");
    s_open(&b);
    s_wait_for_link(&a, PEER_LINK_UP);
    s_wait_for_link(&b, PEER_LINK_UP);
    for (int i = 0; i < 500; i++) {
        char text[20];
        snprintf(text, sizeof text, "frame %d", i);
        s_say(&a, text);
        s_say(&b, text);
        s_expect_frame(&b, text);
        s_expect_frame(&a, text);
    }
    peer_destroy(&a.peer);
    cr_expect_null(a.peer);
    peer_destroy(&a.peer);
    peer_destroy(&b.peer);
}

Test(peer, over_ipc)
{
    end_t a, b;
    s_configure(&a, &b);
    snprintf(a.config.peer_bind, CONFIG_PATH_SIZE, "ipc://%s/a", s_folder);
    snprintf(a.config.peer_endpoint, CONFIG_PATH_SIZE, "ipc://%s/b", s_folder);
    memcpy(b.config.peer_bind, a.config.peer_endpoint, CONFIG_PATH_SIZE);
    memcpy(b.config.peer_endpoint, a.config.peer_bind, CONFIG_PATH_SIZE);
    s_open(&a);
    s_wait_for_link(&a, PEER_LINK_REFUSED); /* the path is not there yet */
    s_open(&b);
    s_wait_for_link(&a, PEER_LINK_UP);
    s_say(&a, "x");
    s_expect_frame(&b, "x");
    a.seen_len = 0;
    peer_destroy(&b.peer);
    s_wait_for_link(&a, PEER_LINK_CLOSED);
    s_wait_for_link(&a, PEER_LINK_REFUSED);
    peer_destroy(&a.peer);
}

/* The largest batches arrive whole; and once they have, there is room for more: together they are
 * more than libzmq may hold at once. */
Test(peer, large_frames)
{
    end_t a, b;
    s_configure(&a, &b);
    s_open(&a);
    s_open(&b);
    s_wait_for_link(&a, PEER_LINK_UP);
    for (int round = 0; round < 6; round++) {
        uint8_t *bytes = memory_new(LARGE);
        for (size_t i = 0; i < LARGE; i++)
            bytes[i] = (uint8_t)(i * 7 + i / 251 + (size_t)round);
        uint8_t *copy = memory_copy(bytes, LARGE);
        peer_send(a.peer, bytes, LARGE);
        size_t len;
        const uint8_t *arrived = s_frame(&b, &len);
        cr_expect(len == LARGE && memcmp(arrived, copy, len) == 0);
        free(copy);
    }
    s_watch(&a);
    cr_expect_not(s_has_seen(&a, PEER_LINK_CLOSED));
    peer_destroy(&a.peer);
    peer_destroy(&b.peer);
}

/* ---- Who is let in ---- */

/* A stranger's DEALER that is connected to the port of `end`. */
typedef struct {
    void *context;
    void *socket;
    void *monitor;
} stranger_t;

static void s_connect(stranger_t *stranger, const end_t *end, zcert_t *own, const char *server_key)
{
    int linger = 0;
    stranger->context = zmq_ctx_new();
    stranger->socket = zmq_socket(stranger->context, ZMQ_DEALER);
    zmq_setsockopt(stranger->socket, ZMQ_LINGER, &linger, sizeof linger);
    if (own) {
        zmq_setsockopt(stranger->socket, ZMQ_CURVE_PUBLICKEY, zcert_public_key(own), 32);
        zmq_setsockopt(stranger->socket, ZMQ_CURVE_SECRETKEY, zcert_secret_key(own), 32);
        zmq_setsockopt(stranger->socket, ZMQ_CURVE_SERVERKEY, server_key, 41);
    }
    zmq_socket_monitor(stranger->socket, "inproc://m", ZMQ_EVENT_ALL);
    stranger->monitor = zmq_socket(stranger->context, ZMQ_PAIR);
    zmq_connect(stranger->monitor, "inproc://m");
    cr_assert_eq(zmq_connect(stranger->socket, end->config.peer_bind), 0);
}

static void s_disconnect(stranger_t *stranger)
{
    zmq_socket_monitor(stranger->socket, NULL, 0);
    zmq_close(stranger->monitor);
    zmq_close(stranger->socket);
    zmq_ctx_term(stranger->context);
}

/* Waits until the stranger was let in (true) or was turned away (false). */
static bool s_let_in(stranger_t *stranger)
{
    int patience = PATIENCE_MS;
    zmq_setsockopt(stranger->monitor, ZMQ_RCVTIMEO, &patience, sizeof patience);
    for (;;) {
        uint8_t event[6];
        char address[256];
        cr_assert_eq(zmq_recv(stranger->monitor, event, sizeof event, 0), 6);
        zmq_recv(stranger->monitor, address, sizeof address, 0);
        uint16_t number;
        memcpy(&number, event, sizeof number);
        if (number == ZMQ_EVENT_HANDSHAKE_SUCCEEDED)
            return true;
        if (number == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH || number == ZMQ_EVENT_DISCONNECTED ||
            number == ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL ||
            number == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)
            return false;
    }
}

/* Whoever does not hold the pair's key stays outside, whatever else it knows; the peer comes in
 * afterwards, and what it says is the first that is heard. */
Test(peer, strangers_stay_outside)
{
    end_t a, b;
    s_configure(&a, &b);
    s_open(&a);
    zcert_t *pair = zcert_load(a.config.peer_certificate);
    zcert_t *other = zcert_new();
    cr_assert(pair && other);
    const struct {
        zcert_t *own;
        const char *server_key;
    } strangers[] = {
        {NULL, NULL},                     /* no key */
        {other, zcert_public_txt(pair)},  /* knows the pair's public key */
        {other, zcert_public_txt(other)}, /* another pair */
        {pair, zcert_public_txt(other)},
    };
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++) {
        stranger_t stranger;
        s_connect(&stranger, &a, strangers[i].own, strangers[i].server_key);
        zmq_send(stranger.socket, "evil", 4, ZMQ_DONTWAIT);
        cr_expect_not(s_let_in(&stranger), "%zu", i);
        s_disconnect(&stranger);
    }
    s_open(&b);
    s_wait_for_link(&b, PEER_LINK_UP);
    s_say(&b, "good");
    s_expect_frame(&a, "good");
    peer_destroy(&a.peer);
    peer_destroy(&b.peer);
    zcert_destroy(&pair);
    zcert_destroy(&other);
}

/* Two nodes whose files differ: neither is up, and nobody is refused for that: a process is there.
 */
Test(peer, another_certificate)
{
    end_t a, b;
    s_configure(&a, &b);
    s_key("other.key", b.config.peer_certificate);
    s_open(&b);
    s_open(&a);
    zcert_t *pair = zcert_load(a.config.peer_certificate);
    for (int i = 0; i < 3; i++) {
        stranger_t stranger;
        s_connect(&stranger, &b, pair, zcert_public_txt(pair));
        cr_expect_not(s_let_in(&stranger));
        s_disconnect(&stranger);
    }
    s_watch(&a);
    cr_expect_eq(a.seen_len, 0);
    zcert_destroy(&pair);
    peer_destroy(&a.peer);
    peer_destroy(&b.peer);
}

/* A message of more parts than one is dropped, whoever sends it. */
Test(peer, only_single_parts)
{
    end_t a, b;
    s_configure(&a, &b);
    s_open(&a);
    zcert_t *pair = zcert_load(a.config.peer_certificate);
    stranger_t stranger;
    s_connect(&stranger, &a, pair, zcert_public_txt(pair));
    cr_assert(s_let_in(&stranger));
    for (int parts = 2; parts < 6; parts++)
        for (int i = 1; i <= parts; i++)
            zmq_send(stranger.socket, i == 1 ? "" : "garbage", i == 1 ? 0 : 7,
                     i < parts ? ZMQ_SNDMORE : 0);
    zmq_send(stranger.socket, "single", 6, 0);
    s_expect_frame(&a, "single");
    s_disconnect(&stranger);
    zcert_destroy(&pair);
    peer_destroy(&a.peer);
}

/* ---- The link ---- */

/* How soon a peer that is gone was given up. A busy machine can hold up one of them, so the best of
 * some is judged. */
typedef struct {
    usec_t refused;
    usec_t four_times;
} gone_t;

static usec_t s_least(usec_t one, usec_t other)
{
    return one < other ? one : other;
}

/* The events after the kill: CLOSED, then REFUSED again and again. */
static void s_expect_gone(end_t *a, usec_t killed_at, gone_t *best)
{
    s_wait_for_link(a, PEER_LINK_REFUSED);
    cr_expect_eq(a->seen[0], PEER_LINK_CLOSED);
    cr_expect_eq(a->seen[1], PEER_LINK_REFUSED);
    usec_t took = a->seen_at[1] - killed_at;
    best->refused = s_least(best->refused, took);
    fprintf(stderr, "closed after %lld us, refused after %lld us\n",
            (long long)(a->seen_at[0] - killed_at), (long long)took);
    for (int i = 0; i < 3; i++) {
        a->seen_len = 0;
        s_wait_for_link(a, PEER_LINK_REFUSED);
        cr_expect_not(s_has_seen(a, PEER_LINK_UP) || s_has_seen(a, PEER_LINK_CLOSED));
    }
    best->four_times = s_least(best->four_times, a->seen_at[0] - killed_at);
}

Test(peer, killed_and_back)
{
    enum { ROUNDS = 5 };
    end_t a, b;
    gone_t best = {USEC_NEVER, USEC_NEVER};
    s_configure(&a, &b);
    for (int i = 0; i < ROUNDS; i++) {
        pid_t pid = s_open_elsewhere(&b);
        if (!a.peer)
            s_open(&a);
        s_wait_for_link(&a, PEER_LINK_UP);
        s_watch(&a);
        a.seen_len = 0;
        usec_t killed_at = connection_now();
        s_kill(pid);
        s_expect_gone(&a, killed_at, &best);
        a.seen_len = 0;
    }
    cr_expect_lt(best.refused, 100 * USEC_PER_MS, "%lld us", (long long)best.refused);
    cr_expect_lt(best.four_times, 500 * USEC_PER_MS, "%lld us", (long long)best.four_times);
    peer_destroy(&a.peer);
}

static int s_lines_with(FILE *log, const char *word)
{
    char line[1000];
    int count = 0;
    rewind(log);
    while (fgets(line, sizeof line, log))
        count += strstr(line, word) != NULL;
    return count;
}

/* Nobody has ever been there; the log says so once. */
Test(peer, never_there)
{
    end_t a, b;
    FILE *log = tmpfile();
    cr_assert(log && dup2(fileno(log), STDERR_FILENO) == STDERR_FILENO);
    s_configure(&a, &b);
    s_open(&a);
    for (int i = 0; i < 3; i++) {
        a.seen_len = 0;
        s_wait_for_link(&a, PEER_LINK_REFUSED);
        cr_expect_eq(a.seen[0], PEER_LINK_REFUSED);
    }
    peer_destroy(&a.peer);
    cr_expect_eq(s_lines_with(log, " peer.not_there "), 1);
    fclose(log);
}

static size_t s_resident_bytes(void)
{
    size_t total, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    cr_assert(file && fscanf(file, "%zu %zu", &total, &resident) == 2);
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* What the address sanitizer keeps of freed memory. */
#if defined(__SANITIZE_ADDRESS__)
#define QUARANTINE ((size_t)400 * 1000 * 1000)
#else
#define QUARANTINE ((size_t)0)
#endif

/* A frozen peer is still connected (until its host has taken nothing for three seconds) and refuses
 * nothing; what is said to it costs bounded memory. */
Test(peer, frozen)
{
    enum { MEGABYTE = 1000 * 1000, SENT = 500, STILL_CONNECTED_MS = 2500 };
    end_t a, b;
    s_configure(&a, &b);
    pid_t pid = s_open_elsewhere(&b);
    s_open(&a);
    s_wait_for_link(&a, PEER_LINK_UP);
    cr_assert_eq(kill(pid, SIGSTOP), 0);
    usec_t frozen_at = connection_now();
    a.seen_len = 0;
    size_t before = s_resident_bytes();
    for (int i = 0; i < SENT; i++) {
        uint8_t *bytes = memory_new(MEGABYTE);
        memset(bytes, i, MEGABYTE);
        peer_send(a.peer, bytes, MEGABYTE);
    }
    size_t grown = s_resident_bytes() - before;
    cr_expect(grown < (size_t)250 * MEGABYTE + QUARANTINE, "%zu bytes", grown);
    s_watch(&a);
    usec_t killed_at = connection_now();
    if (killed_at - frozen_at < STILL_CONNECTED_MS * USEC_PER_MS)
        cr_expect_eq(a.seen_len, 0);
    s_kill(pid);
    s_wait_for_link(&a, PEER_LINK_CLOSED);
    s_wait_for_link(&a, PEER_LINK_REFUSED);
    peer_destroy(&a.peer);
}

/* ---- What is wrong with its configuration ---- */

static void s_expect_error(const config_t *config, error_code_t code, const char *words)
{
    error_t error = {0};
    cr_expect_null(peer_new(config, &error));
    cr_expect_eq(error.code, code, "%s", error.text);
    cr_expect(strstr(error.text, words), "no \"%s\" in: %s", words, error.text);
    cr_expect(strstr(error.text, config->peer_certificate) || strstr(error.text, config->peer_bind),
              "%s", error.text);
}

static void s_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

Test(peer, certificates)
{
    end_t a, b;
    s_configure(&a, &b);
    char *path = a.config.peer_certificate;
    static const mode_t modes[] = {0640, 0604, 0601, 0620};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        chmod(path, modes[i]);
        s_expect_error(&a.config, ERROR_CONFIGURATION, "chmod 600 ");
    }
    chmod(path, 0400);
    s_open(&a);
    peer_destroy(&a.peer);
    zcert_t *one = zcert_new();
    zcert_t *two = zcert_new();
    char text[1000];
    chmod(path, 0600);
    snprintf(text, sizeof text, "curve\n    public-key = \"%s\"\n    secret-key = \"%s\"\n",
             zcert_public_txt(one), zcert_secret_txt(two));
    s_write(path, text);
    s_expect_error(&a.config, ERROR_CONFIGURATION, zcert_public_txt(two));
    snprintf(text, sizeof text, "curve\n    public-key = \"%s\"\n", zcert_public_txt(one));
    s_write(path, text);
    s_expect_error(&a.config, ERROR_CONFIGURATION, "secret-key");
    s_write(path, "\x01\x02 = = \"");
    s_expect_error(&a.config, ERROR_CONFIGURATION, "secret-key");
    s_write(path, "");
    s_expect_error(&a.config, ERROR_CONFIGURATION, "secret-key");
    snprintf(path, CONFIG_PATH_SIZE, "%s/absent", s_folder);
    s_expect_error(&a.config, ERROR_SYSTEM, "ixnctl pair keygen");
    snprintf(path, CONFIG_PATH_SIZE, "%s", s_folder);
    s_expect_error(&a.config, ERROR_CONFIGURATION, "is no file");
    zcert_destroy(&one);
    zcert_destroy(&two);
}

Test(peer, a_certificate_of_another_user)
{
    end_t a, b;
    enum { NOBODY = 65534 };
    s_configure(&a, &b);
    cr_assert_eq(chmod(a.config.peer_certificate, 0), 0);
    const uid_t user = geteuid();
    cr_assert(user != 0 || seteuid(NOBODY) == 0);
    s_expect_error(&a.config, ERROR_SYSTEM, user ? "its owner: chown" : "its owner: chown 65534 ");
    cr_assert_eq(seteuid(user), 0);
}

Test(peer, port_in_use)
{
    end_t a, b;
    s_configure(&a, &b);
    s_open(&a);
    memcpy(b.config.peer_bind, a.config.peer_bind, CONFIG_PATH_SIZE);
    s_expect_error(&b.config, ERROR_SYSTEM, "Address already in use; see pair.bind");
    peer_destroy(&a.peer);
}
