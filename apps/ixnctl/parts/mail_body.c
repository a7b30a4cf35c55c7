/* Mail body: see mail_body.h. Depth and number of parts are the sender's choice, so both are
 * bounded here.
 */
#include "apps/ixnctl/parts/mail_body.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ixnctl/parts/html.h"
#include "apps/ixnctl/parts/mail.h"
#include "apps/ixnctl/parts/utf8.h"
#include "core/base/check.h"

#define DEPTH_MAX 30
#define PARTS_MAX 1000
#define NAME_SIZE 255
#define TYPE_SIZE 127

typedef enum { NO_TEXT, PLAIN, HTML } text_kind_t;

static void s_walk(mail_body_t *self, GMimeObject *part, int depth);

static text_kind_t s_text_kind(GMimeObject *part)
{
    GMimeContentType *type = g_mime_object_get_content_type(part);
    if (!GMIME_IS_PART(part) || g_mime_part_is_attachment(GMIME_PART(part)))
        return NO_TEXT;
    if (!type || g_mime_content_type_is_type(type, "text", "plain"))
        return PLAIN;
    return g_mime_content_type_is_type(type, "text", "html") ? HTML : NO_TEXT;
}

/* Appends the decoded content of a part, as it is, at most `max` bytes. */
static void s_append_content(buffer_t *out, GMimePart *part, size_t max)
{
    GMimeDataWrapper *content = g_mime_part_get_content(part);
    if (!content)
        return;
    GMimeStream *memory = g_mime_stream_mem_new();
    g_mime_data_wrapper_write_to_stream(content, memory);
    GByteArray *bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(memory));
    if (bytes)
        buffer_append(out, bytes->data, bytes->len < max ? bytes->len : max);
    g_object_unref(memory);
}

/* Appends the text of a leaf as UTF-8. False when its charset had to be guessed or repaired. */
static bool s_append_leaf(buffer_t *out, GMimePart *part, text_kind_t kind, size_t max)
{
    /* A character takes at most four bytes in any charset, and marks in HTML a few times the text.
     */
    buffer_t raw = {0};
    s_append_content(&raw, part, kind == HTML ? max * 16 + 65536 : max * 4 + 16);
    const char *charset = g_mime_object_get_content_type_parameter(GMIME_OBJECT(part), "charset");
    buffer_t converted = {0};
    bool clean = utf8_convert(&converted, charset, (text_t){(const char *)raw.bytes, raw.len});
    if (kind == HTML)
        html_append_text(out, (text_t){(const char *)converted.bytes, converted.len}, max + 1);
    else
        buffer_append(out, converted.bytes, converted.len);
    buffer_free(&raw);
    buffer_free(&converted);
    return clean;
}

static bool s_is_blank(const buffer_t *text)
{
    for (size_t i = 0; i < text->len; i++) {
        if (!isspace(text->bytes[i]))
            return false;
    }
    return true;
}

/* True when the part, or one in it, is a text of this kind that says something. */
static bool s_says(GMimeObject *part, text_kind_t kind, int depth)
{
    if (depth > DEPTH_MAX)
        return false;
    if (GMIME_IS_MULTIPART(part)) {
        int len = g_mime_multipart_get_count(GMIME_MULTIPART(part));
        for (int i = 0; i < len && i < PARTS_MAX; i++) {
            if (s_says(g_mime_multipart_get_part(GMIME_MULTIPART(part), i), kind, depth + 1))
                return true;
        }
        return false;
    }
    if (s_text_kind(part) != kind)
        return false;
    buffer_t text = {0};
    s_append_leaf(&text, GMIME_PART(part), kind, 1024);
    bool says = !s_is_blank(&text);
    buffer_free(&text);
    return says;
}

json_t *mail_body_line(const char *text, size_t max, bool *ret_clean)
{
    buffer_t buffer = {0};
    bool clean = utf8_clean(&buffer, text_of(text ? text : ""), UTF8_LINE);
    text_t line = {buffer.len ? (const char *)buffer.bytes : "", buffer.len};
    json_t *json = json_stringn(line.data, utf8_cut(line, max));
    CHECK(json);
    buffer_free(&buffer);
    if (ret_clean)
        *ret_clean = clean;
    return json;
}

static gint64 s_size(GMimeObject *part)
{
    GMimeStream *null = g_mime_stream_null_new();
    gint64 size = 0;
    if (GMIME_IS_PART(part)) {
        GMimeDataWrapper *content = g_mime_part_get_content(GMIME_PART(part));
        if (content)
            size = g_mime_data_wrapper_write_to_stream(content, null);
    } else {
        size = g_mime_object_write_to_stream(part, NULL, null);
    }
    g_object_unref(null);
    return size > 0 ? size : 0;
}

static void s_list_attachment(mail_body_t *self, GMimeObject *part)
{
    if (json_array_size(self->attachments) >= MAIL_LIST)
        return;
    const char *name = GMIME_IS_PART(part) ? g_mime_part_get_filename(GMIME_PART(part)) : NULL;
    GMimeContentType *type = g_mime_object_get_content_type(part);
    char *type_text = type ? g_mime_content_type_get_mime_type(type) : NULL;
    json_t *attachment =
        json_pack("{s:o, s:o, s:I}", "name", mail_body_line(name, NAME_SIZE, NULL), "type",
                  mail_body_line(type_text, TYPE_SIZE, NULL), "size", (json_int_t)s_size(part));
    CHECK(attachment && json_array_append_new(self->attachments, attachment) == 0);
    g_free(type_text);
}

/* Appends a leaf's text to what is there, with a line between. */
static void s_take_text(mail_body_t *self, GMimePart *part, text_kind_t kind)
{
    if (self->only_list || self->text.len > self->max_text)
        return;
    if (self->text.len > 0 && self->text.bytes[self->text.len - 1] != '\n')
        buffer_append_text(&self->text, "\n");
    if (!s_append_leaf(&self->text, part, kind, self->max_text + 1))
        self->notes |= 1u << MAIL_CHARSET;
}

static void s_walk_alternative(mail_body_t *self, GMimeMultipart *multipart, int depth)
{
    int len = g_mime_multipart_get_count(multipart);
    GMimeObject *best = NULL;
    for (text_kind_t kind = PLAIN; kind <= HTML && !best; kind++) {
        for (int i = 0; i < len && i < PARTS_MAX && !best; i++) {
            GMimeObject *part = g_mime_multipart_get_part(multipart, i);
            if (s_says(part, kind, depth + 1))
                best = part;
        }
    }
    /* The other texts say the same again; what is no text in them (an invitation) is listed. */
    bool only_list = self->only_list;
    for (int i = 0; i < len && self->parts <= PARTS_MAX; i++) {
        GMimeObject *part = g_mime_multipart_get_part(multipart, i);
        self->only_list = only_list || part != best;
        s_walk(self, part, depth + 1);
    }
    self->only_list = only_list;
}

static void s_walk_multipart(mail_body_t *self, GMimeMultipart *multipart, int depth)
{
    GMimeContentType *type = g_mime_object_get_content_type(GMIME_OBJECT(multipart));
    if (type && g_mime_content_type_is_type(type, "multipart", "alternative")) {
        s_walk_alternative(self, multipart, depth);
        return;
    }
    int len = g_mime_multipart_get_count(multipart);
    for (int i = 0; i < len && self->parts <= PARTS_MAX; i++)
        s_walk(self, g_mime_multipart_get_part(multipart, i), depth + 1);
}

static void s_walk(mail_body_t *self, GMimeObject *part, int depth)
{
    if (depth > DEPTH_MAX || ++self->parts > PARTS_MAX) {
        self->notes |= 1u << MAIL_STRUCTURE;
        return;
    }
    if (GMIME_IS_MULTIPART(part)) {
        s_walk_multipart(self, GMIME_MULTIPART(part), depth);
        return;
    }
    text_kind_t kind = s_text_kind(part);
    if (kind == NO_TEXT)
        s_list_attachment(self, part);
    else
        s_take_text(self, GMIME_PART(part), kind);
}

void mail_body_read(mail_body_t *self, GMimeObject *root)
{
    if (root)
        s_walk(self, root, 0);
    buffer_t *text = &self->text;
    size_t fits = utf8_cut((text_t){(const char *)text->bytes, text->len}, self->max_text);
    if (fits < text->len)
        self->notes |= 1u << MAIL_TEXT_CUT;
    text->len = fits;
    while (text->len > 0 && isspace(text->bytes[text->len - 1]))
        text->len--;
}
