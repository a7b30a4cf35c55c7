/* Mail: what honest and hostile messages become, and how mailboxes are cut into messages. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistr.h>

#include "apps/ixnctl/parts/html.h"
#include "apps/ixnctl/parts/mail.h"
#include "apps/ixnctl/parts/mailbox.h"
#include "apps/ixnctl/parts/utf8.h"

static mail_t s_mail;
static json_t *s_attributes;

/* Reads a message; what comes out must always be JSON of valid UTF-8 without NUL. */
static void s_read_bytes(const char *bytes, size_t len, size_t max_text)
{
    mail_prepare();
    mail_read(&s_mail, (text_t){bytes, len}, max_text);
    const buffer_t *out = &s_mail.attributes;
    cr_assert_null(u8_check(out->bytes, out->len));
    cr_assert_null(memchr(out->bytes, 0, out->len));
    json_decref(s_attributes);
    s_attributes = json_loadb((const char *)out->bytes, out->len, JSON_REJECT_DUPLICATES, NULL);
    cr_assert(json_is_object(s_attributes));
}

static void s_read(const char *message)
{
    s_read_bytes(message, strlen(message), MAIL_TEXT_DEFAULT);
}

static void s_is(const char *name, const char *expected)
{
    const char *value = json_string_value(json_object_get(s_attributes, name));
    cr_assert_not_null(value, "%s is no text", name);
    cr_assert_str_eq(value, expected, "%s is \"%s\"", name, value);
}

static bool s_noted(mail_note_t note)
{
    return (s_mail.notes & (1u << note)) != 0;
}

static const json_t *s_attachment(size_t at)
{
    return json_array_get(json_object_get(s_attributes, "attachments"), at);
}

static size_t s_attachments(void)
{
    return json_array_size(json_object_get(s_attributes, "attachments"));
}

Test(mail, an_ordinary_message)
{
    s_read(
        "From: \"Ann Example\" <ann@example.org>\n"
        "To: Bob <bob@example.com>, support@example.com\nCc: c@example.net\n"
        "Subject: Broken kettle\nDate: Sat, 31 Jan 2026 13:00:00 +0100\n"
        "Message-ID: <abc.1@example.org>\n\nHello,\nit broke.\n\n");
    s_is("message_id", "abc.1@example.org");
    s_is("subject", "Broken kettle");
    s_is("from_name", "Ann Example");
    s_is("from_address", "ann@example.org");
    s_is("date", "2026-01-31T12:00:00Z");
    s_is("text", "Hello,\nit broke.");
    cr_assert_str_eq(s_mail.external_id, "abc.1@example.org");
    const json_t *to = json_object_get(s_attributes, "to");
    cr_assert_eq(json_array_size(to), 3);
    cr_assert_str_eq(json_string_value(json_array_get(to, 1)), "support@example.com");
    cr_assert_eq(s_attachments(), 0);
    cr_assert_eq(s_mail.notes, 0);
}

Test(mail, encoded_words_in_several_charsets)
{
    static const char *const subjects[][2] = {
        {"=?UTF-8?B?R3LDvMOfZQ==?=", "Gr\u00fc\u00dfe"},
        {"=?iso-8859-1?Q?Gr=FC=DFe?=", "Gr\u00fc\u00dfe"},
        {"=?ISO-8859-15?Q?5_=A4?=", "5 \u20ac"},
        {"=?windows-1251?B?z/Do4uXy?=", "\u041f\u0440\u0438\u0432\u0435\u0442"},
        {"=?koi8-r?B?8NLJ18XU?=", "\u041f\u0440\u0438\u0432\u0435\u0442"},
        {"=?ISO-2022-JP?B?GyRCJDMkcyRLJEEkTxsoQg==?=", "\u3053\u3093\u306b\u3061\u306f"},
        {"=?gb2312?B?xOO6ww==?=", "\u4f60\u597d"},
        {"=?Shift_JIS?B?g2WDWINn?=", "\u30c6\u30b9\u30c8"},
        {"=?utf-8?Q?one?= =?utf-8?Q?_two?=", "one two"},
        {"plain =?utf-8?Q?=C3=A9?= end", "plain \u00e9 end"},
    };
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
        char message[300];
        snprintf(message, sizeof message, "Subject: %s\n\nx\n", subjects[i][0]);
        s_read(message);
        s_is("subject", subjects[i][1]);
    }
}

Test(mail, eight_bit_headers_are_repaired)
{
    s_read(
        "From: J\xfcrgen <j@example.org>\nSubject: Gr\xfc\xdf"
        "e\nMessage-ID: <1@x>\n\nx\n");
    s_is("subject", "Gr\u00fc\u00dfe");
    s_is("from_name", "J\u00fcrgen");
    s_is("from_address", "j@example.org");
    s_read(
        "Subject: Gr\xc3\xbc\xc3\x9f"
        "e\n\nx\n");
    s_is("subject", "Gr\u00fc\u00dfe");
}

Test(mail, nuls_and_controls_leave_no_trace)
{
    static const char message[] = "Subject: a\0b\x1b[31mc\nMessage-ID: <n@x>\n\nte\0xt\x07\n";
    s_read_bytes(message, sizeof message - 1, MAIL_TEXT_DEFAULT);
    s_is("subject", "a b[31mc");
    s_is("text", "text");
    cr_assert(s_noted(MAIL_HEADER));
    cr_assert(s_noted(MAIL_CHARSET));
}

Test(mail, without_anything)
{
    s_read("");
    s_is("text", "");
    cr_assert(json_is_null(json_object_get(s_attributes, "message_id")));
    cr_assert(json_is_null(json_object_get(s_attributes, "date")));
    cr_assert(s_noted(MAIL_NO_MESSAGE_ID));
    cr_assert(s_noted(MAIL_NO_DATE));
    cr_assert_str_eq(s_mail.external_id, "");
    s_read("no header at all, only a line of text");
    s_read("\nbody only\n");
    s_is("text", "body only");
}

Test(mail, dates_that_are_none)
{
    static const char *const dates[] = {"", "yesterday", "Mon, 99 Foo 12345678901234 99:99:99",
                                        "31 Feb 2026 10:00:00 +9999"};
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
        char message[200];
        snprintf(message, sizeof message, "Date: %s\n\nx\n", dates[i]);
        s_read(message);
    }
}

Test(mail, a_long_message_id_is_cut_at_a_character)
{
    char message[1000] = "Message-ID: <";
    for (size_t i = 0; i < 200; i++)
        memcpy(message + strlen(message), "\xc3\xa9", 3);
    memcpy(message + strlen(message), "@x>\n\nx", 7);
    s_read(message);
    cr_assert_eq(strlen(s_mail.external_id), 254);
    cr_assert_null(u8_check((const uint8_t *)s_mail.external_id, 254));
}

Test(mail, charsets_of_the_text)
{
    s_read("Content-Type: text/plain; charset=iso-8859-1\n\nna\xefve \x80\n");
    s_is("text", "na\u00efve \u20ac"); /* those who say Latin 1 write windows-1252 */
    s_read("Content-Type: text/plain; charset=no-such-thing\n\nna\xefve\n");
    s_is("text", "na\u00efve");
    cr_assert(s_noted(MAIL_CHARSET));
    s_read("Content-Type: text/plain; charset=utf-8\n\n\xc3\xa9\xc3\xa9 \xff \xc3\xa9\n");
    s_is("text", "\u00e9\u00e9 \ufffd \u00e9");
    cr_assert(s_noted(MAIL_CHARSET));
    s_read("Content-Type: text/plain; charset=utf-8\n\nna\xefve\n");
    s_is("text", "na\u00efve");
    s_read("\nna\xc3\xafve\n");
    s_is("text", "na\u00efve");
    cr_assert_not(s_noted(MAIL_CHARSET));
    s_read("Content-Type: text/plain; charset=\"utf-8//IGNORE\"\n\n\xc3\xa9\n");
    s_is("text", "\u00e9");
    s_read(
        "Content-Type: text/plain; charset=utf-16be\nContent-Transfer-Encoding: base64\n\n"
        "AEgAaQ==\n");
    s_is("text", "Hi");
}

Test(mail, transfer_encodings_also_truncated)
{
    s_read("Content-Transfer-Encoding: base64\n\nSGVsbG8gV29ybGQ=\n");
    s_is("text", "Hello World");
    s_read("Content-Transfer-Encoding: base64\n\nSGVsbG8gV29ybG\n");
    const char *text = json_string_value(json_object_get(s_attributes, "text"));
    cr_assert_eq(strncmp(text, "Hello Wo", 8), 0, "%s", text);
    s_read("Content-Transfer-Encoding: quoted-printable\n\nGr=C3=BC=C3=9Fe=\n und=2\n");
    text = json_string_value(json_object_get(s_attributes, "text"));
    cr_assert_eq(strncmp(text, "Gr\u00fc\u00dfe und", 11), 0, "%s", text);
}

#define ALTERNATIVE                                                                                \
    "Content-Type: multipart/alternative; boundary=alt\n\n--alt\n"                                 \
    "Content-Type: text/plain\n\nplain words\n--alt\n"                                             \
    "Content-Type: text/html\n\n<p>html words</p>\n--alt--\n"

Test(mail, plain_text_is_preferred)
{
    s_read(ALTERNATIVE);
    s_is("text", "plain words");
    s_read("Content-Type: multipart/mixed; boundary=mix\n\n--mix\n" ALTERNATIVE
           "\n--mix\nContent-Type: text/plain\n\nfooter of a list\n--mix\n"
           "Content-Type: application/pdf; name=\"=?utf-8?B?w6kucGRm?=\"\n"
           "Content-Disposition: attachment\nContent-Transfer-Encoding: base64\n\nAAECAw==\n"
           "--mix--\n");
    s_is("text", "plain words\nfooter of a list");
    cr_assert_eq(s_attachments(), 1);
    cr_assert_str_eq(json_string_value(json_object_get(s_attachment(0), "name")), "\u00e9.pdf");
    cr_assert_str_eq(json_string_value(json_object_get(s_attachment(0), "type")),
                     "application/pdf");
    cr_assert_eq(json_integer_value(json_object_get(s_attachment(0), "size")), 4);
}

Test(mail, an_empty_plain_text_gives_way_to_html)
{
    s_read(
        "Content-Type: multipart/alternative; boundary=alt\n\n--alt\n"
        "Content-Type: text/plain\n\n  \n--alt\n"
        "Content-Type: multipart/related; boundary=rel\n\n--rel\n"
        "Content-Type: text/html; charset=utf-8\n\n<p>html w\xc3\xb6rds</p>\n--rel\n"
        "Content-Type: image/png\nContent-Transfer-Encoding: base64\n\niVBO\n--rel--\n--alt--\n");
    s_is("text", "html w\u00f6rds");
    cr_assert_eq(s_attachments(), 1);
}

Test(mail, attachments_inside_the_alternative_not_taken_are_listed)
{
    s_read(
        "Content-Type: multipart/alternative; boundary=alt\n\n--alt\n"
        "Content-Type: text/plain\n\nplain\n--alt\n"
        "Content-Type: multipart/mixed; boundary=m\n\n--m\nContent-Type: text/html\n\n<p>html\n"
        "--m\nContent-Type: application/pdf\n\n%PDF\n--m--\n--alt\n"
        "Content-Type: text/calendar\n\nBEGIN:VCALENDAR\n--alt--\n");
    s_is("text", "plain");
    cr_assert_eq(s_attachments(), 2);
}

Test(mail, broken_multiparts)
{
    s_read("Content-Type: multipart/mixed\n\nno boundary was named\n");
    s_read("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nnever ends\n");
    s_is("text", "never ends");
    s_read("Content-Type: multipart/mixed; boundary=b\n\nno part at all\n");
    s_read("Content-Type: multipart/mixed; boundary=\"\"\n\n--\n\nx\n");
    s_read("Content-Type: text/plain; charset*0*=''; charset*1=\n\nx\n");
    s_read("Content-Type: message/rfc822\n\nSubject: inner\n\ninner text\n");
    cr_assert_eq(s_attachments(), 1);
    s_is("text", "");
}

Test(mail, nesting_has_a_bound)
{
    buffer_t deep = {0};
    for (int i = 0; i < 2000; i++)
        buffer_printf(&deep, "Content-Type: multipart/%s; boundary=b%d\n\n--b%d\n",
                      i % 2 ? "mixed" : "alternative", i, i);
    buffer_append_text(&deep, "\nat the bottom\n");
    s_read_bytes((const char *)deep.bytes, deep.len, MAIL_TEXT_DEFAULT);
    cr_assert(s_noted(MAIL_STRUCTURE));
    buffer_clear(&deep);
    buffer_append_text(&deep, "Content-Type: multipart/mixed; boundary=b\n\n");
    for (int i = 0; i < 5000; i++)
        buffer_append_text(&deep, "--b\nContent-Type: image/png\n\nx\n");
    s_read_bytes((const char *)deep.bytes, deep.len, MAIL_TEXT_DEFAULT);
    cr_assert(s_noted(MAIL_STRUCTURE));
    cr_assert_eq(s_attachments(), MAIL_LIST);
    buffer_free(&deep);
}

Test(mail, the_text_is_cut_at_a_character)
{
    static const char message[] = "\n\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\n";
    s_read_bytes(message, sizeof message - 1, 5);
    s_is("text", "\u00e9\u00e9");
    cr_assert(s_noted(MAIL_TEXT_CUT));
    s_read_bytes(message, sizeof message - 1, 8);
    s_is("text", "\u00e9\u00e9\u00e9\u00e9");
    s_read_bytes(message, sizeof message - 1, 0);
    s_is("text", "");
}

Test(mail, the_worst_message_stays_below_the_usual_limit)
{
    buffer_t worst = {0};
    for (int i = 0; i < 200; i++) {
        buffer_append_text(&worst, i ? "," : "To: ");
        for (int j = 0; j < 20; j++)
            buffer_append_text(&worst, "\\\"\\\"\\\"\\\"\\\"");
        buffer_printf(&worst, "@example.org");
    }
    buffer_append_text(&worst, "\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n");
    for (int i = 0; i < 100000; i++)
        buffer_append_text(&worst, "\"\"");
    for (int i = 0; i < 100; i++) {
        buffer_append_text(&worst, "\n--b\nContent-Disposition: attachment; filename=\"");
        for (int j = 0; j < 255; j++)
            buffer_append_text(&worst, "\\\"");
        buffer_append_text(&worst, "\"\n\nx");
    }
    s_read_bytes((const char *)worst.bytes, worst.len, MAIL_TEXT_DEFAULT);
    cr_assert_lt(s_mail.attributes.len, (size_t)256 * 1024);
    buffer_free(&worst);
}

Test(mail, crlf_reads_as_lf)
{
    s_read("Subject: two\r\n lines\r\nContent-Type: text/plain\r\n\r\none\r\ntwo\r\n");
    s_is("subject", "two lines");
    s_is("text", "one\ntwo");
}

static void s_html_is(const char *html, const char *expected)
{
    buffer_t out = {0};
    html_append_text(&out, text_of(html), 10000);
    buffer_append(&out, "", 1);
    cr_assert_str_eq((char *)out.bytes, expected, "%s", (char *)out.bytes);
    buffer_free(&out);
}

Test(html, what_a_reader_sees)
{
    s_html_is(
        "<html><head><title>t</title><style>p{}</style></head><body><p>One  two\n three</p>"
        "<script>alert(1)</script><div>four<br>five</div></body></html>",
        "One two three\n\nfour\nfive\n");
    s_html_is("a &amp; b &lt;c&gt; &eacute;&#8364;", "a & b <c> \u00e9\u20ac\n");
    s_html_is("<b>not <i>closed <p>x", "not closed\nx\n");
    s_html_is("", "");
    s_html_is("<!-- only a comment -->", "");
}

Test(html, depth_is_no_danger)
{
    buffer_t deep = {0};
    for (int i = 0; i < 100000; i++)
        buffer_append_text(&deep, "<div>");
    buffer_append_text(&deep, "x");
    buffer_t out = {0};
    html_append_text(&out, (text_t){(const char *)deep.bytes, deep.len}, 1000);
    cr_assert_leq(out.len, 2000);
    buffer_free(&deep);
    buffer_free(&out);
}

/* Cuts a mailbox and joins its messages with "|". */
static void s_mailbox_is(const char *text, const char *expected)
{
    mailbox_t mailbox = {0};
    buffer_t out = {0};
    for (const char *at = text; *at;) {
        size_t len = strcspn(at, "\n");
        len += at[len] == '\n';
        if (mailbox_take(&mailbox, (text_t){at, len}, true)) {
            buffer_append(&out, mailbox.message.bytes, mailbox.message.len);
            buffer_append_text(&out, "|");
        }
        at += len;
    }
    if (mailbox_finish(&mailbox)) {
        buffer_append(&out, mailbox.message.bytes, mailbox.message.len);
        buffer_append_text(&out, "|");
    }
    buffer_append(&out, "", 1);
    cr_assert_str_eq((char *)out.bytes, expected, "%s", (char *)out.bytes);
    buffer_free(&out);
    mailbox_free(&mailbox);
}

#define SEPARATOR "From ann@example.org Sat Jan 31 12:00:00 2026\n"

Test(mailbox, cuts_messages)
{
    s_mailbox_is("", "");
    s_mailbox_is(SEPARATOR "A: 1\n\none\n\n" SEPARATOR "A: 2\n\ntwo\n\n",
                 "A: 1\n\none\n|A: 2\n\ntwo\n|");
    s_mailbox_is(SEPARATOR "A: 1\n\nno line end", "A: 1\n\nno line end|");
    s_mailbox_is(SEPARATOR SEPARATOR, "||");
    s_mailbox_is("rubbish before\n" SEPARATOR "A: 1\n\nx\n", "A: 1\n\nx\n|");
    s_mailbox_is(
        "From a@b Sat Jan 31 12:00:00 2026\r\nA: 1\r\n\r\none\r\n\r\n"
        "From a@b Sat Jan 31 12:00:00 2026\r\nA: 2\r\n\r\n",
        "A: 1\r\n\r\none\r\n|A: 2\r\n|");
}

Test(mailbox, prose_is_no_separator)
{
    s_mailbox_is(SEPARATOR "A: 1\n\n\nFrom here on it is different.\n\nFrom 10:30 to 11:30\n",
                 "A: 1\n\n\nFrom here on it is different.\n\nFrom 10:30 to 11:30\n|");
    cr_assert(mailbox_is_separator(text_of("From - Tue Mar 01 12:00:00 2011")));
    cr_assert(mailbox_is_separator(text_of("From ann at example.org  Tue Jan  1 00:00:00 2002")));
    cr_assert_not(mailbox_is_separator(text_of("From: ann@example.org 12:00 2026")));
}

Test(mailbox, quoted_from_lines_lose_one_quote)
{
    s_mailbox_is(SEPARATOR "A: 1\n\n>From here\n>>From there\n> From a reply\n",
                 "A: 1\n\nFrom here\n>From there\n> From a reply\n|");
}

Test(mailbox, a_message_has_a_bound)
{
    mailbox_t mailbox = {0};
    char *line = malloc(1 << 20);
    memset(line, 'x', 1 << 20);
    mailbox_take(&mailbox, TEXT(SEPARATOR), true);
    for (int i = 0; i < 40; i++)
        mailbox_take(&mailbox, (text_t){line, 1 << 20}, i == 0);
    cr_assert(mailbox.cut);
    cr_assert_eq(mailbox.message.len, MAILBOX_MESSAGE_SIZE);
    cr_assert(mailbox_take(&mailbox, TEXT(SEPARATOR), true));
    cr_assert_not(mailbox_take(&mailbox, TEXT("A: 1\n"), true));
    cr_assert_not(mailbox.cut);
    cr_assert(mailbox_finish(&mailbox));
    cr_assert_eq(mailbox.message.len, 5);
    mailbox_free(&mailbox);
    free(line);
}

Test(utf8, cleaning)
{
    buffer_t out = {0};
    cr_assert(utf8_clean(&out, TEXT("  a \t\r\n b  "), UTF8_LINE));
    cr_assert_eq(out.len, 3);
    cr_assert_eq(memcmp(out.bytes, "a b", 3), 0);
    buffer_clear(&out);
    cr_assert_not(utf8_clean(&out, (text_t){"a\0b\xed\xa0\x80", 6}, UTF8_LINES));
    cr_assert_null(u8_check(out.bytes, out.len));
    buffer_clear(&out);
    cr_assert(utf8_clean(&out, TEXT("a\r\nb\rc\x7f"), UTF8_LINES));
    cr_assert_eq(memcmp(out.bytes, "a\nb\nc", 5), 0);
    cr_assert_eq(out.len, 5);
    buffer_free(&out);
}
