/* Index: random insertions, finds and removals against an array, through several growth steps and
 * with clusters that wrap around the end of the table while a second one is being emptied. */
#include <criterion/criterion.h>

#include "core/base/alloc.h"
#include "core/index.h"
#include "tests/unit/random.h"

enum { HANDLES = 60000 };

/* The owner, and the model: a handle's key, and whether it is in the index. */
typedef struct {
    id128_t keys[HANDLES];
    bool in[HANDLES];
    size_t count;
    index_t *index;
} owner_t;

static const id128_t *s_key_of(const void *owner, uint32_t handle)
{
    const owner_t *self = owner;
    cr_assert(self->in[handle], "the index asks for the key of %u, which it does not hold", handle);
    return &self->keys[handle];
}

static owner_t *s_owner_new(void)
{
    owner_t *self = memory_zero(1, sizeof *self);
    self->index = index_new(s_key_of, self);
    return self;
}

static void s_owner_free(owner_t *self)
{
    index_destroy(&self->index);
    cr_assert_null(self->index);
    free(self);
}

static void s_insert(owner_t *self, uint32_t handle, id128_t key)
{
    self->keys[handle] = key;
    self->in[handle] = true;
    self->count++;
    index_insert(self->index, &self->keys[handle], handle);
}

static void s_remove(owner_t *self, uint32_t handle)
{
    index_remove(self->index, &self->keys[handle]);
    self->in[handle] = false;
    self->count--;
}

/* Every handle is found or not, as the model says. */
static void s_compare(const owner_t *self)
{
    cr_assert_eq(index_count(self->index), self->count);
    for (uint32_t handle = 0; handle < HANDLES; handle++) {
        uint32_t found = UINT32_MAX;
        bool is = index_find(self->index, &self->keys[handle], &found);
        /* A key that left may have come back under another handle; keys here are never equal. */
        cr_assert_eq(is, self->in[handle], "handle %u: found %d", handle, is);
        if (is)
            cr_assert_eq(found, handle);
    }
}

/* Keys whose cell is decided: hash * constant, upper half, modulo the size (core/index.c). All
 * those made here want the last cells of every table up to 2^16 cells. */
static id128_t s_key_at_the_end(random_t *random)
{
    static const uint64_t odd = UINT64_C(0x9E3779B97F4A7C15);
    uint64_t inverse = odd; /* Newton: twice the good bits at each step */
    for (int i = 0; i < 6; i++)
        inverse *= 2 - odd * inverse;
    uint64_t home = 0xFFFF - random_below(random, 12);
    uint64_t hash = (random_u64(random) & UINT64_C(0xFFFF0000FFFFFFFF)) | home << 32;
    uint64_t word = hash * inverse;
    id128_t key = random_id(random);
    memcpy(key.bytes + 8, &word, sizeof word);
    return key;
}

Test(index, an_empty_one_finds_nothing)
{
    owner_t *owner = s_owner_new();
    uint32_t found = 7;
    id128_t key = {{1}};
    cr_assert_not(index_find(owner->index, &key, &found));
    cr_assert_eq(found, 7u);
    cr_assert_eq(index_count(owner->index), 0u);
    s_owner_free(owner);
}

static void s_run(uint64_t seed, bool at_the_end)
{
    random_t random = {seed};
    owner_t *owner = s_owner_new();
    size_t reach = at_the_end ? 6000 : HANDLES;
    size_t memory = index_memory(owner->index);
    int growths = 0;
    for (size_t step = 0; step < reach * 4; step++) {
        uint32_t handle = (uint32_t)random_below(&random, reach);
        /* Fills, then empties, then fills again. */
        size_t phase = step * 3 / (reach * 4);
        bool wants_in = random_below(&random, 10) < (phase == 1 ? 1u : 9u);
        if (owner->in[handle] && !wants_in)
            s_remove(owner, handle);
        else if (!owner->in[handle] && wants_in)
            s_insert(owner, handle, at_the_end ? s_key_at_the_end(&random) : random_id(&random));
        growths += index_memory(owner->index) > memory;
        memory = index_memory(owner->index);
        if (step % (reach / 2) == 0)
            s_compare(owner);
    }
    s_compare(owner);
    cr_assert_geq(growths, 3, "only %d growth steps", growths);
    for (uint32_t handle = 0; handle < HANDLES; handle++)
        if (owner->in[handle])
            s_remove(owner, handle);
    s_compare(owner);
    s_owner_free(owner);
}

Test(index, agrees_with_a_model_through_growth)
{
    for (uint64_t seed = 1; seed <= 3; seed++)
        s_run(seed, false);
}

/* Everything collides in a few cells at the end, so the clusters wrap around all the time. */
Test(index, agrees_with_a_model_when_clusters_wrap, .timeout = 300)
{
    s_run(99, true);
}

/* While two tables exist: the second is made by the insertion that finds the first three quarters
 * full; every handle must be found and removable before, during and after. */
Test(index, finds_and_removes_while_two_tables_exist)
{
    random_t random = {5};
    for (size_t extra = 0; extra < 70; extra += 3) {
        owner_t *owner = s_owner_new();
        uint32_t len = (uint32_t)(1024 * 3 / 4 + extra);
        for (uint32_t handle = 0; handle < len; handle++)
            s_insert(owner, handle,
                     handle % 16 == 0 ? s_key_at_the_end(&random) : random_id(&random));
        s_compare(owner);
        for (uint32_t handle = 0; handle < len; handle += 2)
            s_remove(owner, handle);
        s_compare(owner);
        for (uint32_t handle = 1; handle < len; handle += 2)
            s_remove(owner, handle);
        cr_assert_eq(index_count(owner->index), 0u);
        s_owner_free(owner);
    }
}

/* No insertion does the work of many: a million would otherwise pause the loop. */
Test(index, growth_is_spread)
{
    random_t random = {11};
    owner_t *owner = s_owner_new();
    size_t before = index_memory(owner->index);
    uint32_t two_tables = 0;
    size_t small = before;
    for (uint32_t handle = 0; handle < 20000; handle++) {
        s_insert(owner, handle, random_id(&random));
        size_t now = index_memory(owner->index);
        if (now > before)
            small = before;
        two_tables += now > small * 2;
        before = now;
    }
    /* Before the end of sizes 1024 … 16384 the next one was cleared, 64 of its cells an insertion;
     * after it they were emptied, 16 cells an insertion. */
    uint32_t sizes = 1024 + 2048 + 4096 + 8192 + 16384;
    uint32_t expected = sizes * 2 / 64 + sizes / 16;
    cr_assert(two_tables > expected * 8 / 10 && two_tables <= expected, "%u of %u", two_tables,
              expected);
    cr_assert_leq(index_memory(owner->index), 20000u * 2 * 8 * 2);
    s_owner_free(owner);
}
