/* What differs between two configurations, and what each key's column "reload" promises. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/diff.h"
#include "config/scalar.h"
#include "core/configuration.h"

/* One item of each list. */
static const char s_text[] =
    "node: {name: a}\n"
    "pair: {bind: 'tcp://127.0.0.1:1', peer: 'tcp://127.0.0.1:2', certificate: /k}\n"
    "database: {daps: [{name: d, conninfo: 'host=h password=one'}]}\n"
    "tenants: [{name: default}, {name: other}]\n"
    "queues: [{name: q, strategy: s}]\n"
    "routers: [{name: r}]\n"
    "strategies: [{name: s}]\n"
    "agents: [{name: g}]\n"
    "applications: {servers: [{name: s}]}\n"
    "clusters: [{name: c, members: [s]}]\n";

static config_t *s_config(const char *text)
{
    error_t error = {0};
    config_t *config = config_parse("x", text, strlen(text), &error);
    cr_assert(config, "%s", error.text);
    return config;
}

typedef struct {
    size_t len;
    char lines[20][300];
} told_t;

static void s_on_diff(void *context, const diff_t *diff)
{
    static const char *const kinds[] = {"changed", "added", "removed", "order"};
    told_t *told = context;
    cr_assert_lt(told->len, 20);
    snprintf(told->lines[told->len++], 300, "%s %s %s [%s] [%s]%s", diff->path, kinds[diff->kind],
             schema_reload_name(diff->reload), diff->old, diff->new, diff->secret ? " secret" : "");
}

static void s_expect(const char *old_text, const char *new_text, size_t len,
                     const char *const *lines)
{
    told_t told = {0};
    config_t *old = s_config(old_text);
    config_t *new = s_config(new_text);
    cr_expect_eq(diff_configurations(old, new, s_on_diff, &told), len);
    for (size_t i = 0; i < told.len || i < len; i++)
        cr_expect_str_eq(i < told.len ? told.lines[i] : "(nothing)", i < len ? lines[i] : "(end)");
    config_destroy(&old);
    config_destroy(&new);
}

#define BASE "node: {name: a}\ndatabase: {daps: [{name: d, conninfo: 'host=h password=one'}, "

Test(diff, nothing)
{
    s_expect(s_text, s_text, 0, NULL);
}

Test(diff, daps)
{
    const char *const lines[] = {
        "database.daps[d].conninfo changed live [host=h password=********] "
        "[host=h password=********] secret",
        "database.daps[e] removed live [there] []",
        "database.daps[f] added live [] [there]",
    };
    s_expect(BASE "{name: e, conninfo: host=h}]}\n",
             "node: {name: a}\ndatabase: {daps: [{name: d, conninfo: 'host=h password=two'}, "
             "{name: f, conninfo: host=h}]}\n",
             3, lines);
    const char *const order[] = {"database.daps order live [d, e] [e, d]"};
    s_expect(BASE "{name: e, conninfo: host=h}]}\n",
             "node: {name: a}\ndatabase: {daps: [{name: e, conninfo: host=h}, "
             "{name: d, conninfo: 'host=h password=one'}]}\n",
             1, order);
}

Test(diff, keys_of_each_effect)
{
    const char *const lines[] = {
        "node.name changed restart [a] [b]",       "pair added restart [] [there]",
        "queues[q@other] added logged [] [there]", "routing.timeout changed logged [12h] [5min]",
        "log.level changed live [info] [debug]",
    };
    s_expect(BASE "{name: e, conninfo: host=h}]}\ntenants: [{name: default}, {name: other}]\n",
             "node: {name: b}\ndatabase: {daps: [{name: d, conninfo: 'host=h password=one'}, "
             "{name: e, conninfo: host=h}]}\ntenants: [{name: default}, {name: other}]\n"
             "pair: {bind: 'tcp://127.0.0.1:1', peer: 'tcp://127.0.0.1:2', certificate: /k}\n"
             "queues: [{name: q, tenant: other}]\nrouting: {timeout: 5min}\nlog: {level: debug}\n",
             5, lines);
}

/* ---- Every key of the table ---- */

static bool s_is_logged(const config_t *a, const config_t *b)
{
    Ixn__V1__EngineConfiguration *packed[2] = {configuration_of(a), configuration_of(b)};
    size_t len = ixn__v1__engine_configuration__get_packed_size(packed[0]);
    bool same = len == ixn__v1__engine_configuration__get_packed_size(packed[1]);
    uint8_t *bytes[2] = {malloc(len + 1), malloc(len + 1)};
    for (int i = 0; i < 2 && same; i++)
        ixn__v1__engine_configuration__pack(packed[i], bytes[i]);
    same = same && memcmp(bytes[0], bytes[1], len) == 0;
    for (int i = 0; i < 2; i++) {
        free(bytes[i]);
        configuration_destroy(&packed[i]);
    }
    return !same;
}

/* Another value than the one there. */
static void s_change(const schema_key_t *key, void *item)
{
    static const char *const texts[] = {"zz",
                                        "/zz",
                                        "tcp://127.0.0.1:99",
                                        "host=zz",
                                        "true",
                                        "false",
                                        "77/minute",
                                        "manual",
                                        "warning",
                                        "sms",
                                        "0198c0de-0000-7000-8000-000000000009"};
    buffer_t before = {0};
    buffer_t after = {0};
    scalar_write(key, item, &before);
    bool changed = false;
    if (key->type == SCHEMA_INTEGER || key->type == SCHEMA_DURATION || key->type == SCHEMA_SIZE) {
        buffer_t text = {0};
        bool least = scalar_number(key, item) != key->minimum;
        scalar_write_number(key->type, least ? key->minimum : key->maximum, &text);
        changed = scalar_read(key, (text_t){(char *)text.bytes, text.len}, item, NULL);
        buffer_free(&text);
    }
    for (size_t i = 0; i < sizeof texts / sizeof *texts && !changed; i++) {
        buffer_clear(&after);
        if (!scalar_read(key, text_of(texts[i]), item, NULL))
            continue;
        scalar_write(key, item, &after);
        changed = after.len != before.len || memcmp(after.bytes, before.bytes, after.len) != 0;
    }
    if (key->given_offset != SCHEMA_NOWHERE)
        memcpy((char *)item + key->given_offset, &(bool){true}, sizeof(bool));
    cr_assert(changed, "%s: no other value was found", key->name);
    buffer_free(&before);
    buffer_free(&after);
}

/* The column is the truth: what is logged is in the engine's configuration and nothing else is;
 * what waits for a restart is put back; the difference names the key with its effect. */
static void s_check_key(schema_section_id_t id, size_t number)
{
    const schema_section_t *section = &schema_sections[id];
    const schema_key_t *key = &section->keys[number];
    config_t *old = s_config(s_text);
    config_t *new = s_config(s_text);
    cr_assert_gt(schema_items_len(section, new), 0, "%s has no item here", section->path);
    cr_expect_neq(key->reload, SCHEMA_UNSAID, "%s.%s does not say what a reload does",
                  section->path, key->name);
    s_change(key, (void *)schema_item(section, new, 0));
    cr_expect_eq(s_is_logged(old, new), key->reload == SCHEMA_LOGGED, "%s.%s is said to be %s",
                 section->path, key->name, schema_reload_name(key->reload));
    if (schema_is_present(section, new))
        cr_expect_gt(diff_configurations(old, new, NULL, NULL), 0, "%s.%s", section->path,
                     key->name);
    diff_keep_until_restart(old, new);
    cr_expect_eq(diff_configurations(old, new, NULL, NULL) == 0,
                 key->reload == SCHEMA_RESTART || !schema_is_present(section, old), "%s.%s",
                 section->path, key->name);
    config_destroy(&old);
    config_destroy(&new);
}

Test(diff, every_key_does_as_its_column_says)
{
    for (schema_section_id_t id = SCHEMA_TOP + 1; id < SCHEMA_SECTIONS; id++)
        for (size_t i = 0; i < schema_sections[id].keys_len; i++)
            s_check_key(id, i);
}
