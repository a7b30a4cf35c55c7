/* Schema: every key an operator may write, as one table: where it stands, its type, default, bounds
 * and a sentence for people.
 *
 * Promises: loading, checking, printing and the help text walk this table and know no key of their
 * own; a default is written as an operator would write it and read by the same code. It holds data
 * only. What relates two keys is not here but in config/check.c.
 */
#ifndef IXN_CONFIG_SCHEMA_H
#define IXN_CONFIG_SCHEMA_H

#include "config/config.h"

/* What a value may look like; how each is read and written is in config/scalar.c. */
typedef enum {
    SCHEMA_NAME,     /* 1 … 64 bytes of UTF-8, no control characters, no space around it */
    SCHEMA_PATH,     /* an absolute path */
    SCHEMA_ENDPOINT, /* tcp://HOST:PORT or ipc://PATH */
    SCHEMA_CONNINFO, /* a libpq connection string or URI; never shown in an error */
    SCHEMA_BOOLEAN,
    SCHEMA_INTEGER,
    SCHEMA_DURATION, /* a number and ms, s, min, h or d; kept in milliseconds */
    SCHEMA_SIZE,     /* a number and B, KiB, MiB, GiB or TiB; kept in bytes */
    SCHEMA_UUID,
    SCHEMA_RATE,   /* a number, "/" and second, minute or hour; kept as config_rate_t */
    SCHEMA_CHOICE, /* one of `choices`; kept as its place among them */
    SCHEMA_NAMES,  /* a list of names, up to LIMIT_SERVICES: config_names_t */
} schema_type_t;

/* What a change of the value does when the file is reloaded. A list's items come and go as the
 * list's first key says. */
typedef enum {
    SCHEMA_UNSAID,  /* no key may leave it so */
    SCHEMA_LIVE,    /* in force at once, on this node */
    SCHEMA_LOGGED,  /* part of the log: the primary's file counts, for both nodes */
    SCHEMA_RESTART, /* in force at the next start of the process */
} schema_reload_t;
const char *schema_reload_name(schema_reload_t reload); /* "live", "logged", "restart" */

#define SCHEMA_NOWHERE SIZE_MAX

/* One key. Without `standard` and not `required` it may be absent: the field is then zero. */
typedef struct {
    const char *name;
    schema_type_t type;
    schema_reload_t reload;
    bool required;
    size_t offset;        /* of its field in config_t, or in the item of a list */
    size_t size;          /* of that field */
    size_t given_offset;  /* of the bool that says it was given, or SCHEMA_NOWHERE */
    const char *standard; /* the default, as an operator would write it, or NULL */
    uint64_t minimum;     /* INTEGER, DURATION (ms), SIZE (bytes) */
    uint64_t maximum;
    const char *const *choices; /* CHOICE: ends with NULL */
    const char *sentence;
} schema_key_t;

/* In the order in which they are printed. */
typedef enum {
    SCHEMA_TOP, /* the file itself: no keys, only sections */
    SCHEMA_NODE,
    SCHEMA_PAIR,
    SCHEMA_DATABASE,
    SCHEMA_DAPS,
    SCHEMA_TENANTS,
    SCHEMA_QUEUES,
    SCHEMA_ROUTERS,
    SCHEMA_APPLICATIONS,
    SCHEMA_SERVERS,
    SCHEMA_CLUSTERS,
    SCHEMA_STRATEGIES,
    SCHEMA_AGENTS,
    SCHEMA_ROUTING,
    SCHEMA_DEDUPE,
    SCHEMA_CLIENTS,
    SCHEMA_LIMITS,
    SCHEMA_JOURNAL,
    SCHEMA_CHECKPOINT,
    SCHEMA_HISTORY,
    SCHEMA_ADMIN,
    SCHEMA_LOG,
    SCHEMA_SECTIONS,
} schema_section_id_t;

/* A mapping of keys, or a list of such mappings ("items"). The first key of an item is its name. */
typedef struct {
    const char *name; /* as written in the file */
    const char *path; /* from the top: "database.daps" */
    schema_section_id_t parent;
    bool list;
    /* A mapping that may be absent as a whole: then its required keys may be too, and it is not
     * printed. `present_offset`: of the bool in config_t that says it is there. */
    bool optional;
    size_t present_offset;
    size_t items_offset; /* lists: of the pointer to the items and of their number in config_t */
    size_t len_offset;
    size_t item_size;
    size_t min_items;
    size_t max_items;
    const char *standard_item; /* lists: the name of the only item where the section is absent */
    const schema_key_t *keys;
    size_t keys_len;
    const char *sentence;
} schema_section_t;

extern const schema_section_t schema_sections[SCHEMA_SECTIONS];

/* The items of a section in a configuration: those of the list, or the configuration itself as the
 * only one. */
size_t schema_items_len(const schema_section_t *section, const config_t *config);
const void *schema_item(const schema_section_t *section, const config_t *config, size_t item);

/* Whether a section is there; false only for an optional one that the file does not give. */
bool schema_is_present(const schema_section_t *section, const config_t *config);

/* The key of that name, or NULL. */
const schema_key_t *schema_find_key(const schema_section_t *section, text_t name);
/* The section of that name directly inside `parent`; SCHEMA_TOP when there is none. */
schema_section_id_t schema_find_section(schema_section_id_t parent, text_t name);

/* Whether an item of a configuration says something about this key (it may be absent where it has
 * no default). */
bool schema_is_given(const schema_key_t *key, const void *item);

#endif
