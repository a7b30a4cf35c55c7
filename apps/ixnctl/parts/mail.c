/* Mail: see mail.h. The walk over the parts is in mail_body.c. */
#include "apps/ixnctl/parts/mail.h"

#include <gmime/gmime.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ixnctl/parts/mail_body.h"
#include "core/base/alloc.h"
#include "core/base/check.h"

#define HEADER_SIZE 998 /* the longest line that RFC 5322 allows */
#define ADDRESS_SIZE 254

const char *const mail_note_names[] = {
#define X(name, json, words) json,
    MAIL_NOTES(X)
#undef X
};
const char *const mail_note_words[] = {
#define X(name, json, words) words,
    MAIL_NOTES(X)
#undef X
};

static GMimeParserOptions *s_options; /* made by mail_prepare, lives as long as the process */

static void s_warning(gint64 offset, GMimeParserWarning code, const gchar *item, gpointer context)
{
    (void)offset;
    (void)item;
    mail_t *self = context;
    switch (code) {
    case GMIME_WARN_UNENCODED_8BIT_HEADER:
    case GMIME_WARN_INVALID_RFC2047_HEADER_VALUE:
    case GMIME_CRIT_INVALID_HEADER_NAME:
        self->notes |= 1u << MAIL_HEADER;
        break;
    case GMIME_WARN_INVALID_CONTENT_TYPE:
    case GMIME_WARN_MALFORMED_MULTIPART:
    case GMIME_WARN_TRUNCATED_MESSAGE:
    case GMIME_WARN_MALFORMED_MESSAGE:
    case GMIME_CRIT_MULTIPART_WITHOUT_BOUNDARY:
    case GMIME_CRIT_NESTING_OVERFLOW:
        self->notes |= 1u << MAIL_STRUCTURE;
        break;
    default: /* duplicates and the like: common, and harmless to what is read here */
        break;
    }
}

void mail_prepare(void)
{
    if (s_options)
        return;
    static const char *charsets[] = {"utf-8", "windows-1252", NULL};
    g_mime_init();
    s_options = g_mime_parser_options_new();
    g_mime_parser_options_set_fallback_charsets(s_options, charsets);
}

static json_t *s_line(mail_t *self, const char *text, size_t max)
{
    bool clean = true;
    json_t *json = mail_body_line(text, max, &clean);
    if (!clean)
        self->notes |= 1u << MAIL_HEADER;
    return json;
}

static void s_set(json_t *object, const char *name, json_t *value)
{
    CHECK(json_object_set_new(object, name, value) == 0);
}

static void s_read_message_id(mail_t *self, json_t *attributes, GMimeMessage *message)
{
    const char *id = g_mime_message_get_message_id(message);
    if (!id || !*id) /* one that breaks the grammar is still the only name the message has */
        id = g_mime_object_get_header(GMIME_OBJECT(message), "Message-ID");
    json_t *json = s_line(self, id, LIMIT_TEXT);
    if (json_string_length(json) == 0) {
        self->notes |= 1u << MAIL_NO_MESSAGE_ID;
        json_decref(json);
        json = json_null();
    } else {
        memcpy(self->external_id, json_string_value(json), json_string_length(json) + 1);
    }
    s_set(attributes, "message_id", json);
}

/* The first mailbox of a list, inside groups too; NULL when there is none. */
static InternetAddressMailbox *s_first_mailbox(InternetAddressList *list)
{
    int len = list ? internet_address_list_length(list) : 0;
    for (int i = 0; i < len; i++) {
        InternetAddress *address = internet_address_list_get_address(list, i);
        if (INTERNET_ADDRESS_IS_MAILBOX(address))
            return INTERNET_ADDRESS_MAILBOX(address);
    }
    return NULL;
}

static void s_read_from(mail_t *self, json_t *attributes, GMimeMessage *message)
{
    InternetAddressMailbox *mailbox = s_first_mailbox(g_mime_message_get_from(message));
    if (!mailbox)
        mailbox = s_first_mailbox(g_mime_message_get_sender(message));
    const char *name = NULL;
    const char *address = NULL;
    if (mailbox) {
        name = internet_address_get_name(INTERNET_ADDRESS(mailbox));
        address = internet_address_mailbox_get_addr(mailbox);
    } else { /* what cannot be read as an address is shown as it is */
        name = g_mime_object_get_header(GMIME_OBJECT(message), "From");
    }
    s_set(attributes, "from_name", s_line(self, name, HEADER_SIZE));
    s_set(attributes, "from_address", s_line(self, address, ADDRESS_SIZE));
}

/* Adds the addresses of a list; groups one level deep (RFC 5322 has no deeper ones). */
static void s_add_addresses(mail_t *self, json_t *array, InternetAddressList *list, bool in_group)
{
    int len = list ? internet_address_list_length(list) : 0;
    for (int i = 0; i < len && json_array_size(array) < MAIL_LIST; i++) {
        InternetAddress *address = internet_address_list_get_address(list, i);
        if (INTERNET_ADDRESS_IS_MAILBOX(address)) {
            const char *text = internet_address_mailbox_get_addr(INTERNET_ADDRESS_MAILBOX(address));
            CHECK(json_array_append_new(array, s_line(self, text, ADDRESS_SIZE)) == 0);
        } else if (INTERNET_ADDRESS_IS_GROUP(address) && !in_group) {
            s_add_addresses(self, array,
                            internet_address_group_get_members(INTERNET_ADDRESS_GROUP(address)),
                            true);
        }
    }
}

static json_t *s_date(mail_t *self, GMimeMessage *message)
{
    GDateTime *date = g_mime_message_get_date(message);
    GDateTime *utc = date ? g_date_time_to_utc(date) : NULL;
    char *text = utc ? g_date_time_format(utc, "%Y-%m-%dT%H:%M:%SZ") : NULL;
    json_t *json = text ? json_string(text) : json_null();
    if (!text)
        self->notes |= 1u << MAIL_NO_DATE;
    g_free(text);
    if (utc)
        g_date_time_unref(utc);
    return json;
}

static void s_read_message(mail_t *self, json_t *attributes, GMimeMessage *message, size_t max_text)
{
    s_read_message_id(self, attributes, message);
    s_set(attributes, "subject", s_line(self, g_mime_message_get_subject(message), HEADER_SIZE));
    s_read_from(self, attributes, message);
    json_t *to = json_array();
    s_add_addresses(self, to, g_mime_message_get_to(message), false);
    s_add_addresses(self, to, g_mime_message_get_cc(message), false);
    s_set(attributes, "to", to);
    s_set(attributes, "date", s_date(self, message));

    mail_body_t body = {.max_text = max_text, .attachments = json_array()};
    mail_body_read(&body, g_mime_message_get_mime_part(message));
    self->notes |= body.notes;
    s_set(attributes, "text",
          json_stringn(body.text.len ? (const char *)body.text.bytes : "", body.text.len));
    buffer_free(&body.text);
    s_set(attributes, "attachments", body.attachments);
}

/* Where the headers end. */
static size_t s_headers_len(text_t message)
{
    for (size_t at = 0; at < message.len;) {
        const char *end = memchr(message.data + at, '\n', message.len - at);
        if (!end)
            break;
        size_t next = (size_t)(end - message.data) + 1;
        if (next - at == 1 || (next - at == 2 && message.data[at] == '\r'))
            return at;
        at = next;
    }
    return message.len;
}

/* GMime keeps headers as terminated strings, so a NUL would hide the rest of one. The copy belongs
 * to the caller. */
static char *s_without_nuls(mail_t *self, text_t message)
{
    char *copy = memory_copy(message.data, message.len);
    size_t headers_len = s_headers_len(message);
    for (char *nul = copy; nul && (nul = memchr(nul, 0, headers_len - (size_t)(nul - copy)));) {
        *nul = ' ';
        self->notes |= 1u << MAIL_HEADER;
    }
    return copy;
}

static GMimeMessage *s_parse(mail_t *self, const char *bytes, size_t len)
{
    g_mime_parser_options_set_warning_callback(s_options, s_warning, self);
    GMimeStream *stream = g_mime_stream_mem_new_with_buffer(bytes, len);
    GMimeParser *parser = g_mime_parser_new_with_stream(stream);
    g_object_unref(stream);
    g_mime_parser_set_format(parser, GMIME_FORMAT_MESSAGE);
    GMimeMessage *message = g_mime_parser_construct_message(parser, s_options);
    g_object_unref(parser);
    return message;
}

void mail_read(mail_t *self, text_t raw, size_t max_text)
{
    CHECK(s_options);
    CHECK(max_text <= MAIL_TEXT_MAX);
    buffer_clear(&self->attributes);
    self->external_id[0] = '\0';
    self->notes = 0;
    char *bytes = s_without_nuls(self, raw);
    GMimeMessage *message = s_parse(self, bytes ? bytes : "", raw.len);
    if (!message) { /* not even headers: everything below then reads an empty message */
        self->notes |= 1u << MAIL_STRUCTURE;
        message = g_mime_message_new(FALSE);
    }
    json_t *attributes = json_object();
    CHECK(attributes);
    s_read_message(self, attributes, message, max_text);
    s_set(attributes, "size", json_integer((json_int_t)raw.len));
    g_object_unref(message);
    g_mime_parser_options_set_warning_callback(s_options, NULL, NULL);
    free(bytes);

    char *text = json_dumps(attributes, JSON_COMPACT);
    CHECK(text);
    buffer_append_text(&self->attributes, text);
    free(text);
    json_decref(attributes);
}

void mail_free(mail_t *self)
{
    buffer_free(&self->attributes);
}
