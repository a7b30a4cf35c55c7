/* What crashed nodes: told to the other node, kept from being tried again, shown to operators. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/check.h"
#include "core/wire/packet.h"
#include "ha/pair_internal.h"

/* ---- The list ---- */

static void s_set_stops(pair_t *self)
{
    self->guard.stops_len = 0;
    for (size_t i = 0; i < self->poison.len; i++) {
        const poison_entry_t *entry = &self->poison.entries[i];
        if (entry->index && poison_is_active(entry))
            self->stops[self->guard.stops_len++] = (guard_stop_t){entry->index, entry->fingerprint};
    }
    self->guard.stops = self->stops;
    self->stopped[0] = '\0'; /* what is stopped at now is found anew */
    replica_guard(self->replica, &self->guard);
}

void pair_init_poison(pair_t *self)
{
    if (self->options.poison)
        self->poison = *self->options.poison;
    self->guard.hand = self->options.desk ? &self->options.desk->hand : NULL;
    s_set_stops(self);
}

static void s_changed(pair_t *self)
{
    s_set_stops(self);
    self->poison_changed = true;
    pair_hello(self);
}

void pair_poison_turn(pair_t *self)
{
    if (poison_expire(&self->poison, self->wall))
        s_changed(self);
    if (!self->poison_changed)
        return;
    self->poison_changed = false;
    pair_do(self, PAIR_REMEMBER_POISON);
}

const poison_t *pair_poison(const pair_t *self)
{
    return &self->poison;
}

const guard_t *pair_guard(const pair_t *self)
{
    return &self->guard;
}

/* ---- Told and heard ---- */

size_t pair_fill_poison(const pair_t *self, Ixn__V1__PairPoison messages[POISON_MAX],
                        Ixn__V1__PairPoison *list[POISON_MAX])
{
    for (size_t i = 0; i < self->poison.len; i++) {
        const poison_entry_t *entry = &self->poison.entries[i];
        Ixn__V1__PairPoison *message = &messages[i];
        ixn__v1__pair_poison__init(message);
        message->fingerprint = wire_bytes(&entry->fingerprint);
        message->index = entry->index;
        message->what = (char *)entry->what;
        message->crashes_own = entry->own;
        message->crashes_other = entry->other;
        message->forgiven = entry->forgiven;
        message->last_us = entry->last_at;
        message->refused = poison_is_active(entry);
        list[i] = message;
    }
    return self->poison.len;
}

void pair_hear_poison(pair_t *self, const Ixn__V1__PeerHello *hello)
{
    bool changed = false;
    for (size_t i = 0; i < hello->n_poison && i < POISON_MAX; i++) {
        const Ixn__V1__PairPoison *message = hello->poison[i];
        poison_entry_t entry = {.index = message->index,
                                .own = message->crashes_own,
                                .other = message->crashes_other,
                                .forgiven = message->forgiven,
                                .last_at = message->last_us};
        if (!wire_read_id(message->fingerprint, &entry.fingerprint) ||
            self->wall - entry.last_at > POISON_KEPT)
            continue;
        snprintf(entry.what, sizeof entry.what, "%s", message->what);
        wire_clean_text(entry.what);
        const bool before = poison_find(&self->poison, entry.fingerprint) != NULL;
        changed |= poison_merge(&self->poison, &entry);
        const poison_entry_t *now = poison_find(&self->poison, entry.fingerprint);
        if (now && !before)
            pair_say_poison(self, now);
    }
    if (changed)
        s_changed(self);
}

void pair_say_poison(pair_t *self, const poison_entry_t *entry)
{
    char id[ID_TEXT_SIZE];
    pair_alarm(self, "poison.found",
               "fingerprint=%s what=\"%s\" crashes_own=%" PRIu32 " crashes_other=%" PRIu32
               " action=\"%s\"",
               id_text(entry->fingerprint, id), entry->what, entry->own, entry->other,
               entry->index ? "it is not applied again" : "it is refused from now on");
}

bool pair_forgive(pair_t *self, ProtobufCBinaryData fingerprint, bool dry_run, error_t *ret_error)
{
    id128_t id;
    char text[ID_TEXT_SIZE];
    if (!wire_read_id(fingerprint, &id))
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "a fingerprint has 16 bytes, this one has %zu", fingerprint.len);
    poison_t changed = self->poison;
    if (!poison_forgive(&changed, id))
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "node \"%s\" knows of no input with the fingerprint %s; see ixnctl poison "
                         "list",
                         self->name, id_text(id, text));
    if (dry_run)
        return true;
    self->poison = changed;
    pair_say(self, false, "poison.forgiven", "fingerprint=%s", id_text(id, text));
    s_changed(self);
    return true;
}

/* ---- Refusing ---- */

void pair_poison_error(const poison_entry_t *entry, error_t *ret_error)
{
    char id[ID_TEXT_SIZE];
    error_set(ret_error, ERROR_POISON,
              "this request (%s) crashed the nodes that tried it %" PRIu32
              " times and is refused; its fingerprint is %s. When the nodes are mended: ixnctl "
              "poison forgive %s",
              entry->what, entry->own + entry->other, id_text(entry->fingerprint, id), id);
}

void pair_note_refused(pair_t *self, const poison_entry_t *entry, const char *sender)
{
    char id[ID_TEXT_SIZE];
    self->poison_refused++;
    /* A client that asks again and again does not fill the log. */
    if ((self->poison_refused & (self->poison_refused - 1)) == 0)
        pair_say(self, true, "poison.refused",
                 "fingerprint=%s what=\"%s\" from=\"%s\" refused=%" PRIu64,
                 id_text(entry->fingerprint, id), entry->what, sender, self->poison_refused);
}

/* The answer to one request; `whole`: its packet is what is refused. False: it may be tried. */
static bool s_refuse(pair_t *self, session_t session, text_t request, const poison_entry_t *whole)
{
    const poison_entry_t *entry = whole;
    error_t error;
    if (!entry)
        entry = poison_find(&self->poison, poison_request(request));
    if (!entry)
        return false;
    pair_poison_error(entry, &error);
    pair_note_refused(self, entry, node_session_name(self->node, session));
    node_refuse(self->node, session, packet_request_id(request), &error);
    return true;
}

void pair_receive_sifted(pair_t *self, session_t session, text_t packet)
{
    const poison_entry_t *whole = poison_find(&self->poison, poison_packet(packet));
    buffer_t kept = {0};
    text_t request = {0};
    size_t at = 0, refused = 0, good = 0;
    wire_append_to_node_head(&kept);
    while (packet_next(packet, &at, &request)) {
        if (s_refuse(self, session, request, whole)) {
            refused++;
        } else {
            packet_append(&kept, request); /* what is good in a packet is decided all the same */
            good++;
        }
    }
    if (refused == 0 && whole) /* not even its requests can be told apart */
        s_refuse(self, session, (text_t){0}, whole);
    else if (refused == 0)
        node_receive(self->node, session, (const uint8_t *)packet.data, packet.len);
    else if (good > 0)
        node_receive(self->node, session, kept.bytes, kept.len);
    buffer_free(&kept);
}
