/* Configuration: what loads, what is refused and with which words, what is printed. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/load.h"
#include "config/nearest.h"
#include "config/scalar.h"
#include "config/tree.h"
#include "core/base/alloc.h"
#include "core/base/log.h"

#define LEAST                                                                                      \
    "node: {name: a}\n"                                                                            \
    "database: {daps: [{name: d, conninfo: dbname=ixn}]}\n"

static config_t *s_parse(const char *text)
{
    error_t error = {0};
    config_t *config = config_parse("t.yaml", text, strlen(text), &error);
    cr_assert(config, "%s", error.text);
    return config;
}

/* The text is refused with an error that begins with "t.yaml:" PLACE and contains all `words`
 * (separated by "|"). */
static void s_refused(const char *text, size_t len, const char *place, const char *words)
{
    error_t error = {0};
    config_t *config = config_parse("t.yaml", text, len, &error);
    cr_assert_null(config, "not refused: %s", text);
    cr_expect_eq(error.code, ERROR_CONFIGURATION);
    char start[40];
    int start_len = snprintf(start, sizeof start, "t.yaml:%s: ", place);
    cr_expect(strncmp(error.text, start, (size_t)start_len) == 0, "not at %s: %s", place,
              error.text);
    char *list = memory_text(words);
    char *rest = list;
    for (char *word = strsep(&rest, "|"); word; word = strsep(&rest, "|"))
        cr_expect(strstr(error.text, word), "no \"%s\" in: %s", word, error.text);
    free(list);
}

static void s_refused_text(const char *text, const char *place, const char *words)
{
    s_refused(text, strlen(text), place, words);
}

static char *s_print(const config_t *config)
{
    char *text = NULL;
    size_t len;
    FILE *file = open_memstream(&text, &len);
    config_print(config, file);
    fclose(file);
    return text;
}

/* Every field of every key, byte by byte. */
static void s_expect_equal(const config_t *a, const config_t *b)
{
    for (schema_section_id_t id = SCHEMA_TOP; id < SCHEMA_SECTIONS; id++) {
        const schema_section_t *section = &schema_sections[id];
        size_t len = schema_items_len(section, a);
        cr_assert_eq(len, schema_items_len(section, b), "%s", section->path);
        for (size_t i = 0; i < len * section->keys_len; i++) {
            const schema_key_t *key = &section->keys[i % section->keys_len];
            const char *item_a = schema_item(section, a, i / section->keys_len);
            const char *item_b = schema_item(section, b, i / section->keys_len);
            cr_expect_eq(schema_is_given(key, item_a), schema_is_given(key, item_b));
            cr_expect_eq(memcmp(item_a + key->offset, item_b + key->offset, key->size), 0,
                         "%s.%s differs", section->path, key->name);
        }
    }
}

Test(config, defaults)
{
    config_t *config = s_parse(LEAST);
    cr_expect_str_eq(config->node_name, "a");
    cr_expect_str_eq(config->client_endpoint, "tcp://127.0.0.1:7420");
    cr_expect_str_eq(config->state_dir, "/var/lib/ixn");
    cr_expect_not(config->has_peer);
    cr_expect_str_eq(config->peer_bind, "");
    cr_expect_not(config->has_database_id);
    cr_expect_eq(config->daps_len, 1);
    cr_expect_str_eq(config->daps[0].name, "d");
    cr_expect_str_eq(config->daps[0].conninfo, "dbname=ixn");
    cr_expect_eq(config->daps[0].weight, 10);
    cr_expect_eq(config->connect_timeout_ms, 2000);
    cr_expect_eq(config->statement_timeout_ms, 5000);
    cr_expect_eq(config->retry_after_ms, 1000);
    cr_expect_eq(config->journal_retention_ms, 3600000);
    cr_expect_eq(config->journal_retention_size, 1073741824);
    cr_expect_eq(config->checkpoint_interval_ms, 1000);
    cr_expect_eq(config->checkpoint_max_lag_size, 268435456);
    cr_expect_eq(config->history_retention_ms, UINT64_C(7776000000));
    cr_expect_eq(config->routing_timeout_ms, 43200000);
    cr_expect_eq(config->hold_timeout_ms, UINT64_C(2592000000));
    cr_expect_eq(config->max_router_attempts, 5);
    cr_expect_eq(config->max_submitted_interactions, 1000);
    cr_expect_eq(config->dedupe_window_ms, 600000);
    cr_expect_eq(config->dedupe_guaranteed_ms, 60000);
    cr_expect_eq(config->dedupe_max_keys, 4000000);
    cr_expect_eq(config->max_interactions, 10000000);
    cr_expect_eq(config->max_attributes_size, 262144);
    cr_expect_eq(config->max_clients, 10000);
    cr_expect_eq(config->max_unfinished_size, 67108864);
    cr_expect_eq(config->heartbeat_ms, 1000);
    cr_expect_eq(config->tenants_len, 1);
    cr_expect_str_eq(config->tenants[0].name, "default");
    cr_expect_eq(config->queues_len, 0);
    cr_expect_eq(config->routers_len, 0);
    cr_expect_eq(config->log_level, LOG_LEVEL_INFO);
    config_destroy(&config);
    cr_expect_null(config);
    config_destroy(&config);
}

Test(config, values)
{
    config_t *config = s_parse(
        "node: {name: \"J\\xfcrgen \\U0001F600\", client_endpoint: 'tcp://[::1]:80'}\n"
        "database:\n"
        "  id: 0198C0DE-0000-7000-8000-00000000000a\n"
        "  daps:\n"
        "    - {name: one, conninfo: \"host=h password='a b'\", weight: 100}\n"
        "    - conninfo: postgresql://h/db\n"
        "      name: two\n"
        "tenants: [{name: default}, {name: ~x}]\n"
        "queues:\n"
        "  - {name: q, tenant: ~x, strategy: s, max_length: 7}\n"
        "  - {name: q}\n"
        "routers:\n"
        "  - {name: r, max_submitted_interactions: 0}\n"
        "  - {name: s, agent_reservation: true}\n"
        "limits: # nothing below\n"
        "journal: {retention: 90s, retention_size: 5000000B}\n"
        "log: {level: debug}\n");
    cr_expect_str_eq(config->node_name, "J\xc3\xbcrgen \xf0\x9f\x98\x80");
    cr_expect_str_eq(config->client_endpoint, "tcp://[::1]:80");
    char id[ID_TEXT_SIZE];
    cr_expect(config->has_database_id);
    cr_expect_str_eq(id_text(config->database_id, id), "0198c0de-0000-7000-8000-00000000000a");
    cr_expect_eq(config->daps_len, 2);
    cr_expect_eq(config->daps[0].weight, 100);
    cr_expect_str_eq(config->daps[1].name, "two");
    cr_expect_eq(config->tenants_len, 2);
    cr_expect_eq(config->queues_len, 2);
    cr_expect_str_eq(config->queues[0].tenant, "~x");
    cr_expect_str_eq(config->queues[0].strategy, "s");
    cr_expect_eq(config->queues[0].max_length, 7);
    cr_expect_str_eq(config->queues[1].tenant, "default");
    cr_expect_str_eq(config->queues[1].strategy, "");
    cr_expect(config->routers[0].has_max_submitted_interactions);
    cr_expect_eq(config->routers[0].max_submitted_interactions, 0);
    cr_expect_not(config->routers[0].agent_reservation);
    cr_expect_not(config->routers[1].has_max_submitted_interactions);
    cr_expect(config->routers[1].agent_reservation);
    cr_expect_eq(config->journal_retention_ms, 90000);
    cr_expect_eq(config->journal_retention_size, 5000000);
    cr_expect_eq(config->log_level, LOG_LEVEL_DEBUG);
    config_destroy(&config);
}

#define PAIR "pair: {bind: 'tcp://*:7421', peer: tcp://b:7421, certificate: /k"

Test(config, pair)
{
    config_t *config = s_parse(LEAST PAIR "}\n");
    cr_expect(config->has_peer);
    cr_expect_str_eq(config->peer_bind, "tcp://*:7421");
    cr_expect_str_eq(config->peer_endpoint, "tcp://b:7421");
    cr_expect_str_eq(config->peer_certificate, "/k");
    cr_expect_not(config->failover_manual);
    cr_expect_not(config->preferred);
    cr_expect_eq(config->failover_timeout_ms, 1000);
    cr_expect_eq(config->peer_heartbeat_ms, 100);
    cr_expect_eq(config->beat_ms, 40);
    config_destroy(&config);
    config = s_parse(LEAST PAIR
                     ", failover: manual, preferred: true, heartbeat: 50ms,\n"
                     "  failover_timeout: 200ms, beat: 10ms}\n");
    cr_expect(config->failover_manual);
    cr_expect(config->preferred);
    cr_expect_eq(config->failover_timeout_ms, 200);
    cr_expect_eq(config->peer_heartbeat_ms, 50);
    cr_expect_eq(config->beat_ms, 10);
    config_destroy(&config);
    config = s_parse(LEAST "pair: # nothing below\n");
    cr_expect_not(config->has_peer);
    char *printed = s_print(config);
    cr_expect_not(strstr(printed, "pair"), "%s", printed);
    free(printed);
    config_destroy(&config);
}

Test(config, prints_what_loads_back_to_the_same)
{
    static const char *const texts[] = {
        LEAST,
        "node: {name: \"true\", state_dir: '/a \"b\" \\'}\n"
        "database: {id: 0198c0de-0000-7000-8000-00000000000a, statement_timeout: 1500ms,\n"
        "  daps: [{name: '~', conninfo: \"user='x \\\\' \\\"'\"}, {name: "
        "\"\\ufeffx\\u00e9\\U0001F600y\",\n"
        "          conninfo: 'postgresql://u@h:1,[::1]:2/d?application_name=x%20y'}]}\n"
        "tenants: [{name: null x}, {name: 'a: b #c'}]\n"
        "queues: [{name: '- x', tenant: null x}, {name: '- x', tenant: 'a: b #c', strategy: "
        "'*s'}]\n"
        "routers: [{name: r, max_submitted_interactions: 50000}, {name: '&t'}]\n"
        "limits: {max_attributes_size: 1025B}\n"
        "history: {retention: 100000000ms}\n"
        "log: {level: error}\n",
        LEAST PAIR ", failover: manual, preferred: true, beat: 200ms}\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        config_t *config = s_parse(texts[i]);
        char *printed = s_print(config);
        config_t *again = s_parse(printed);
        cr_expect_eq(config->has_peer, again->has_peer);
        s_expect_equal(config, again);
        free(printed);
        config_destroy(&config);
        config_destroy(&again);
    }
}

Test(config, printing_hides_passwords)
{
    config_t *config = s_parse(
        "node: {name: a}\n"
        "database: {daps: [{name: d, conninfo: \"user=u password = 's3 \\\\' cret' dbname=x\"},\n"
        "                  {name: e, conninfo: "
        "'postgresql://u:s3cret@h/d?sslpassword=s3cret'}]}\n");
    char *printed = s_print(config);
    cr_expect(strstr(printed, "user=u password = '********' dbname=x"), "%s", printed);
    cr_expect(strstr(printed, "postgresql://u:********@h/d?sslpassword=********"), "%s", printed);
    cr_expect_not(strstr(printed, "s3"), "%s", printed);
    config_t *again = s_parse(printed);
    char *twice = s_print(again);
    cr_expect_str_eq(printed, twice);
    free(printed);
    free(twice);
    config_destroy(&config);
    config_destroy(&again);
}

/* A line after LEAST (so on line 3), where in it the error points, and its words. */
static const struct {
    const char *line;
    const char *place;
    const char *words;
} s_wrong[] = {
    /* keys */
    {"journel: {}", "3:1", "no key `journel`|did you mean `journal`?"},
    {"journal: {retention-size: 1GiB}", "3:11", "journal has no key|did you mean `retention_size`"},
    {"limits: {max_cleints: 1}", "3:10", "did you mean `max_clients`"},
    {"log: {heartbeat: 1s}", "3:7", "log has no key `heartbeat`|belongs to pair or clients"},
    {"log: {colour: red}", "3:7", "it knows level"},
    {"daps: []", "3:1", "belongs to database|indentation"},
    {"log: {}\nlog: {}", "4:1", "`log`|twice|line 3"},
    {"log: {level: info,\n  level: info}", "4:3", "`level` in log|twice|line 3"},
    {"log: {? [a] : b}", "3:9", "a list, but must be a word"},
    {"log: {level}", "3:7", "log.level has no value"},
    {"log: {level: ~}", "3:7", "log.level has no value"},
    {"\"lo\\0g\": {}", "3:1", "no key `lo?g`"},
    /* shapes */
    {"log: []", "3:6", "log is a list, but must be a mapping"},
    {"log: info", "3:6", "log is a single value, but must be a mapping"},
    {"queues: {name: a}", "3:9", "queues is a mapping, but must be a list"},
    {"queues: [a]", "3:10", "an item of queues is a single value, but must be a mapping"},
    {"log: {level: [info]}", "3:14", "log.level is a list, but must be a single value"},
    {"tenants: []", "3:10", "tenants has 0 items; allowed are 1 to 1000"},
    {"queues: [{strategy: s}]", "3:10", "queues.name is missing"},
    /* durations */
    {"history: {retention: 90}", "3:22", "`90` has no unit|d, such as 90d"},
    {"history: {retention: 90 d}", "3:22", "`90 d` is not understood|ms, s, min, h, d"},
    {"history: {retention: 90m}", "3:22", "`90m` is not understood"},
    {"history: {retention: -1d}", "3:22", "`-1d` is not understood"},
    {"history: {retention: 1.5d}", "3:22", "`1.5d` is not understood"},
    {"history: {retention: ''}", "3:22", "`` has no unit"},
    {"history: {retention: 23h}", "3:22", "`23h` is too small|from 1d to 3650d"},
    {"history: {retention: 3651d}", "3:22", "`3651d` is too large|from 1d to 3650d"},
    {"history: {retention: 99999999999999999999d}", "3:22", "is too large"},
    {"history: {retention: 18446744073709551615d}", "3:22", "is too large"},
    {"dedupe: {guaranteed: 34s}", "3:22", "`34s` is too small|from 35s to 30d"},
    /* sizes and numbers */
    {"limits: {max_attributes_size: 2MiB}", "3:31", "too large|from 1KiB to 1MiB"},
    {"limits: {max_attributes_size: 64kb}", "3:31", "`64kb`|powers of 1024|256KiB"},
    {"limits: {max_attributes_size: 65536}", "3:31", "has no unit"},
    {"limits: {max_clients: 10_000}", "3:23", "`10_000` is not understood|digits only|10000"},
    {"limits: {max_clients: 0x10}", "3:23", "`0x10` is not understood"},
    {"limits: {max_clients: 0}", "3:23", "`0` is too small|a whole number from 1 to 100000"},
    {"limits: {max_clients: 5000000000}", "3:23", "is too large"},
    /* other types */
    {"routers: [{name: r, agent_reservation: yes}]", "3:40", "`yes`|true or false"},
    {"log: {level: verbose}", "3:14", "`verbose`|debug, info, warning, error"},
    {"queues: [{name: ''}]", "3:17", "`` is empty"},
    {"queues: [{name: ' a'}]", "3:17", "begins or ends with a space"},
    {"queues: [{name: \"a\\u00a0\"}]", "3:17", "begins or ends with a space"},
    {"queues: [{name: \"a\\tb\"}]", "3:17", "`a?b` has a control character"},
    {"queues: [{name: \"a\\0b\"}]", "3:17", "`a?b` has a control character"},
    {"queues: [{name: a2345678901234567890123456789012345678901234567890123456789012345}]", "3:17",
     "is too long|1 to 64 bytes"},
    /* across keys */
    {"tenants: [{name: a}, {name: b}, {name: a}, {name: b}]", "3:40", "`a` twice|line 3"},
    {"queues: [{name: a},\n  {name: b},\n  {name: a}]", "5:10",
     "`a` twice in tenant default|line 3"},
    {"tenants: [{name: b}, {name: a}, {name: b}, {name: a}]", "3:40", "`b` twice|line 3"},
    {"routers: [{name: a}, {name: a}]", "3:29", "routers has the name `a` twice"},
    {"queues: [{name: q, tenant: tn}]", "3:28", "queue `q`|tenant `tn`|`tenants`: default;"},
    {"tenants: [{name: x}, {name: y}]\nqueues: [{name: q}]", "4:10", "tenant `default`|: x, y;"},
    {"dedupe: {guaranteed: 11min}", "3:22", "guaranteed is 11min, more than dedupe.window|10min"},
    {"dedupe: {window: 50s}", "3:18", "dedupe.guaranteed is 1min, more than dedupe.window|50s"},
    {"dedupe: {window: 10d}\nhistory: {retention: 9d}", "3:18", "more than history.retention|9d"},
    {"pair: {}", "3:1", "pair.bind is missing"},
    {"pair: {bind: ipc:///p, certificate: /k}", "3:1", "pair.peer is missing"},
    {"pair: {bind: ipc:///p, peer: ipc:///q}", "3:1", "pair.certificate is missing|keygen"},
    {"pair: {bind: ipc:///p, peer: ipc:///q, certificate: k}", "3:53", "`k` is not absolute"},
    {PAIR ", failover: auto}", "3:77", "`auto`|automatic, manual"},
    {PAIR ", failover_timeout: 199ms}", "3:85", "from 200ms to 1min"},
    {PAIR ", heartbeat: 19ms}", "3:78", "from 20ms to"},
    {PAIR ", beat: 9ms}", "3:73", "from 10ms to 1s"},
    {PAIR ", heartbeat: 251ms}", "3:78", "251ms, 4 times that is more than pair.failover_t|1s"},
    {PAIR ", beat: 201ms}", "3:73", "201ms, 5 times that is more than pair.failover_timeout|1s"},
    {PAIR ", failover_timeout: 399ms}", "3:85", "heartbeat is 100ms, 4 times|399ms"},
    {"pair: {bind: 'tcp://127.0.0.1:7420', peer: tcp://b:7421, certificate: /k}", "3:14",
     "`tcp://127.0.0.1:7420`|node.client_endpoint|another port"},
    {"pair: {bind: tcp://a:7421, peer: tcp://a:7421, certificate: /k}", "3:34",
     "`tcp://a:7421`, and so is pair.bind"},
    {"pair: {bind: tcp://a:7421, peer: 'tcp://*:7421', certificate: /k}", "3:34",
     "every address of this machine"},
    {"limits: {max_interactions: 9}\nqueues: [{name: q, max_length: 10}]", "4:32", "is 10|is 9"},
    /* YAML that no configuration needs */
    {"log: &x {}", "3:6", "anchors"},
    {"log: *x", "3:6", "aliases"},
    {"log: !x {}", "3:6", "tags"},
    {"<<: {}", "3:1", "no key `<<`"},
    {"---\nlog: {}", "3:1", "second document"},
    {"log: [[[[[[[[[[[[[[[[", "3:21", "nested deeper than 16"},
    /* not YAML */
    {"log: {", "4:1", "not valid YAML"},
    {"log:\n\tlevel: info", "4:1", "not valid YAML|cannot start any token"},
    {" log: {}", "3:2", "not valid YAML|colons"},
    {"log: \"", "4:1", "not valid YAML|quoted scalar"},
    {"log: {level: \xc3\xa9\xff}", "3:15", "byte 0xff is not valid UTF-8"},
    {"log: {level: \xc3\xa9\x07}", "3:15", "U+0007 is not allowed"},
};

Test(config, refusals)
{
    for (size_t i = 0; i < sizeof s_wrong / sizeof s_wrong[0]; i++) {
        char text[1000];
        snprintf(text, sizeof text, LEAST "%s\n", s_wrong[i].line);
        s_refused_text(text, s_wrong[i].place, s_wrong[i].words);
    }
}

Test(config, required_keys)
{
    s_refused_text("", "1:1", "node.name is missing|name of this node");
    s_refused_text("# nothing\n", "1:1", "node.name is missing");
    s_refused_text("[]", "1:1", "the file is a list, but must be a mapping");
    s_refused_text("x", "1:1", "the file is a single value");
    s_refused_text("log: {}\nnode: {state_dir: /x}", "2:1", "node.name is missing");
    s_refused_text("node: {name: a}\n", "1:1", "database.daps is missing|at least 1");
    s_refused_text("node: {name: a}\ndatabase:\n", "2:1", "database.daps is missing");
    s_refused_text("node: {name: a}\ndatabase: {daps: []}", "2:18", "has 0 items; allowed are 1");
    s_refused_text("node: {name: a}\ndatabase: {daps: [{conninfo: dbname=y}]}", "2:19",
                   "database.daps.name is missing");
    s_refused_text("node: {name: a}\ndatabase: {daps: [{name: b}]}", "2:19",
                   "database.daps.conninfo is missing");
}

/* A value of a key that LEAST has already. */
static void s_refused_node(const char *key, const char *value, const char *words)
{
    char text[2000];
    char place[40];
    snprintf(place, sizeof place, "1:%zu", strlen("node: {name: a, : ") + strlen(key) + 1);
    snprintf(text, sizeof text, "node: {name: a, %s: %s}\n", key, value);
    s_refused_text(text, place, words);
}

Test(config, endpoints_and_paths)
{
    s_refused_node("client_endpoint", "127.0.0.1:7420", "is not an endpoint|tcp://HOST:PORT");
    s_refused_node("client_endpoint", "'tcp://'", "is not an endpoint");
    s_refused_node("client_endpoint", "tcp://host", "has no port");
    s_refused_node("client_endpoint", "'tcp://:7420'", "has no host");
    s_refused_node("client_endpoint", "tcp://h:0", "from 1 to 65535");
    s_refused_node("client_endpoint", "tcp://h:65536", "from 1 to 65535");
    s_refused_node("client_endpoint", "tcp://h:7420/x", "from 1 to 65535");
    s_refused_node("client_endpoint", "'tcp://h:*'", "from 1 to 65535");
    s_refused_node("client_endpoint", "tcp://::1:7420", "needs brackets");
    s_refused_node("client_endpoint", "tcp://a/b:7420", "is not an endpoint");
    s_refused_node("client_endpoint", "'ipc://'", "is not an endpoint");
    s_refused_node("client_endpoint", "inproc://x", "is not an endpoint");
    char path[200] = "ipc:///";
    memset(path + 7, 'x', 107);
    s_refused_node("client_endpoint", path, "longer than a socket's 107 bytes");
    s_refused_node("state_dir", "var/lib", "`var/lib` is not absolute");
    char longer[CONFIG_PATH_SIZE + 1] = "/";
    memset(longer + 1, 'x', CONFIG_PATH_SIZE - 1);
    s_refused_node("state_dir", longer, "xxx...` is too long");

    static const char *const good[] = {"tcp://*:1", "tcp://eth0:65535", "tcp://[fe80::1%25eth0]:9",
                                       "ipc:///run/ixn/clients", "ipc://@ixn"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        char text[300];
        snprintf(text, sizeof text,
                 "node: {name: a, client_endpoint: '%s'}\n"
                 "database: {daps: [{name: d, conninfo: dbname=ixn}]}\n",
                 good[i]);
        config_t *config = s_parse(text);
        cr_expect_str_eq(config->client_endpoint, good[i]);
        config_destroy(&config);
    }
}

static void s_refused_conninfo(const char *conninfo, const char *words)
{
    char text[2000];
    snprintf(text, sizeof text,
             "node: {name: a}\ndatabase: {daps: [{name: d, conninfo: \"%s\"}]}\n", conninfo);
    s_refused_text(text, "2:39", words);
    error_t error = {0};
    config_parse("t.yaml", text, strlen(text), &error);
    cr_expect_not(strstr(error.text, "s3cret"), "a password in: %s", error.text);
}

Test(config, conninfo_is_bounded_and_never_in_an_error)
{
    s_refused_conninfo("", "is empty");
    s_refused_conninfo("password=s3cret\\ndbname=x", "has a control character|in one line");
    s_refused_conninfo(" password=s3cret", "begins or ends with a space");
    s_refused_conninfo("password=s3cret prt=5432", "keywords that libpq has|misspelt");
    s_refused_conninfo("password='s3cret", "keywords that libpq has");
    s_refused_conninfo("postgresql://u:s3cret@[::1/ixn", "nor a URI");
    s_refused_conninfo("postgresql://h:0,[::1?]:s3cret", "nor a URI"); /* once it is hidden */
    char longer[CONFIG_CONNINFO_SIZE + 1] = "password=s3cret ";
    size_t len = strlen(longer);
    memset(longer + len, 'x', CONFIG_CONNINFO_SIZE - len);
    s_refused_conninfo(longer, "too long|allowed are 1023 bytes");
    longer[CONFIG_CONNINFO_SIZE - 2] = 0; /* now one too long only once the password is hidden */
    longer[len + 3] = '=';
    s_refused_conninfo(longer, "too long (1024 bytes)");
}

Test(config, limits_of_the_text)
{
    size_t len = TREE_MAX_SIZE + 1;
    char *text = memory_new(len);
    memset(text, '\n', len);
    s_refused(text, len, "1:1", "larger than 1048576 bytes");
    s_refused(text, len - 1, "1:1", "node.name is missing");
    for (size_t i = 0; i < len; i++)
        text[i] = "- "[i % 2];
    s_refused(text, TREE_MAX_SIZE, "1:33", "nested deeper");
    memset(text, '[', len);
    s_refused(text, TREE_MAX_SIZE, "1:17", "nested deeper");
    for (size_t i = 0; i < len; i++)
        text[i] = "-\n"[i % 2];
    s_refused(text, TREE_MAX_SIZE, "200000:2", "more than 200000");
    free(text);
    s_refused("no\0de: {}", 9, "1:3", "U+0000");
    s_refused("\xff\xfen\0", 4, "1:1", "not valid UTF-8");
    config_t *config =
        s_parse("\xef\xbb\xbf--- # a byte order mark, and marks of one document\n" LEAST "...\n");
    config_destroy(&config);
}

Test(config, a_name_taken_twice_among_many)
{
    buffer_t text = {0};
    buffer_append_text(&text, LEAST "queues:\n");
    for (unsigned i = 0; i < 10000; i++)
        buffer_printf(&text, "- {name: queue-%u, strategy: s, max_length: %u}\n", i % 9999, i);
    s_refused((const char *)text.bytes, text.len, "10003:10", "`queue-0` twice|line 4");
    buffer_free(&text);
}

Test(config, files)
{
    error_t error = {0};
    cr_expect_null(config_load("/nowhere/ixnd.yaml", &error));
    cr_expect_eq(error.code, ERROR_SYSTEM);
    cr_expect_str_eq(error.text, "/nowhere/ixnd.yaml: cannot be opened: No such file or directory");
    cr_expect_null(config_load("/", &error));
    cr_expect_str_eq(error.text, "/: cannot be read: Is a directory");
    cr_expect_null(config_load("/dev/zero", &error));
    cr_expect(strstr(error.text, "/dev/zero:1:1: the file is larger"), "%s", error.text);
    cr_expect_null(config_load("/dev/null", NULL));
}

Test(config, nearest)
{
    static const struct {
        const char *a;
        const char *b;
        size_t distance;
    } cases[] = {
        {"", "", 0},          {"", "abc", 3},
        {"abc", "", 3},       {"name", "name", 0},
        {"nmae", "name", 1},  {"ame", "name", 1},
        {"naame", "name", 1}, {"nane", "name", 1},
        {"ca", "abc", 3},     {"timeout", "hold_timeout", 5},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        text_t a = text_of(cases[i].a);
        text_t b = text_of(cases[i].b);
        cr_expect_eq(nearest_distance(a, b), cases[i].distance, "%s %s", a.data, b.data);
        cr_expect_eq(nearest_distance(b, a), cases[i].distance, "%s %s", b.data, a.data);
    }
    cr_expect(nearest_is_near(TEXT("name"), 1));
    cr_expect_not(nearest_is_near(TEXT("name"), 2));
    cr_expect(nearest_is_near(TEXT("retention_size"), 4));
    char longer[LIMIT_NAME + 2];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    cr_expect_eq(nearest_distance(text_of(longer), TEXT("x")), SIZE_MAX);
}

/* Every row of the table makes sense by itself. */
Test(config, schema)
{
    for (schema_section_id_t id = SCHEMA_TOP + 1; id < SCHEMA_SECTIONS; id++) {
        const schema_section_t *section = &schema_sections[id];
        cr_assert(section->name && section->path && section->sentence && section->keys_len > 0);
        cr_expect(section->parent < id, "%s: parents come first", section->path);
        if (section->list) {
            cr_expect_str_eq(section->keys[0].name, "name");
            cr_expect(section->keys[0].required);
        }
        for (size_t i = 0; i < section->keys_len; i++) {
            const schema_key_t *key = &section->keys[i];
            cr_assert(key->sentence && key->size > 0, "%s.%s", section->path, key->name);
            cr_expect(strlen(key->sentence) <= 90, "%s", key->sentence);
            cr_expect_not(key->required && key->standard, "%s.%s", section->path, key->name);
            cr_expect_leq(key->minimum, key->maximum, "%s", key->name);
            cr_expect(key->size != 4 || key->maximum <= UINT32_MAX, "%s", key->name);
            cr_expect_eq(schema_find_key(section, text_of(key->name)), key, "%s", key->name);
        }
    }
}

/* Numbers are written in the unit that loses nothing and read back. */
Test(config, scalars)
{
    static const struct {
        schema_type_t type;
        uint64_t number;
        const char *text;
    } cases[] = {
        {SCHEMA_DURATION, 0, "0ms"},
        {SCHEMA_DURATION, 999, "999ms"},
        {SCHEMA_DURATION, 1000, "1s"},
        {SCHEMA_DURATION, 90000, "90s"},
        {SCHEMA_DURATION, 60000, "1min"},
        {SCHEMA_DURATION, 43200000, "12h"},
        {SCHEMA_DURATION, 86400000, "1d"},
        {SCHEMA_SIZE, 0, "0B"},
        {SCHEMA_SIZE, 1023, "1023B"},
        {SCHEMA_SIZE, 1536, "1536B"},
        {SCHEMA_SIZE, 2048, "2KiB"},
        {SCHEMA_SIZE, 1 << 30, "1GiB"},
        {SCHEMA_SIZE, 1LL << 40, "1TiB"},
        {SCHEMA_INTEGER, 1000, "1000"},
        {SCHEMA_SIZE, UINT64_MAX, "18446744073709551615B"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buffer_t out = {0};
        scalar_write_number(cases[i].type, cases[i].number, &out);
        cr_expect(text_equal((text_t){(const char *)out.bytes, out.len}, text_of(cases[i].text)),
                  "%.*s", (int)out.len, (const char *)out.bytes);
        buffer_free(&out);
        const schema_key_t key = {.type = cases[i].type,
                                  .size = sizeof(uint64_t),
                                  .given_offset = SCHEMA_NOWHERE,
                                  .maximum = UINT64_MAX};
        uint64_t number = 1;
        error_t error = {0};
        cr_expect(scalar_read(&key, text_of(cases[i].text), &number, &error), "%s", error.text);
        cr_expect_eq(number, cases[i].number);
    }
}

Test(config, help_names_every_key)
{
    char *text = NULL;
    size_t len;
    FILE *file = open_memstream(&text, &len);
    config_describe(file);
    fclose(file);
    for (schema_section_id_t id = SCHEMA_TOP + 1; id < SCHEMA_SECTIONS; id++) {
        const schema_section_t *section = &schema_sections[id];
        cr_expect(strstr(text, section->path));
        for (size_t i = 0; i < section->keys_len; i++)
            cr_expect(strstr(text, section->keys[i].sentence), "%s", section->keys[i].name);
    }
    cr_expect(strstr(text, "a duration from 35s to 30d; default 10min"), "%s", text);
    free(text);
}

Test(config, notes_on_what_gets_less_work_than_one_may_think)
{
    config_t *config = s_parse(LEAST
                               "routers: [{name: R1, agent_reservation: true}, {name: R2}]\n"
                               "applications: {servers: [{name: crm, type: third_party}]}\n");
    char *text = NULL;
    size_t len;
    FILE *file = open_memstream(&text, &len);
    cr_expect_eq(config_notes(config, file), 2);
    fclose(file);
    cr_expect(strstr(text, "\"crm\" names no services"), "%s", text);
    cr_expect(strstr(text, "\"R2\" has no agent_reservation"), "%s", text);
    cr_expect_null(strstr(text, "\"R1\""), "%s", text);
    free(text);
    config_destroy(&config);
    config = s_parse(LEAST "routers: [{name: R2}]\n");
    file = open_memstream(&text, &len);
    cr_expect_eq(config_notes(config, file), 0, "one alone needs no reservation");
    fclose(file);
    free(text);
    config_destroy(&config);
}
