/* Heal: committed batches that the database lost are written back, all or none, behind its very
 * head, in the transaction of a claim. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "core/wire/wire.h"
#include "tests/database/pair_fixture.h"

enum { BATCHES = 6, KEPT = 2 };

static pair_t s_pair;
static batch_t *s_batches[BATCHES]; /* two entries each; the third begins epoch 2 */
static id128_t s_generation;        /* of that one */

static batch_t *s_copy(const batch_t *batch)
{
    return batch_new(batch->epoch, batch->first, batch->last, batch->previous, batch->log_time,
                     batch->wall_time, batch->entries);
}

/* A batch of this epoch whose first entry begins it, where `begins`, and whose second is a beat. */
static batch_t *s_batch(uint64_t epoch, bool begins)
{
    Ixn__V1__EpochStarted started = IXN__V1__EPOCH_STARTED__INIT;
    Ixn__V1__Beat beat = IXN__V1__BEAT__INIT;
    Ixn__V1__Entry entries[2] = {IXN__V1__ENTRY__INIT, IXN__V1__ENTRY__INIT};
    Ixn__V1__Entry *list[2] = {&entries[0], &entries[1]};
    Ixn__V1__Batch body = IXN__V1__BATCH__INIT;
    char node[] = "node-b";
    char reason[] = "the primary is gone";
    uint8_t packed[256];
    started.epoch = epoch;
    started.generation = wire_bytes(&s_generation);
    started.node = node;
    started.reason = reason;
    entries[0].body_case = begins ? IXN__V1__ENTRY__BODY_EPOCH_STARTED : IXN__V1__ENTRY__BODY_BEAT;
    if (begins)
        entries[0].epoch_started = &started;
    else
        entries[0].beat = &beat;
    entries[1].body_case = IXN__V1__ENTRY__BODY_BEAT;
    entries[1].beat = &beat;
    body.entries = list;
    body.n_entries = 2;
    size_t len = ixn__v1__batch__pack(&body, packed);
    batch_t *batch = batch_new(epoch, s_pair.index + 1, s_pair.index + 2, s_pair.hash, 1000,
                               1767225600123456, (text_t){(const char *)packed, len});
    s_pair.index = batch->last;
    s_pair.hash = batch->hash;
    return batch;
}

/* A database with two of six batches: the rest was committed, and is lost. */
static void s_init(void)
{
    journal_event_t event;
    pair_init(&s_pair);
    s_generation = id_random();
    pair_start(&s_pair);
    for (int i = 0; i < BATCHES; i++) {
        s_batches[i] = s_batch(i < KEPT ? 1 : 2, i == KEPT);
        if (i >= KEPT)
            continue;
        journal_append(s_pair.journal, s_copy(s_batches[i]));
        pair_expect(&s_pair, JOURNAL_COMMITTED, &event);
    }
    journal_destroy(&s_pair.journal);
}

static void s_free(void)
{
    for (int i = 0; i < BATCHES; i++)
        batch_destroy(&s_batches[i]);
    pair_free(&s_pair);
}

TestSuite(heal, .init = s_init, .fini = s_free, .timeout = 300);

static const char s_all[] =
    "SELECT md5(concat((SELECT string_agg(p::text, ',') FROM ixn.pair AS p),"
    " (SELECT string_agg(e::text, ',' ORDER BY epoch) FROM ixn.epoch AS e),"
    " (SELECT string_agg(c::text, ',') FROM ixn.checkpoint AS c),"
    " (SELECT string_agg(j::text, ',' ORDER BY last_index) FROM ixn.journal AS j),"
    " (SELECT string_agg(h::text, ',' ORDER BY epoch) FROM ixn.heal AS h)))";

static place_t s_known(void)
{
    return (place_t){s_batches[BATCHES - 1]->last, s_batches[BATCHES - 1]->hash, 2, s_generation};
}

static database_status_t s_judged(void)
{
    error_t error = {0};
    database_status_t judged;
    place_t known = s_known();
    cr_assert(database_status(s_pair.database, &known, &judged, &error), "%s", error.text);
    return judged;
}

static database_claim_t s_claim(batch_t *const *batches, size_t len)
{
    return (database_claim_t){.highest_seen = 2,
                              .with_head = true,
                              .generation = id_random(),
                              .owner = "node-b",
                              .reason = "db-1 died",
                              .batches = batches,
                              .batches_len = len};
}

/* Refused with these words; and nothing was changed. */
static void s_refused(const database_status_t *judged, const database_claim_t *claim,
                      error_code_t code, const char *words)
{
    char before[64];
    database_status_t status;
    error_t error = {0};
    snprintf(before, sizeof before, "%s", pair_ask(s_pair.pq, s_all));
    cr_assert(!database_claim(s_pair.database, judged, claim, &status, &error));
    cr_assert_eq(error.code, code, "%s", error.text);
    cr_assert(strstr(error.text, words), "%s", error.text);
    cr_assert_str_eq(pair_ask(s_pair.pq, s_all), before);
}

Test(heal, writes_the_very_rows_back_and_takes_the_epoch)
{
    char id[ID_TEXT_SIZE];
    error_t error = {0};
    database_status_t status;
    database_status_t judged = s_judged();
    cr_assert_eq(judged.lineage, LINEAGE_SHORT);
    cr_assert_eq(database_lost(&judged), 8);
    database_claim_t claim = s_claim(s_batches + KEPT, BATCHES - KEPT);
    cr_assert(database_claim(s_pair.database, &judged, &claim, &status, &error), "%s", error.text);
    cr_assert(status.epoch == 3 && id_equal(status.generation, claim.generation));
    cr_assert(status.head_index == 12 && id_equal(status.head_hash, s_known().hash));
    cr_assert_eq(status.lineage, LINEAGE_AGREES);
    cr_assert_str_eq(pair_ask(s_pair.pq,
                              "SELECT string_agg(epoch || ':' || first_index || '-' ||"
                              " last_index, ' ' ORDER BY last_index) FROM ixn.journal"
                              " WHERE last_index > 0"),
                     "1:1-2 1:3-4 2:5-6 2:7-8 2:9-10 2:11-12");
    /* The epoch that was lost with its first batch is there again, and the one that healed. */
    cr_assert_str_eq(pair_ask(s_pair.pq,
                              "SELECT owner || ' ' || first_index || ' ' || reason FROM ixn.epoch"
                              " WHERE epoch = 2 AND generation = '%s'",
                              id_text(s_generation, id)),
                     "node-b 5 the primary is gone");
    cr_assert_str_eq(
        pair_ask(s_pair.pq, "SELECT first_index || ' ' || reason FROM ixn.epoch WHERE epoch = 3"),
        "13 lost entries written back: db-1 died");
    cr_assert_str_eq(pair_ask(s_pair.pq,
                              "SELECT concat_ws(' ', epoch, head_index, healed_index, entries,"
                              " batches, node, reason) FROM ixn.heal"),
                     "3 4 12 8 4 node-b db-1 died");
    /* And the journal goes on behind it; what is read back is what its hashes say. */
    database_follow_t follow;
    const database_place_t after = {s_batches[KEPT - 1]->last, s_batches[KEPT - 1]->hash};
    cr_assert(database_follow(s_pair.database, &after, &status.instance, 1 << 20, &follow, &error),
              "%s", error.text);
    cr_assert_eq(follow.len, BATCHES - KEPT);
    for (size_t i = 0; i < follow.len; i++) {
        cr_assert(id_equal(follow.batches[i]->hash, s_batches[KEPT + i]->hash));
        batch_destroy(&follow.batches[i]);
    }
    free(follow.batches);
    s_pair.status = status;
    pair_start(&s_pair);
    pair_commit(&s_pair);
}

/* An epoch that was claimed is there already when only its first batch is lost. */
Test(heal, knows_an_epoch_that_is_there)
{
    char id[ID_TEXT_SIZE];
    error_t error = {0};
    database_status_t status;
    pair_ask(s_pair.pq,
             "UPDATE ixn.pair SET epoch = 2, generation = '%s';"
             " UPDATE ixn.checkpoint SET generation = '%s';"
             " INSERT INTO ixn.epoch (epoch, generation, owner, first_index, previous_hash, reason)"
             " SELECT 2, '%s', 'node-b', 5, hash, 'claimed' FROM ixn.journal WHERE last_index = 4",
             id_text(s_generation, id), id, id);
    database_status_t judged = s_judged();
    database_claim_t claim = s_claim(s_batches + KEPT, BATCHES - KEPT);
    cr_assert(database_claim(s_pair.database, &judged, &claim, &status, &error), "%s", error.text);
    cr_assert_str_eq(pair_ask(s_pair.pq, "SELECT reason FROM ixn.epoch WHERE epoch = 2"),
                     "claimed");
    cr_assert_eq(status.epoch, 3);
}

Test(heal, is_refused_where_somebody_else_has_that_epoch)
{
    pair_ask(s_pair.pq,
             "INSERT INTO ixn.epoch (epoch, generation, owner, first_index, previous_hash, reason)"
             " SELECT 2, gen_random_uuid(), 'x', 5, hash, 'x' FROM ixn.journal"
             " WHERE last_index = 4");
    database_status_t judged = s_judged();
    database_claim_t claim = s_claim(s_batches + KEPT, BATCHES - KEPT);
    s_refused(&judged, &claim, ERROR_DATABASE_DIVERGED, "another generation for epoch 2");
}

/* A gap, an end that is not the known one, and what continues something else: not one row stays. */
Test(heal, is_refused_unless_the_chain_is_whole)
{
    database_status_t judged = s_judged();
    database_claim_t claim = s_claim(s_batches + KEPT + 1, BATCHES - KEPT - 1);
    s_refused(&judged, &claim, ERROR_DATABASE_DIVERGED, "is not what the journal ends with");
    claim = s_claim(s_batches + KEPT, BATCHES - KEPT - 1);
    s_refused(&judged, &claim, ERROR_DATABASE_DIVERGED, "the head would be index 10, index 12");
    batch_t *gap[] = {s_batches[KEPT], s_batches[KEPT + 2], s_batches[KEPT + 3]};
    claim = s_claim(gap, 3);
    s_refused(&judged, &claim, ERROR_DATABASE_DIVERGED, "is not what the journal ends with");
    /* Bytes that are not what the hash says. */
    s_batches[KEPT + 1]->wall_time++;
    claim = s_claim(s_batches + KEPT, BATCHES - KEPT);
    s_refused(&judged, &claim, ERROR_DATABASE_DIVERGED, "its hash");
}

/* Batches whose own hash is right, and which end with the very place that is known: the index and
 * the hash that they continue are compared with what the database has, each by itself. */
Test(heal, is_refused_unless_it_continues_the_very_head)
{
    const batch_t *next = s_batches[KEPT];
    for (int wrong = 0; wrong < 2; wrong++) {
        uint64_t first = next->first + (wrong == 0 ? 2 : 0);
        id128_t previous = next->previous;
        previous.bytes[3] ^= (uint8_t)wrong;
        batch_t *batch = batch_new(2, first, first + 1, previous, next->log_time, next->wall_time,
                                   next->entries);
        database_status_t judged = s_judged();
        judged.known = (place_t){batch->last, batch->hash, 2, s_generation};
        database_claim_t claim = s_claim(&batch, 1);
        s_refused(&judged, &claim, ERROR_DATABASE_DIVERGED, "is not what the journal ends with");
        batch_destroy(&batch);
    }
}

/* They continue the head, as far as the known place, and are not what is known there. */
Test(heal, is_refused_unless_it_ends_with_the_very_batch_that_is_known)
{
    database_status_t judged = s_judged();
    database_claim_t claim = s_claim(s_batches + KEPT, BATCHES - KEPT);
    judged.known.hash.bytes[3] ^= 1;
    s_refused(&judged, &claim, ERROR_DATABASE_DIVERGED, "with another hash is known");
    /* And no more than that. */
    const batch_t *known = s_batches[BATCHES - 2];
    judged.known = (place_t){known->last, known->hash, 2, s_generation};
    s_refused(&judged, &claim, ERROR_DATABASE_DIVERGED, "the head would be index 12, index 10");
}

/* Somebody else's batch behind the head: seen by the judgement, or else by the statement. */
Test(heal, is_refused_where_the_head_is_another)
{
    database_status_t judged = s_judged();
    database_claim_t claim = s_claim(s_batches + KEPT, BATCHES - KEPT);
    pair_ask(s_pair.pq,
             "INSERT INTO ixn.journal (last_index, first_index, epoch, previous_hash, hash,"
             " log_time_us, decided_at, entries) SELECT 5, 5, 1, hash, gen_random_uuid(), 1000,"
             " now(), '' FROM ixn.journal WHERE last_index = 4");
    s_refused(&judged, &claim, ERROR_DATABASE_FENCED, "the head was judged to be index 4");
    judged = s_judged();
    s_refused(&judged, &claim, ERROR_DATABASE_DIVERGED, "is not what the journal ends with");
}

/* Nothing is missing, another run of the server, another epoch in the row. */
Test(heal, is_refused_where_it_is_not_what_was_judged)
{
    database_status_t judged = s_judged();
    database_status_t other = judged;
    database_claim_t claim = s_claim(s_batches + KEPT, BATCHES - KEPT);
    other.instance.started_at--;
    s_refused(&other, &claim, ERROR_DATABASE_FENCED, "is a server that was");
    pair_ask(s_pair.pq, "UPDATE ixn.pair SET epoch = 9");
    s_refused(&judged, &claim, ERROR_DATABASE_FENCED, "epoch 1 was judged, but epoch 9");
}
