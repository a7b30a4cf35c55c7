/* Kept service: rows of requests to application servers, as a naive database keeps them. For tests
 * of images and of loading, and for the simulator.
 */
#ifndef IXN_TESTS_KEPT_SERVICE_H
#define IXN_TESTS_KEPT_SERVICE_H

#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/base/table.h"
#include "core/checkpoint.h"

typedef struct kept_service {
    UT_hash_handle hh; /* by token */
    service_row_t row;
    char texts[];
} kept_service_t;

static inline text_t *kept_service_text(service_row_t *row, size_t number)
{
    text_t *const texts[] = {&row->name,   &row->service,    &row->method,
                             &row->key,    &row->parameters, &row->server,
                             &row->result, &row->fault,      &row->fault_text};
    return number < sizeof texts / sizeof *texts ? texts[number] : NULL;
}

static inline kept_service_t *kept_service_find(kept_service_t *table, service_token_t token)
{
    kept_service_t *kept = NULL;
    HASH_FIND(hh, table, &token, sizeof token, kept);
    return kept;
}

static inline void kept_service_delete(kept_service_t **table, kept_service_t *kept)
{
    HASH_DELETE(hh, *table, kept);
    free(kept);
}

/* Inserts or replaces. */
static inline void kept_service_put(kept_service_t **table, const service_row_t *row)
{
    service_row_t copy = *row;
    size_t size = 0;
    for (size_t i = 0; kept_service_text(&copy, i); i++)
        size += kept_service_text(&copy, i)->len;
    kept_service_t *kept = memory_zero(1, sizeof *kept + size);
    char *end = kept->texts;
    for (size_t i = 0; kept_service_text(&copy, i); i++) {
        text_t *text = kept_service_text(&copy, i);
        if (text->len)
            memcpy(end, text->data, text->len);
        *text = (text_t){end, text->len};
        end += text->len;
    }
    kept->row = copy;
    kept_service_t *old = kept_service_find(*table, row->token);
    if (old)
        kept_service_delete(table, old);
    HASH_ADD(hh, *table, row.token, sizeof kept->row.token, kept);
}

/* What an image says of them. Returns how many were to go and were not there. */
static inline size_t kept_services_write(kept_service_t **table, const checkpoint_image_t *image)
{
    size_t missing = 0;
    for (size_t i = 0; i < image->services_gone_len; i++) {
        kept_service_t *kept = kept_service_find(*table, image->services_gone[i]);
        missing += kept == NULL;
        if (kept)
            kept_service_delete(table, kept);
    }
    for (size_t i = 0; i < image->services_len; i++)
        kept_service_put(table, &image->services[i]);
    return missing;
}

static inline void kept_services_clear(kept_service_t **table)
{
    kept_service_t *kept, *next;
    HASH_ITER(hh, *table, kept, next)
    {
        kept_service_delete(table, kept);
    }
}

#endif
