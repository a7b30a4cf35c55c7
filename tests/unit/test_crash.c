/* Real processes that really die: each test forks some, and looks at what the next one finds. */
#include <criterion/criterion.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "apps/ixnd/crash.h"
#include "core/base/log.h"
#include "core/wire/wire.h"

#define WALL ((usec_t)1700000000 * USEC_PER_SECOND)

static char s_folder[64];

static void s_begin(void)
{
    snprintf(s_folder, sizeof s_folder, "/tmp/ixn-crash-XXXXXX");
    cr_assert_not_null(mkdtemp(s_folder));
    log_set_level(LOG_LEVEL_ERROR);
}

static void s_end(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", s_folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(crash, .init = s_begin, .fini = s_end);

static buffer_t s_packet(void)
{
    buffer_t packet = {0};
    Ixn__V1__Ping ping = IXN__V1__PING__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    request.id = 1;
    request.body_case = IXN__V1__REQUEST__BODY_PING;
    request.ping = &ping;
    wire_append_to_node_head(&packet);
    wire_append_request(&packet, &request);
    return packet;
}

static crash_t *s_open(void)
{
    error_t error = {0};
    crash_t *crash = crash_open(s_folder, WALL, &error);
    cr_assert_not_null(crash, "%s", error.text);
    return crash;
}

/* Not through NULL: a sanitizer sees that coming, and ends the process in its own way. */
static void s_crash(void)
{
    volatile int *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *nowhere = 0;
}

static void *s_other_thread(void *argument)
{
    (void)argument;
    s_crash();
    return NULL;
}

static int s_overflow(int depth)
{
    volatile char room[4096];
    room[0] = (char)depth;
    return depth == INT_MAX ? 0 : s_overflow(depth + 1) + room[0];
}

typedef enum { IN_HAND, IN_LANE, IN_OTHER_THREAD, ON_STACK, KILLED, IN_ORDER } end_t;

/* A process with a frame in hand that ends in this way. */
static int s_die(end_t end)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        for (int i = 1; i < NSIG; i++)
            signal(i, SIG_DFL); /* the test framework has handlers of its own */
        error_t error;
        crash_t *crash = crash_open(s_folder, WALL, &error);
        buffer_t packet = s_packet();
        hand_begin_frame(crash_desk(crash), packet.bytes, packet.len);
        hand_begin_request(crash_desk(crash), 0);
        if (end == IN_LANE) {
            hand_t *lane = crash_lane(crash, 3);
            lane->index = 42;
            hand_begin(lane, HAND_APPLY);
            hand_bind(lane);
        }
        pthread_t thread;
        if (end == IN_OTHER_THREAD && pthread_create(&thread, NULL, s_other_thread, NULL) == 0)
            pthread_join(thread, NULL);
        if (end == ON_STACK)
            s_overflow(0);
        if (end == KILLED)
            raise(SIGKILL);
        if (end == IN_ORDER) {
            crash_close(&crash);
            _exit(0);
        }
        s_crash();
        _exit(1);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static size_t s_found(poison_entry_t *ret_entry)
{
    crash_t *crash = s_open();
    const poison_t *poison = crash_poison(crash);
    size_t len = poison->len;
    *ret_entry = poison->entries[0];
    crash_close(&crash);
    return len;
}

Test(crash, blames_the_request_in_hand_and_keeps_its_bytes)
{
    poison_entry_t entry;
    char id[ID_TEXT_SIZE];
    char path[160];
    struct stat kept;
    buffer_t packet = s_packet();
    cr_assert_eq(s_die(IN_HAND), SIGSEGV, "it ends as it would have without a handler");
    cr_assert_eq(s_found(&entry), 1);
    cr_assert_eq(entry.own, 1);
    cr_assert(strstr(entry.what, "request ping"), "%s", entry.what);
    snprintf(path, sizeof path, "%s/poison-%s", s_folder, id_text(entry.fingerprint, id));
    cr_assert_eq(stat(path, &kept), 0);
    cr_assert_eq((size_t)kept.st_size, packet.len);
    cr_assert_eq(s_found(&entry), 1);
    cr_assert_eq(entry.own, 1, "one crash was counted twice");
    cr_assert_eq(s_die(IN_HAND), SIGSEGV);
    cr_assert_eq(s_found(&entry), 1);
    cr_assert_eq(entry.own, 2);
    cr_assert(poison_is_active(&entry));
    buffer_free(&packet);
}

Test(crash, blames_only_the_thread_that_was_struck)
{
    poison_entry_t entry;
    cr_assert_eq(s_die(IN_OTHER_THREAD), SIGSEGV);
    cr_assert_eq(s_found(&entry), 0);
    cr_assert_eq(s_die(IN_LANE), SIGSEGV);
    cr_assert_eq(s_found(&entry), 1);
    cr_assert_eq(entry.index, 42);
}

Test(crash, of_a_full_stack_is_noted)
{
    poison_entry_t entry;
    cr_assert_eq(s_die(ON_STACK), SIGSEGV);
    cr_assert_eq(s_found(&entry), 1);
}

Test(crash, without_a_signal_blames_what_was_in_hand)
{
    poison_entry_t entry;
    cr_assert_eq(s_die(KILLED), SIGKILL);
    cr_assert_eq(s_found(&entry), 1);
}

Test(crash, an_orderly_end_blames_nothing)
{
    poison_entry_t entry;
    cr_assert_eq(s_die(IN_ORDER), 0);
    cr_assert_eq(s_found(&entry), 0);
}

Test(crash, goes_on_where_nothing_can_be_noted)
{
    char path[128];
    snprintf(path, sizeof path, "%s/work", s_folder);
    cr_assert_eq(mkdir(path, 0700), 0); /* where the file should be */
    crash_t *crash = s_open();
    cr_assert_null(crash_desk(crash));
    cr_assert_null(crash_lane(crash, 0));
    hand_begin_frame(crash_desk(crash), (const uint8_t *)"", 0);
    crash_close(&crash);
}

Test(crash, a_damaged_list_is_not_guessed_at)
{
    char path[128];
    error_t error = {0};
    snprintf(path, sizeof path, "%s/poison", s_folder);
    FILE *file = fopen(path, "w");
    fputs("ixn poison 1\nnonsense\n", file);
    fclose(file);
    cr_assert_null(crash_open(s_folder, WALL, &error));
    cr_assert(strstr(error.text, path) && strstr(error.text, "remove it"), "%s", error.text);
}
