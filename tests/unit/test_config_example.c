/* config/ixnd.yaml: the annotated example and the table of keys say the same. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/load.h"
#include "config/scalar.h"
#include "config/tree.h"
#include "core/base/alloc.h"

static char *s_example(size_t *ret_len)
{
    static const char path[] = IXN_SOURCE "/config/ixnd.yaml";
    FILE *file = fopen(path, "re");
    cr_assert(file, "%s", path);
    char *text = memory_zero(1, TREE_MAX_SIZE);
    *ret_len = fread(text, 1, TREE_MAX_SIZE - 1, file);
    fclose(file);
    return text;
}

/* Whether a comment shows "key: value". */
static bool s_in_comment(const char *text, const char *key)
{
    char line[100];
    size_t len = (size_t)snprintf(line, sizeof line, "%s: ", key);
    for (const char *at = strstr(text, line); at; at = strstr(at + len, line)) {
        const char *start = at;
        while (start > text && (start[-1] == ' ' || start[-1] == '-'))
            start--;
        if (start > text && start[-1] == '#')
            return true;
    }
    return false;
}

static void s_expect_shown(const schema_section_t *section, const schema_key_t *key,
                           const config_t *config, const places_t *places, const char *text)
{
    schema_section_id_t id = (schema_section_id_t)(section - schema_sections);
    size_t index = (size_t)(key - section->keys);
    size_t len = schema_items_len(section, config);
    bool shown = s_in_comment(text, key->name);
    for (size_t i = 0; i < len; i++) {
        const char *item = schema_item(section, config, i);
        shown = shown || places_given(places, id, i, index);
        if (!key->standard)
            continue;
        char standard[sizeof(config_dap_t) + sizeof(config_queue_t)] = {0};
        schema_key_t copy = *key;
        copy.offset = 0;
        error_t error = {0};
        cr_assert(scalar_read(&copy, text_of(key->standard), standard, &error), "%s", error.text);
        cr_expect_eq(memcmp(item + key->offset, standard, key->size), 0,
                     "%s.%s is not its default %s", section->path, key->name, key->standard);
    }
    cr_expect(shown, "%s.%s is not in config/ixnd.yaml", section->path, key->name);
    if (!section->list && (key->standard || key->required))
        cr_expect(places_given(places, id, 0, index), "%s.%s is only in a comment", section->path,
                  key->name);
}

Test(config_example, shows_every_key_and_default)
{
    size_t len;
    char *text = s_example(&len);
    places_t places;
    error_t error = {0};
    config_t *config = load_parse("ixnd.yaml", (text_t){text, len}, &places, &error);
    cr_assert(config, "%s", error.text);
    for (schema_section_id_t id = SCHEMA_TOP + 1; id < SCHEMA_SECTIONS; id++) {
        const schema_section_t *section = &schema_sections[id];
        if (section->optional)
            continue; /* in comments: see below */
        cr_expect_neq(places.sections[id].line, 0, "%s is not in config/ixnd.yaml", section->path);
        for (size_t i = 0; i < section->keys_len; i++)
            s_expect_shown(section, &section->keys[i], config, &places, text);
    }
    cr_expect_eq(config->daps_len, 2);
    cr_expect_eq(config->queues_len, 2);
    cr_expect_str_eq(config->queues[0].name, "inbound");
    cr_expect_str_eq(config->queues[0].strategy, "classify");
    cr_expect_str_eq(config->queues[1].name, "support");
    cr_expect_str_eq(config->queues[1].strategy, "answer");
    places_free(&places);
    config_destroy(&config);
    free(text);
}

/* What the example keeps in comments is right too: without the "# " in front of them it loads. */
Test(config_example, comments_load)
{
    size_t len;
    char *text = s_example(&len);
    buffer_t out = {0};
    char *rest = text;
    bool inside = false;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        if (strncmp(line, "routers: []", 11) == 0)
            continue;
        inside = strncmp(line, "# routers:", 10) == 0 || strncmp(line, "# pair:", 7) == 0 ||
                 strncmp(line, "# admin:", 8) == 0 || (inside && *line == '#');
        bool id = strncmp(line, "  # id: ", 8) == 0;
        buffer_printf(&out, "%s%s\n", id ? "  " : "", line + (inside ? 2 : id ? 4 : 0));
    }
    error_t error = {0};
    places_t places;
    text_t uncommented = {(const char *)out.bytes, out.len};
    config_t *config = load_parse("ixnd.yaml", uncommented, &places, &error);
    cr_assert(config, "%s", error.text);
    cr_expect(config->has_database_id);
    cr_expect(config->has_peer);
    const schema_section_t *pair = &schema_sections[SCHEMA_PAIR];
    for (size_t i = 0; i < pair->keys_len; i++)
        s_expect_shown(pair, &pair->keys[i], config, &places, "");
    cr_expect(config->has_admin);
    const schema_section_t *admin = &schema_sections[SCHEMA_ADMIN];
    for (size_t i = 0; i < admin->keys_len; i++)
        s_expect_shown(admin, &admin->keys[i], config, &places, text);
    places_free(&places);
    cr_expect_eq(config->routers_len, 1);
    cr_expect_eq(config->routers[0].max_submitted_interactions, 200);
    config_destroy(&config);
    buffer_free(&out);
    free(text);
}
