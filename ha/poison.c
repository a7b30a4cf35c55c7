#include "ha/poison.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/mutation.h"
#include "core/guard.h"
#include "core/wire/packet.h"
#include "core/wire/wire.h"

#define TITLE "ixn poison 1"

/* ---- Fingerprints ---- */

static id128_t s_hash(char kind, const buffer_t *content)
{
    buffer_t text = {0};
    buffer_append(&text, &kind, 1);
    buffer_append(&text, content->bytes, content->len);
    id128_t hash = id_hash(text.bytes, text.len);
    buffer_free(&text);
    return hash;
}

id128_t poison_request(text_t request)
{
    buffer_t content = {0};
    packet_content(request, &content);
    id128_t hash = s_hash('r', &content);
    buffer_free(&content);
    return hash;
}

id128_t poison_packet(text_t packet)
{
    buffer_t content = {0};
    text_t request;
    size_t at = 0;
    while (packet_next(packet, &at, &request))
        packet_content(request, &content);
    if (at == 0)
        buffer_append(&content, packet.data, packet.len);
    id128_t hash = s_hash('p', &content);
    buffer_free(&content);
    return hash;
}

/* ---- The list ---- */

static uint32_t s_crashes(const poison_entry_t *entry)
{
    return entry->own + entry->other;
}

bool poison_is_active(const poison_entry_t *entry)
{
    return s_crashes(entry) >= entry->forgiven + POISON_CRASHES;
}

static void s_count_active(poison_t *self)
{
    self->active = 0;
    for (size_t i = 0; i < self->len; i++)
        self->active += poison_is_active(&self->entries[i]);
}

static poison_entry_t *s_find(poison_t *self, id128_t fingerprint)
{
    for (size_t i = 0; i < self->len; i++)
        if (id_equal(self->entries[i].fingerprint, fingerprint))
            return &self->entries[i];
    return NULL;
}

const poison_entry_t *poison_find(const poison_t *self, id128_t fingerprint)
{
    for (size_t i = 0; i < self->len; i++)
        if (poison_is_active(&self->entries[i]) &&
            id_equal(self->entries[i].fingerprint, fingerprint))
            return &self->entries[i];
    return NULL;
}

static void s_remove(poison_t *self, size_t position)
{
    self->entries[position] = self->entries[--self->len];
    self->entries[self->len] = (poison_entry_t){0};
}

/* What may be forgotten first: what is not refused, then what crashed long ago. */
static size_t s_least(const poison_t *self)
{
    size_t least = 0;
    for (size_t i = 1; i < self->len; i++) {
        const poison_entry_t *a = &self->entries[i];
        const poison_entry_t *b = &self->entries[least];
        bool a_active = poison_is_active(a), b_active = poison_is_active(b);
        if (a_active != b_active ? !a_active : a->last_at < b->last_at)
            least = i;
    }
    return least;
}

static poison_entry_t *s_make(poison_t *self, id128_t fingerprint)
{
    poison_entry_t *entry = s_find(self, fingerprint);
    if (entry)
        return entry;
    if (self->len == POISON_MAX)
        s_remove(self, s_least(self));
    entry = &self->entries[self->len++];
    *entry = (poison_entry_t){.fingerprint = fingerprint};
    return entry;
}

/* ---- What has crashed ---- */

/* The one request that was in hand; false: it was none, or not only one. */
static bool s_request_in_hand(const poison_left_t *left, text_t *ret_request)
{
    size_t count = packet_count(left->frame);
    size_t at = 0;
    bool found = true;
    bool single = count == 1 && (left->kind == HAND_FRAME || left->turn_requests == 1);
    if (!single && (left->kind != HAND_FRAME || left->request >= count))
        return false;
    for (uint32_t i = 0; found && i <= (single ? 0 : left->request); i++)
        found = packet_next(left->frame, &at, ret_request);
    return found;
}

static bool s_name(const poison_left_t *left, char what[POISON_WHAT], id128_t *ret_fingerprint)
{
    text_t request;
    switch (left->kind) {
    case HAND_FRAME:
    case HAND_TURN:
        if (s_request_in_hand(left, &request)) {
            snprintf(what, POISON_WHAT, "request %s of %zu bytes", packet_request_name(request),
                     request.len);
            *ret_fingerprint = poison_request(request);
            return true;
        }
        if (left->kind == HAND_FRAME) {
            snprintf(what, POISON_WHAT, "packet of %zu bytes", left->frame.len);
            *ret_fingerprint = poison_packet(left->frame);
            return true;
        }
        snprintf(what, POISON_WHAT, "the end of a turn in which %" PRIu32 " requests came",
                 left->turn_requests);
        return false;
    case HAND_APPLY:
        snprintf(what, POISON_WHAT, "entry %" PRIu64 " of the log", left->index);
        *ret_fingerprint = guard_entry(left->index, left->hash);
        return true;
    case HAND_PEER:
        snprintf(what, POISON_WHAT, "a frame of the other node");
        return false;
    case HAND_NONE:
        break;
    }
    snprintf(what, POISON_WHAT, "nothing");
    return false;
}

bool poison_blame(poison_t *self, const poison_left_t *left, usec_t wall_time,
                  char what[POISON_WHAT], id128_t *ret_fingerprint)
{
    if (!s_name(left, what, ret_fingerprint))
        return false;
    poison_entry_t *entry = s_make(self, *ret_fingerprint);
    entry->index = left->kind == HAND_APPLY ? left->index : 0;
    entry->own += !MUTATION(CRASH_UNCOUNTED);
    entry->last_at = wall_time;
    snprintf(entry->what, sizeof entry->what, "%s", what);
    s_count_active(self);
    return true;
}

static bool s_raise(uint32_t *count, uint32_t to)
{
    bool more = to > *count;
    *count = more ? to : *count;
    return more;
}

bool poison_merge(poison_t *self, const poison_entry_t *theirs)
{
    bool known = s_find(self, theirs->fingerprint) != NULL;
    /* A full list takes only what must be refused: it would go at once. */
    if (!known && self->len == POISON_MAX && !poison_is_active(theirs))
        return false;
    poison_entry_t *entry = s_make(self, theirs->fingerprint);
    bool changed = s_raise(&entry->other, theirs->own);
    changed |= s_raise(&entry->own, theirs->other);
    changed |= s_raise(&entry->forgiven, theirs->forgiven);
    if (theirs->last_at > entry->last_at) {
        entry->last_at = theirs->last_at;
        changed = true;
    }
    if (!known) {
        entry->index = theirs->index;
        snprintf(entry->what, sizeof entry->what, "%s", theirs->what);
    }
    s_count_active(self);
    return changed || !known;
}

bool poison_forgive(poison_t *self, id128_t fingerprint)
{
    poison_entry_t *entry = s_find(self, fingerprint);
    if (!entry)
        return false;
    entry->forgiven = s_crashes(entry);
    s_count_active(self);
    return true;
}

bool poison_expire(poison_t *self, usec_t wall_time)
{
    size_t before = self->len;
    for (size_t i = self->len; i > 0; i--)
        if (wall_time - self->entries[i - 1].last_at > POISON_KEPT)
            s_remove(self, i - 1);
    s_count_active(self);
    return self->len != before;
}

/* ---- As text ---- */

void poison_print(const poison_t *self, buffer_t *text)
{
    char id[ID_TEXT_SIZE];
    buffer_append_text(text, TITLE "\n");
    for (size_t i = 0; i < self->len; i++) {
        const poison_entry_t *entry = &self->entries[i];
        buffer_printf(text,
                      "%s index %" PRIu64 " own %" PRIu32 " other %" PRIu32 " forgiven %" PRIu32
                      " last %" PRId64 " %s\n",
                      id_text(entry->fingerprint, id), entry->index, entry->own, entry->other,
                      entry->forgiven, entry->last_at, entry->what);
    }
}

static bool s_number(const char **rest, const char *word, uint64_t max, uint64_t *ret_number)
{
    char *end;
    size_t len = strlen(word);
    if (strncmp(*rest, word, len) != 0 || (*rest)[len] < '0' || (*rest)[len] > '9')
        return false;
    *ret_number = strtoull(*rest + len, &end, 10);
    *rest = end;
    return *ret_number <= max;
}

static bool s_parse_entry(const char *line, poison_entry_t *entry)
{
    char id[ID_TEXT_SIZE];
    uint64_t own, other, forgiven, last;
    if (strlen(line) < ID_TEXT_SIZE)
        return false;
    snprintf(id, sizeof id, "%.36s", line);
    const char *rest = line + ID_TEXT_SIZE - 1;
    if (!id_parse(id, &entry->fingerprint) ||
        !s_number(&rest, " index ", UINT64_MAX, &entry->index) ||
        !s_number(&rest, " own ", UINT32_MAX / 2, &own) ||
        !s_number(&rest, " other ", UINT32_MAX / 2, &other) ||
        !s_number(&rest, " forgiven ", UINT32_MAX / 2, &forgiven) ||
        !s_number(&rest, " last ", INT64_MAX, &last) || *rest != ' ')
        return false;
    entry->own = (uint32_t)own;
    entry->other = (uint32_t)other;
    entry->forgiven = (uint32_t)forgiven;
    entry->last_at = (usec_t)last;
    snprintf(entry->what, sizeof entry->what, "%s", rest + 1);
    return true;
}

bool poison_parse(poison_t *self, const char *text)
{
    poison_t read = {0};
    char line[512];
    if (strncmp(text, TITLE "\n", sizeof TITLE) != 0)
        return false;
    for (text += sizeof TITLE; *text;) {
        const char *end = strchr(text, '\n');
        size_t len = end ? (size_t)(end - text) : sizeof line;
        if (len >= sizeof line || read.len == POISON_MAX)
            return false;
        memcpy(line, text, len);
        line[len] = '\0';
        if (!s_parse_entry(line, &read.entries[read.len++]))
            return false;
        text = end + 1;
    }
    s_count_active(&read);
    *self = read;
    return true;
}
