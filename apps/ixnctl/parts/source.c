/* Source: see source.h. The list of files is made in source_files.c. */
#include "apps/ixnctl/parts/source.h"

#include <ctype.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "apps/ixnctl/parts/jsonl.h"
#include "apps/ixnctl/parts/mailbox.h"
#include "apps/ixnctl/parts/reader.h"
#include "apps/ixnctl/parts/source_files.h"
#include "core/base/alloc.h"
#include "core/base/check.h"

struct source {
    source_files_t files;
    size_t file;            /* the open one, or the next */
    reader_t *reader;       /* NULL between files */
    source_format_t opened; /* what the open file is */
    const submission_defaults_t *defaults;
    mailbox_t mailbox;
    bool mailbox_done;
    bool mailbox_silent; /* lines, but no message yet */
    buffer_t line;       /* JSON lines and single messages are collected here */
    mail_t mail;
    uint64_t first_line; /* of the item being read */
    buffer_t where;
    GHashTable *seen; /* JSON Lines: content hash → how often it came */
    uint64_t bytes_before;
    uint64_t notes[MAIL_NOTES_LEN];
};

bool source_format_parse(const char *name, source_format_t *ret_format)
{
    static const char *const names[] = {"auto", "jsonl", "mbox", "maildir", "eml"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcasecmp(name, names[i]) == 0) {
            *ret_format = (source_format_t)i;
            return true;
        }
    }
    return false;
}

source_t *source_new(const char *const *paths, source_format_t format,
                     const submission_defaults_t *defaults, error_t *ret_error)
{
    source_t *self = memory_zero(1, sizeof *self);
    self->defaults = defaults;
    self->seen = g_hash_table_new(g_direct_hash, g_direct_equal);
    mail_prepare();
    if (!source_files_find(&self->files, paths, format, ret_error))
        source_destroy(&self);
    return self;
}

void source_destroy(source_t **self_p)
{
    source_t *self = *self_p;
    if (!self)
        return;
    reader_destroy(&self->reader);
    source_files_free(&self->files);
    mailbox_free(&self->mailbox);
    mail_free(&self->mail);
    buffer_free(&self->line);
    buffer_free(&self->where);
    g_hash_table_destroy(self->seen);
    free(self);
    *self_p = NULL;
}

/* What the first bytes say: '{' begins JSON, a separator an mbox, "Name:" a message. */
static source_format_t s_detect(text_t bytes)
{
    size_t start = 0;
    while (start < bytes.len && isspace((unsigned char)bytes.data[start]))
        start++;
    if (start == bytes.len || bytes.data[start] == '{')
        return FORMAT_JSONL;
    const char *end = memchr(bytes.data + start, '\n', bytes.len - start);
    text_t line = {bytes.data + start,
                   end ? (size_t)(end - bytes.data) - start : bytes.len - start};
    if (mailbox_is_separator(line))
        return FORMAT_MBOX;
    for (size_t i = 0; i < line.len && line.data[i] > ' ' && line.data[i] < 127; i++) {
        if (line.data[i] == ':' && i > 0)
            return FORMAT_EML;
    }
    return FORMAT_AUTO;
}

static bool s_open(source_t *self, const source_file_t *file, error_t *ret_error)
{
    self->reader = reader_new(file->path, ret_error);
    text_t bytes = {0};
    if (!self->reader || !reader_peek(self->reader, &bytes, ret_error))
        return false;
    self->opened = file->format == FORMAT_AUTO ? s_detect(bytes) : file->format;
    if (self->opened == FORMAT_AUTO)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "%s: neither JSON Lines nor mail by its first line; say what it is with "
                         "--format if it is one of them",
                         file->path);
    self->mailbox_done = false;
    self->mailbox_silent = false;
    self->first_line = 1;
    return true;
}

static void s_close(source_t *self)
{
    uint64_t size = self->files.list[self->file].size; /* 0: a pipe */
    if (size == 0 && self->reader)
        size = reader_position(self->reader);
    self->bytes_before += size;
    reader_destroy(&self->reader);
    mailbox_free(&self->mailbox);
    self->file++;
}

static void s_set_where(source_t *self, uint64_t line)
{
    buffer_clear(&self->where);
    buffer_printf(&self->where, "%s:%llu", self->files.list[self->file].path,
                  (unsigned long long)line);
    buffer_append(&self->where, "", 1);
}

/* Submissions of JSON Lines that are equal are meant: the second, third … one gets its own key, the
 * same at every run. */
static void s_make_json_key(source_t *self, submission_t *submission)
{
    id128_t hash = submission_hash(submission, TEXT(""));
    uint64_t name = 0;
    memcpy(&name, hash.bytes, sizeof name);
    gpointer slot = (gpointer)(uintptr_t)name;
    uintptr_t count = (uintptr_t)g_hash_table_lookup(self->seen, slot);
    g_hash_table_insert(self->seen, slot, (gpointer)(count + 1));
    if (count > 0) {
        char text[24];
        int len = snprintf(text, sizeof text, "%llu", (unsigned long long)count);
        hash = submission_hash(submission, (text_t){text, (size_t)len});
    }
    submission_make_key(submission, "json", hash);
}

/* Collects a line of any length up to the limit of a packet; false when it is longer (its rest is
 * skipped) or there is none. */
static reader_result_t s_whole_line(source_t *self, bool *ret_fits, error_t *ret_error)
{
    buffer_clear(&self->line);
    *ret_fits = true;
    reader_line_t piece = {0};
    do {
        reader_result_t result = reader_line(self->reader, &piece, ret_error);
        if (result != READER_LINE)
            return self->line.len > 0 && result == READER_END ? READER_LINE : result;
        if (piece.begins)
            self->first_line = piece.number;
        *ret_fits = *ret_fits && self->line.len + piece.text.len <= (size_t)LIMIT_PACKET;
        if (*ret_fits)
            buffer_append(&self->line, piece.text.data, piece.text.len);
    } while (piece.text.data[piece.text.len - 1] != '\n');
    return READER_LINE;
}

static text_t s_trimmed(const buffer_t *line)
{
    text_t text = {(const char *)line->bytes, line->len};
    while (text.len > 0 && isspace((unsigned char)text.data[text.len - 1]))
        text.len--;
    while (text.len > 0 && isspace((unsigned char)text.data[0]))
        text = (text_t){text.data + 1, text.len - 1};
    return text;
}

static bool s_refuse(source_t *self, const error_t *why, error_t *ret_error)
{
    return error_set(ret_error, why->code, "%s: %s", source_where(self), why->text);
}

static source_result_t s_next_json(source_t *self, submission_t *submission, error_t *ret_error)
{
    text_t line = {0};
    bool fits = true;
    while (line.len == 0) { /* empty lines are nothing */
        reader_result_t result = s_whole_line(self, &fits, ret_error);
        if (result != READER_LINE)
            return result == READER_END ? SOURCE_END : SOURCE_FAILED;
        s_set_where(self, self->first_line);
        error_t error = {0};
        if (!fits) {
            error_set(&error, ERROR_TOO_LARGE, "the line is longer than %d bytes", LIMIT_PACKET);
            s_refuse(self, &error, ret_error);
            return SOURCE_REFUSED;
        }
        line = s_trimmed(&self->line);
    }
    error_t error = {0};
    submission_reset(submission, self->defaults);
    if (!jsonl_read(submission, line, &error) || !submission_check(submission, &error)) {
        s_refuse(self, &error, ret_error);
        return SOURCE_REFUSED;
    }
    if (!*submission->key && !self->defaults->again)
        s_make_json_key(self, submission);
    return SOURCE_ITEM;
}

static source_result_t s_submit_mail(source_t *self, text_t message, submission_t *submission,
                                     error_t *ret_error)
{
    submission_reset(submission, self->defaults);
    mail_read(&self->mail, message, self->defaults->max_text);
    for (size_t i = 0; i < MAIL_NOTES_LEN; i++)
        self->notes[i] += (self->mail.notes >> i) & 1u;
    buffer_append(&submission->attributes, self->mail.attributes.bytes, self->mail.attributes.len);
    memcpy(submission->external_id, self->mail.external_id, sizeof submission->external_id);
    if (!*submission->media_type)
        memcpy(submission->media_type, "email", sizeof "email");
    if (!*submission->type)
        memcpy(submission->type, "Inbound", sizeof "Inbound");
    error_t error = {0};
    if (!submission_check(submission, &error)) {
        s_refuse(self, &error, ret_error);
        return SOURCE_REFUSED;
    }
    if (!self->defaults->again)
        submission_make_key(submission, "mail", submission_hash(submission, message));
    return SOURCE_ITEM;
}

static source_result_t s_next_in_mailbox(source_t *self, submission_t *submission,
                                         error_t *ret_error)
{
    while (!self->mailbox_done) {
        reader_line_t line = {0};
        reader_result_t result = reader_line(self->reader, &line, ret_error);
        bool complete = false;
        uint64_t started = self->first_line;
        if (result == READER_LINE) {
            complete = mailbox_take(&self->mailbox, line.text, line.begins);
            self->mailbox_silent = !self->mailbox.inside;
            if (line.begins && (complete || self->mailbox.message.len == 0))
                self->first_line = line.number;
        } else if (result == READER_END) {
            self->mailbox_done = true;
            complete = mailbox_finish(&self->mailbox);
        } else {
            return SOURCE_FAILED; /* its last message is not whole */
        }
        if (complete) {
            s_set_where(self, started);
            text_t message = {(const char *)self->mailbox.message.bytes, self->mailbox.message.len};
            return s_submit_mail(self, message, submission, ret_error);
        }
    }
    if (!self->mailbox_silent)
        return SOURCE_END;
    error_set(ret_error, ERROR_INVALID_ARGUMENT,
              "%s: not an mbox: no line \"From SENDER DATE\" in it; a single message is --format "
              "eml",
              self->files.list[self->file].path);
    return SOURCE_FAILED;
}

static source_result_t s_next_message(source_t *self, submission_t *submission, error_t *ret_error)
{
    if (self->mailbox_done)
        return SOURCE_END;
    self->mailbox_done = true;
    buffer_clear(&self->line);
    reader_line_t line = {0};
    reader_result_t result;
    while ((result = reader_line(self->reader, &line, ret_error)) == READER_LINE) {
        size_t room = MAILBOX_MESSAGE_SIZE - self->line.len;
        buffer_append(&self->line, line.text.data, line.text.len < room ? line.text.len : room);
    }
    if (result == READER_FAILED)
        return SOURCE_FAILED;
    s_set_where(self, 1);
    text_t message = {(const char *)self->line.bytes, self->line.len};
    return s_submit_mail(self, message, submission, ret_error);
}

source_result_t source_next(source_t *self, submission_t *ret_submission, error_t *ret_error)
{
    while (self->file < self->files.len) {
        if (!self->reader && !s_open(self, &self->files.list[self->file], ret_error)) {
            s_close(self);
            return SOURCE_FAILED;
        }
        source_result_t result = SOURCE_END;
        if (self->opened == FORMAT_JSONL)
            result = s_next_json(self, ret_submission, ret_error);
        else if (self->opened == FORMAT_MBOX)
            result = s_next_in_mailbox(self, ret_submission, ret_error);
        else
            result = s_next_message(self, ret_submission, ret_error);
        if (result == SOURCE_ITEM || result == SOURCE_REFUSED)
            return result;
        s_close(self);
        if (result == SOURCE_FAILED)
            return result;
    }
    return SOURCE_END;
}

const char *source_where(const source_t *self)
{
    return self->where.len ? (const char *)self->where.bytes : "";
}

void source_progress(const source_t *self, source_progress_t *ret_progress)
{
    uint64_t here = self->reader ? reader_position(self->reader) : 0;
    *ret_progress = (source_progress_t){.files = self->files.len,
                                        .bytes = self->bytes_before + here,
                                        .bytes_total = self->files.bytes};
    memcpy(ret_progress->notes, self->notes, sizeof self->notes);
}
