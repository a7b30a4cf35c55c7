#include <criterion/criterion.h>
#include <stdio.h>

#include "core/base/alloc.h"
#include "core/guard.h"
#include "core/wire/packet.h"
#include "core/wire/wire.h"
#include "ha/poison.h"

#define WALL ((usec_t)1700000000 * USEC_PER_SECOND)

/* A packet with one submit a key; ids count from `id` on. */
static buffer_t s_packet(uint64_t id, const char *const *keys, size_t len)
{
    buffer_t packet = {0};
    wire_append_to_node_head(&packet);
    for (size_t i = 0; i < len; i++) {
        Ixn__V1__Submit submit = IXN__V1__SUBMIT__INIT;
        Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
        submit.key = wire_text(text_of(keys[i]));
        submit.queue = (char *)"inbound";
        request.id = id + i;
        request.body_case = IXN__V1__REQUEST__BODY_SUBMIT;
        request.submit = &submit;
        wire_append_request(&packet, &request);
    }
    return packet;
}

static text_t s_text(const buffer_t *packet)
{
    return (text_t){(const char *)packet->bytes, packet->len};
}

static text_t s_request(text_t packet, size_t number)
{
    size_t at = 0;
    text_t request = {0};
    for (size_t i = 0; i <= number; i++)
        cr_assert(packet_next(packet, &at, &request));
    return request;
}

static const char *const s_keys[] = {"one", "two", "three"};

/* ---- Packets ---- */

Test(packet, takes_requests_apart_and_together_again)
{
    buffer_t packet = s_packet(300, s_keys, 3);
    buffer_t again = {0};
    wire_append_to_node_head(&again);
    cr_assert_eq(packet_count(s_text(&packet)), 3);
    for (size_t i = 0; i < 3; i++) {
        text_t request = s_request(s_text(&packet), i);
        cr_assert_eq(packet_request_id(request), 300 + i);
        cr_assert_str_eq(packet_request_name(request), "submit");
        packet_append(&again, request);
    }
    cr_assert(text_equal(s_text(&packet), s_text(&again)));
    buffer_free(&packet);
    buffer_free(&again);
}

/* It comes after the body, and is none. */
Test(packet, tells_what_is_asked_whoever_it_is_for)
{
    Ixn__V1__Ping ping = IXN__V1__PING__INIT;
    Ixn__V1__Request request = IXN__V1__REQUEST__INIT;
    buffer_t packet = {0};
    request.id = 7;
    request.body_case = IXN__V1__REQUEST__BODY_PING;
    request.ping = &ping;
    request.by = (char *)"ann@desk";
    wire_append_to_node_head(&packet);
    wire_append_request(&packet, &request);
    cr_assert_str_eq(packet_request_name(s_request(s_text(&packet), 0)), "ping");
    buffer_free(&packet);
}

Test(packet, reads_nothing_beyond_its_bytes)
{
    buffer_t packet = s_packet(1, s_keys, 3);
    for (size_t len = 0; len <= packet.len; len++) {
        /* In memory of its own, so that a sanitizer sees a step too far. */
        char *bytes = memory_new(len + 1);
        memcpy(bytes, packet.bytes, len);
        text_t cut = {bytes, len};
        size_t count = packet_count(cut);
        cr_assert_leq(count, 3);
        (void)poison_packet(cut);
        (void)packet_request_name(cut);
        (void)packet_request_id(cut);
        free(bytes);
    }
    const char endless[] = {0x12,       (char)0xff, (char)0xff, (char)0xff, (char)0xff, (char)0xff,
                            (char)0xff, (char)0xff, (char)0xff, (char)0xff, 0x01};
    cr_assert_eq(packet_count((text_t){endless, sizeof endless}), 0);
    buffer_free(&packet);
}

/* ---- Fingerprints ---- */

Test(poison, knows_a_request_again_under_another_id)
{
    buffer_t first = s_packet(1, s_keys, 2);
    buffer_t later = s_packet(987654, s_keys, 2);
    id128_t one = poison_request(s_request(s_text(&first), 0));
    cr_assert(id_equal(one, poison_request(s_request(s_text(&later), 0))));
    cr_assert(!id_equal(one, poison_request(s_request(s_text(&later), 1))));
    cr_assert(id_equal(poison_packet(s_text(&first)), poison_packet(s_text(&later))));
    cr_assert(!id_equal(one, poison_packet(s_text(&first))));
    buffer_free(&first);
    buffer_free(&later);
}

/* ---- Blame ---- */

static bool s_blame(poison_t *poison, poison_left_t left, id128_t *ret_fingerprint)
{
    char what[POISON_WHAT];
    return poison_blame(poison, &left, WALL, what, ret_fingerprint);
}

Test(poison, blames_the_request_in_hand)
{
    poison_t poison = {0};
    id128_t fingerprint;
    buffer_t packet = s_packet(1, s_keys, 3);
    const poison_left_t left = {.kind = HAND_FRAME, .request = 1, .frame = s_text(&packet)};
    cr_assert(s_blame(&poison, left, &fingerprint));
    cr_assert(id_equal(fingerprint, poison_request(s_request(s_text(&packet), 1))));
    cr_assert_null(poison_find(&poison, fingerprint), "one crash may be an accident");
    cr_assert(s_blame(&poison, left, &fingerprint));
    cr_assert_not_null(poison_find(&poison, fingerprint));
    cr_assert_eq(poison.len, 1);
    cr_assert_eq(poison.active, 1);
    cr_assert_null(poison_find(&poison, poison_request(s_request(s_text(&packet), 0))));
    buffer_free(&packet);
}

Test(poison, blames_a_packet_that_cannot_be_decoded)
{
    poison_t poison = {0};
    id128_t fingerprint;
    buffer_t many = s_packet(1, s_keys, 3);
    buffer_t single = s_packet(1, s_keys, 1);
    poison_left_t left = {.kind = HAND_FRAME, .request = HAND_DECODING, .frame = s_text(&many)};
    cr_assert(s_blame(&poison, left, &fingerprint));
    cr_assert(id_equal(fingerprint, poison_packet(s_text(&many))));
    left.frame = s_text(&single);
    cr_assert(s_blame(&poison, left, &fingerprint));
    cr_assert(id_equal(fingerprint, poison_request(s_request(s_text(&single), 0))));
    left.frame = (text_t){"\xff\xff", 2};
    cr_assert(s_blame(&poison, left, &fingerprint));
    buffer_free(&many);
    buffer_free(&single);
}

Test(poison, blames_a_turn_only_on_its_single_request)
{
    poison_t poison = {0};
    id128_t fingerprint;
    buffer_t packet = s_packet(1, s_keys, 1);
    poison_left_t left = {.kind = HAND_TURN, .turn_requests = 2, .frame = s_text(&packet)};
    cr_assert(!s_blame(&poison, left, &fingerprint));
    left.turn_requests = 0;
    cr_assert(!s_blame(&poison, left, &fingerprint), "nothing came in that turn");
    left.turn_requests = 1;
    cr_assert(s_blame(&poison, left, &fingerprint));
    left.kind = HAND_PEER;
    cr_assert(!s_blame(&poison, left, &fingerprint));
    buffer_free(&packet);
}

/* ---- Two nodes ---- */

static void s_tell(poison_t *to, const poison_t *from)
{
    for (size_t i = 0; i < from->len; i++)
        poison_merge(to, &from->entries[i]);
}

Test(poison, sums_the_crashes_of_both_nodes_however_often_they_are_told)
{
    poison_t a = {0}, b = {0};
    id128_t fingerprint;
    const poison_left_t left = {.kind = HAND_APPLY, .index = 7, .hash = id_hash("x", 1)};
    cr_assert(s_blame(&a, left, &fingerprint));
    for (int i = 0; i < 3; i++) {
        s_tell(&b, &a);
        s_tell(&a, &b);
    }
    cr_assert_null(poison_find(&a, fingerprint));
    cr_assert_null(poison_find(&b, fingerprint));
    cr_assert(s_blame(&b, left, &fingerprint));
    s_tell(&a, &b);
    cr_assert_not_null(poison_find(&a, fingerprint));
    cr_assert_not_null(poison_find(&b, fingerprint));
    cr_assert_eq(a.entries[0].own, 1);
    cr_assert_eq(a.entries[0].other, 1);
    /* One that has lost its state_dir hears it all. */
    poison_t anew = {0};
    s_tell(&anew, &a);
    cr_assert_not_null(poison_find(&anew, fingerprint));
    /* Forgiven by one, forgiven by both; and it may crash twice again. */
    cr_assert(poison_forgive(&a, fingerprint));
    s_tell(&b, &a);
    s_tell(&a, &b);
    cr_assert_null(poison_find(&b, fingerprint));
    cr_assert(s_blame(&a, left, &fingerprint));
    cr_assert_null(poison_find(&a, fingerprint));
    cr_assert(s_blame(&a, left, &fingerprint));
    cr_assert_not_null(poison_find(&a, fingerprint));
    cr_assert(!poison_forgive(&a, id_hash("y", 1)));
}

/* ---- Bounds ---- */

Test(poison, is_bounded_by_number_and_keeps_what_is_refused)
{
    poison_t poison = {0};
    id128_t refused, fingerprint;
    const poison_left_t first = {.kind = HAND_APPLY, .index = 1};
    cr_assert(s_blame(&poison, first, &refused) && s_blame(&poison, first, &refused));
    for (uint64_t i = 2; i < 3 * POISON_MAX; i++)
        cr_assert(s_blame(&poison, (poison_left_t){.kind = HAND_APPLY, .index = i}, &fingerprint));
    cr_assert_eq(poison.len, POISON_MAX);
    cr_assert_not_null(poison_find(&poison, refused));
}

Test(poison, is_bounded_by_time)
{
    poison_t poison = {0};
    id128_t fingerprint;
    const poison_left_t left = {.kind = HAND_APPLY, .index = 1};
    cr_assert(s_blame(&poison, left, &fingerprint) && s_blame(&poison, left, &fingerprint));
    cr_assert(!poison_expire(&poison, WALL + POISON_KEPT));
    cr_assert(poison_expire(&poison, WALL + POISON_KEPT + 1));
    cr_assert_eq(poison.len, 0);
    cr_assert_eq(poison.active, 0);
}

/* ---- The file ---- */

Test(poison, comes_back_from_its_text)
{
    poison_t poison = {0}, read = {0};
    id128_t fingerprint;
    buffer_t text = {0};
    buffer_t packet = s_packet(1, s_keys, 1);
    const poison_left_t request = {.kind = HAND_FRAME, .frame = s_text(&packet)};
    s_blame(&poison, request, &fingerprint);
    s_blame(&poison, request, &fingerprint);
    s_blame(&poison, (poison_left_t){.kind = HAND_APPLY, .index = UINT64_MAX}, &fingerprint);
    poison_print(&poison, &text);
    buffer_append(&text, "", 1);
    cr_assert(poison_parse(&read, (const char *)text.bytes), "%s", (const char *)text.bytes);
    cr_assert_eq(read.active, 1);
    cr_assert_eq(memcmp(&read, &poison, sizeof read), 0);
    /* Cut anywhere but behind a line it is not taken. */
    for (size_t len = 0; len + 1 < text.len; len++) {
        char *cut = memory_zero(1, len + 1);
        memcpy(cut, text.bytes, len);
        poison_t none = {0};
        bool whole = len > 0 && cut[len - 1] == '\n';
        cr_assert_eq(poison_parse(&none, cut), whole, "at %zu: %s", len, cut);
        free(cut);
    }
    buffer_free(&text);
    buffer_free(&packet);
}

/* ---- Entries of the log ---- */

Test(guard, stops_at_the_first_entry_of_exactly_this_log)
{
    batch_t *batch = batch_new(1, 10, 19, id_hash("p", 1), 0, 0, TEXT("entries"));
    const guard_stop_t stops[] = {{18, guard_entry(18, batch->hash)},
                                  {12, guard_entry(12, id_hash("another log", 11))},
                                  {15, guard_entry(15, batch->hash)}};
    const guard_t guard = {NULL, stops, 3};
    cr_assert_eq(guard_stop(&guard, batch, 9)->index, 15);
    cr_assert_eq(guard_stop(&guard, batch, 15)->index, 18);
    cr_assert_null(guard_stop(&guard, batch, 18));
    batch_destroy(&batch);
}
