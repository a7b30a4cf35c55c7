/* Fuzzer of the mail path: arbitrary bytes as an mbox and as one message. Whatever comes in, a JSON
 * object of valid UTF-8, below the usual limit of attributes, must come out.
 */
#include <jansson.h>
#include <string.h>
#include <unistr.h>

#include "apps/ixnctl/parts/mail.h"
#include "apps/ixnctl/parts/mailbox.h"
#include "core/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static mail_t s_mail;

static void s_read(text_t message, size_t max_text)
{
    mail_read(&s_mail, message, max_text);
    const buffer_t *out = &s_mail.attributes;
    CHECK(!u8_check(out->bytes, out->len));
    CHECK(strlen(s_mail.external_id) <= LIMIT_TEXT);
    CHECK(out->len <= max_text * 2 + 96 * 1024);
    json_t *json = json_loadb((const char *)out->bytes, out->len, JSON_REJECT_DUPLICATES, NULL);
    CHECK(json_is_object(json));
    CHECK(json_string_length(json_object_get(json, "text")) <= max_text);
    json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    mail_prepare();
    const char *text = (const char *)bytes;
    s_read((text_t){text, len}, len % 3 ? MAIL_TEXT_DEFAULT : len % 100);
    mailbox_t mailbox = {0};
    for (size_t at = 0; at < len;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t line_len = end ? (size_t)(end - text) + 1 - at : len - at;
        if (mailbox_take(&mailbox, (text_t){text + at, line_len}, true))
            s_read((text_t){(char *)mailbox.message.bytes, mailbox.message.len}, 1000);
        at += line_len;
    }
    if (mailbox_finish(&mailbox))
        s_read((text_t){(char *)mailbox.message.bytes, mailbox.message.len}, 1000);
    mailbox_free(&mailbox);
    return 0;
}
