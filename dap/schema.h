/* Schema: the numbered migrations of dap/schema, as they were when this program was built.
 *
 * The definitions are generated (dap/schema/embed.cmake), in the order of their numbers.
 */
#ifndef IXN_DAP_SCHEMA_H
#define IXN_DAP_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t version; /* 1, 2, 3 … without gaps */
    const char *name;
    const char *sql; /* a script of several statements */
} schema_migration_t;

extern const schema_migration_t schema_migrations[];
extern const size_t schema_migrations_len;

#endif
