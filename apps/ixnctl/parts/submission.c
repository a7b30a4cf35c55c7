/* Submission: see submission.h. */
#include "apps/ixnctl/parts/submission.h"

#include <stdio.h>
#include <string.h>

#include "core/base/check.h"
#include "core/wire/wire.h"

static void s_copy(char *target, size_t size, const char *source)
{
    snprintf(target, size, "%s", source ? source : "");
}

void submission_reset(submission_t *self, const submission_defaults_t *defaults)
{
    buffer_t attributes = self->attributes;
    *self = (submission_t){.attributes = attributes};
    buffer_clear(&self->attributes);
    s_copy(self->queue, sizeof self->queue, defaults->queue);
    s_copy(self->media_type, sizeof self->media_type, defaults->media_type);
    s_copy(self->type, sizeof self->type, defaults->type);
    s_copy(self->subtype, sizeof self->subtype, defaults->subtype);
    self->priority = defaults->priority;
    self->hold = defaults->hold;
}

void submission_free(submission_t *self)
{
    buffer_free(&self->attributes);
}

bool submission_check(const submission_t *self, error_t *ret_error)
{
    if (!*self->queue)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "no queue is named; add a member \"queue\" or the option --queue");
    if (!*self->media_type)
        return error_set(
            ret_error, ERROR_INVALID_ARGUMENT,
            "no media type is named; add a member \"media_type\" or the option --media-type");
    return wire_check_text("queue", self->queue, 1, LIMIT_NAME, ret_error) &&
           wire_check_text("media_type", self->media_type, 1, LIMIT_NAME, ret_error) &&
           wire_check_text("type", self->type, 0, LIMIT_NAME, ret_error) &&
           wire_check_text("subtype", self->subtype, 0, LIMIT_NAME, ret_error) &&
           wire_check_text("external_id", self->external_id, 0, LIMIT_TEXT, ret_error);
}

id128_t submission_hash(const submission_t *self, text_t more)
{
    char parent[ID_TEXT_SIZE];
    buffer_t all = {0};
    buffer_printf(&all, "%s\n%s\n%s\n%s\n%s\n%d %d %lld %s %zu\n", self->queue, self->media_type,
                  self->type, self->subtype, self->external_id, self->priority, self->hold,
                  (long long)self->received_at_us, id_text(self->parent_id, parent),
                  self->attributes.len);
    buffer_append(&all, self->attributes.bytes, self->attributes.len);
    buffer_append(&all, more.data, more.len);
    id128_t hash = id_hash(all.bytes, all.len);
    buffer_free(&all);
    return hash;
}

void submission_make_key(submission_t *self, const char *prefix, id128_t hash)
{
    CHECK(strlen(prefix) <= 16);
    int len = snprintf(self->key, sizeof self->key, "%s-", prefix);
    for (size_t i = 0; i < sizeof hash.bytes; i++)
        len += snprintf(self->key + len, sizeof self->key - (size_t)len, "%02x", hash.bytes[i]);
}
