#include "apps/ixnd/crash.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "apps/state/state_dir.h"
#include "config/config.h"
#include "core/base/alloc.h"
#include "core/base/log.h"

/* Another layout is another title: what an older version left is not read. */
static const char s_title[16] = "ixn work 1";

typedef struct {
    char title[sizeof s_title];
    uint64_t size;
    volatile int32_t signal;  /* that ended the process; 0: none, or none that it could catch */
    volatile uint32_t struck; /* by it: 0 all threads, otherwise one of these */
    hand_t lanes[CRASH_LANES];
    desk_t desk;
} note_t;

enum { STRUCK_ALL, STRUCK_NONE, STRUCK_DESK, STRUCK_LANE };

struct crash {
    note_t *note; /* NULL: nothing is noted */
    poison_t poison;
    void *stack; /* of the handler: the thread's own may be what is full */
};

/* ---- Signals ---- */

enum { LAST_WORDS_S = 2 }; /* then the process ends without them: by SIGALRM */

static note_t *s_noted; /* what the handler writes into */

static const int s_fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP};
static struct sigaction s_before[sizeof s_fatal / sizeof *s_fatal];

/* Its own fault, or one that somebody else sent it: then any thread may be meant. */
static uint32_t s_struck(const siginfo_t *info)
{
    const hand_t *mine = hand_bound();
    if (info->si_code <= 0 && info->si_code != SI_TKILL)
        return STRUCK_ALL;
    if (!mine)
        return STRUCK_NONE;
    if (mine == &s_noted->desk.hand)
        return STRUCK_DESK;
    return STRUCK_LANE + (uint32_t)(mine - s_noted->lanes);
}

/* Only what a handler may do. The process then ends as it would have without it. */
static void s_on_fatal(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (s_noted && !s_noted->signal) {
        s_noted->struck = s_struck(info);
        s_noted->signal = number;
        alarm(LAST_WORDS_S); /* whoever reads standard error may stand still */
        log_last_words(number);
    }
    for (size_t i = 0; i < sizeof s_fatal / sizeof *s_fatal; i++)
        if (s_fatal[i] == number)
            sigaction(number, &s_before[i], NULL);
    raise(number);
}

static void s_catch(crash_t *self)
{
    size_t size = (size_t)SIGSTKSZ > 65536 ? (size_t)SIGSTKSZ : 65536;
    self->stack = memory_new(size);
    const stack_t stack = {.ss_sp = self->stack, .ss_size = size};
    sigaltstack(&stack, NULL);
    log_prepare_last_words();
    struct sigaction action = {.sa_sigaction = s_on_fatal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    s_noted = self->note;
    for (size_t i = 0; i < sizeof s_fatal / sizeof *s_fatal; i++)
        sigaction(s_fatal[i], &action, &s_before[i]);
}

static void s_let_go(void)
{
    for (size_t i = 0; i < sizeof s_fatal / sizeof *s_fatal; i++)
        sigaction(s_fatal[i], &s_before[i], NULL);
    s_noted = NULL;
}

/* ---- The list ---- */

enum { LIST_SIZE = 64 * 1024 };

static bool s_recall(const char *state_dir, poison_t *poison, error_t *ret_error)
{
    char path[CONFIG_PATH_SIZE + 16];
    snprintf(path, sizeof path, "%s/poison", state_dir);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 && errno == ENOENT)
        return true;
    char *text = memory_zero(1, LIST_SIZE);
    ssize_t len = file < 0 ? -1 : read(file, text, LIST_SIZE - 1);
    int reason = errno;
    if (file >= 0)
        close(file);
    bool read_it = len >= 0 && poison_parse(poison, text);
    free(text);
    if (len < 0)
        return error_set(ret_error, ERROR_SYSTEM, "cannot read %s: %s", path, strerror(reason));
    return read_it || error_set(ret_error, ERROR_SYSTEM,
                                "%s is not what this program wrote; it lists the inputs that "
                                "crashed nodes: remove it, and each of them may crash twice again",
                                path);
}

bool crash_remember(const char *state_dir, const poison_t *poison, error_t *ret_error)
{
    buffer_t text = {0};
    poison_print(poison, &text);
    bool done =
        state_dir_write(state_dir, "poison", (text_t){(char *)text.bytes, text.len}, ret_error);
    buffer_free(&text);
    return done;
}

/* ---- What was left ---- */

/* For whoever mends the program: the very bytes. */
static void s_keep_frame(const char *state_dir, id128_t fingerprint, text_t frame)
{
    char id[ID_TEXT_SIZE];
    char name[ID_TEXT_SIZE + 8];
    error_t error;
    snprintf(name, sizeof name, "poison-%s", id_text(fingerprint, id));
    if (!state_dir_write(state_dir, name, frame, &error))
        log_warning("crash.not_kept", "error=\"%s\"", error.text);
}

static void s_blame(crash_t *self, const char *state_dir, const hand_t *hand, text_t frame,
                    usec_t wall_time)
{
    const poison_left_t left = {.kind = (hand_kind_t)hand->kind,
                                .request = hand->request,
                                .turn_requests = hand->turn_requests,
                                .frame = frame,
                                .index = hand->index,
                                .hash = hand->hash};
    char id[ID_TEXT_SIZE];
    char what[POISON_WHAT];
    id128_t fingerprint = {{0}};
    bool blamed = poison_blame(&self->poison, &left, wall_time, what, &fingerprint);
    const poison_entry_t *entry = poison_find(&self->poison, fingerprint);
    log_error("crash.found", "signal=%" PRId32 " what=\"%s\" fingerprint=%s action=\"%s\"",
              self->note->signal, what, blamed ? id_text(fingerprint, id) : "none",
              !blamed ? "none: it names no single input"
              : entry ? "it is not tried again"
                      : "counted; once more, on either node, and it is not tried again");
    if (blamed && frame.len > 0)
        s_keep_frame(state_dir, fingerprint, frame);
}

static void s_find(crash_t *self, const char *state_dir, usec_t wall_time)
{
    const note_t *note = self->note;
    const desk_t *desk = &note->desk;
    uint32_t struck = note->struck;
    if (desk->hand.kind != HAND_NONE && (struck == STRUCK_ALL || struck == STRUCK_DESK)) {
        bool frame = desk->hand.kind == HAND_FRAME || desk->hand.kind == HAND_TURN;
        size_t len =
            desk->hand.frame_len < sizeof desk->frame ? desk->hand.frame_len : sizeof desk->frame;
        s_blame(self, state_dir, &desk->hand,
                frame ? (text_t){(const char *)desk->frame, len} : (text_t){0}, wall_time);
    }
    for (uint32_t i = 0; i < CRASH_LANES; i++)
        if (note->lanes[i].kind != HAND_NONE && (struck == STRUCK_ALL || struck == STRUCK_LANE + i))
            s_blame(self, state_dir, &note->lanes[i], (text_t){0}, wall_time);
    if (struck == STRUCK_NONE)
        log_error("crash.found",
                  "signal=%" PRId32
                  " what=\"a thread that works on no input of clients\" "
                  "fingerprint=none action=\"none\"",
                  note->signal);
}

/* All of the file is there before it is mapped: a page without room would end the process. */
static note_t *s_map(const char *path, error_t *ret_error)
{
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int reason = file < 0 ? errno : posix_fallocate(file, 0, sizeof(note_t));
    void *memory = MAP_FAILED;
    if (reason == 0) {
        memory = mmap(NULL, sizeof(note_t), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        reason = memory == MAP_FAILED ? errno : 0;
    }
    if (file >= 0)
        close(file);
    if (reason == 0)
        return memory;
    error_set(ret_error, ERROR_SYSTEM, "%s: %s; it needs %zu KiB", path, strerror(reason),
              sizeof(note_t) / 1024);
    return NULL;
}

static void s_clear(note_t *note)
{
    memcpy(note->title, s_title, sizeof s_title);
    note->size = sizeof *note;
    note->signal = 0;
    note->struck = STRUCK_ALL;
    memset(note->lanes, 0, sizeof note->lanes);
    memset(&note->desk.hand, 0, sizeof note->desk.hand);
}

/* ---- Life ---- */

crash_t *crash_open(const char *state_dir, usec_t wall_time, error_t *ret_error)
{
    char path[CONFIG_PATH_SIZE + 16];
    error_t error;
    crash_t *self = memory_zero(1, sizeof *self);
    if (!s_recall(state_dir, &self->poison, ret_error)) {
        free(self);
        return NULL;
    }
    snprintf(path, sizeof path, "%s/work", state_dir);
    self->note = s_map(path, &error);
    if (!self->note) {
        log_warning("crash.not_noted", "error=\"%s\"", error.text);
        return self;
    }
    poison_expire(&self->poison, wall_time);
    bool ours = memcmp(self->note->title, s_title, sizeof s_title) == 0 &&
                self->note->size == sizeof(note_t);
    if (ours)
        s_find(self, state_dir, wall_time);
    if (self->poison.len > 0 && !crash_remember(state_dir, &self->poison, &error))
        log_warning("crash.not_remembered", "error=\"%s\"", error.text);
    s_clear(self->note);
    hand_bind(&self->note->desk.hand);
    s_catch(self);
    return self;
}

void crash_close(crash_t **self_p)
{
    crash_t *self = *self_p;
    if (!self)
        return;
    if (self->note) {
        s_let_go();
        hand_bind(NULL);
        s_clear(self->note);
        munmap(self->note, sizeof *self->note);
        const stack_t none = {.ss_flags = SS_DISABLE};
        sigaltstack(&none, NULL);
    }
    free(self->stack);
    free(self);
    *self_p = NULL;
}

const poison_t *crash_poison(const crash_t *self)
{
    return &self->poison;
}

desk_t *crash_desk(crash_t *self)
{
    return self->note ? &self->note->desk : NULL;
}

hand_t *crash_lane(crash_t *self, size_t number)
{
    return self->note && number < CRASH_LANES ? &self->note->lanes[number] : NULL;
}
