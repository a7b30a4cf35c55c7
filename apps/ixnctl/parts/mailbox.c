/* Mailbox: see mailbox.h. */
#include "apps/ixnctl/parts/mailbox.h"

#include <ctype.h>

static bool s_is_digit(text_t text, size_t at)
{
    return at < text.len && isdigit((unsigned char)text.data[at]);
}

/* "12:30" at this place. */
static bool s_is_time(text_t text, size_t at)
{
    return s_is_digit(text, at) && s_is_digit(text, at + 1) && at + 2 < text.len &&
           text.data[at + 2] == ':' && s_is_digit(text, at + 3) && s_is_digit(text, at + 4);
}

/* " 1998" or " 2031" at this place, and no further digit. */
static bool s_is_year(text_t text, size_t at)
{
    return text.data[at] == ' ' && s_is_digit(text, at + 1) && s_is_digit(text, at + 2) &&
           s_is_digit(text, at + 3) && s_is_digit(text, at + 4) && !s_is_digit(text, at + 5) &&
           (text.data[at + 1] == '1' || text.data[at + 1] == '2');
}

bool mailbox_is_separator(text_t line)
{
    if (line.len < 5 || memcmp(line.data, "From ", 5) != 0)
        return false;
    bool has_time = false;
    bool has_year = false;
    for (size_t at = 5; at < line.len; at++) {
        has_time = has_time || s_is_time(line, at);
        has_year = has_year || s_is_year(line, at);
    }
    return has_time && has_year;
}

/* The empty line before a separator belongs to the mailbox, not to the message. */
static void s_drop_last_empty_line(buffer_t *message)
{
    size_t len = message->len;
    const uint8_t *bytes = message->bytes;
    if (len >= 2 && bytes[len - 1] == '\n' && bytes[len - 2] == '\n')
        message->len = len - 1;
    else if (len >= 4 && memcmp(bytes + len - 4, "\r\n\r\n", 4) == 0)
        message->len = len - 2;
}

static text_t s_unquoted(text_t line)
{
    size_t quotes = 0;
    while (quotes < line.len && line.data[quotes] == '>')
        quotes++;
    bool quoted =
        quotes > 0 && line.len - quotes >= 5 && memcmp(line.data + quotes, "From ", 5) == 0;
    return quoted ? (text_t){line.data + 1, line.len - 1} : line;
}

bool mailbox_take(mailbox_t *self, text_t line, bool begins)
{
    if (self->complete) {
        buffer_clear(&self->message);
        self->complete = false;
        self->cut = false;
    }
    if (begins && mailbox_is_separator(line)) {
        self->complete = self->inside;
        self->inside = true;
        s_drop_last_empty_line(&self->message);
        return self->complete;
    }
    if (!self->inside)
        return false;
    if (begins)
        line = s_unquoted(line);
    size_t room = MAILBOX_MESSAGE_SIZE - self->message.len;
    if (line.len > room)
        self->cut = true;
    buffer_append(&self->message, line.data, line.len < room ? line.len : room);
    return false;
}

bool mailbox_finish(mailbox_t *self)
{
    if (self->complete) {
        buffer_clear(&self->message);
        self->cut = false;
    }
    bool last = self->inside;
    s_drop_last_empty_line(&self->message);
    self->inside = false;
    self->complete = last;
    return last;
}

void mailbox_free(mailbox_t *self)
{
    buffer_free(&self->message);
    *self = (mailbox_t){0};
}
