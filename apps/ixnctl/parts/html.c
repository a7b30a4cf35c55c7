/* Html: see html.h. The tree is walked without recursion: its depth is the sender's choice. */
#include "apps/ixnctl/parts/html.h"

#include <libxml/HTMLparser.h>
#include <limits.h>
#include <string.h>
#include <strings.h>

#include "apps/ixnctl/parts/utf8.h"

static bool s_is_one_of(const xmlNode *node, const char *const *names, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (node->name && strcasecmp((const char *)node->name, names[i]) == 0)
            return true;
    }
    return false;
}

static bool s_is_hidden(const xmlNode *node)
{
    static const char *const names[] = {"head", "script", "style", "title", "template", "noscript"};
    return node->type != XML_ELEMENT_NODE ||
           s_is_one_of(node, names, sizeof names / sizeof names[0]);
}

static bool s_breaks_line(const xmlNode *node)
{
    static const char *const names[] = {"address", "blockquote", "br", "dd",    "div", "dl", "dt",
                                        "h1",      "h2",         "h3", "h4",    "h5",  "h6", "hr",
                                        "li",      "ol",         "p",  "table", "tr",  "ul", "pre"};
    return node->type == XML_ELEMENT_NODE &&
           s_is_one_of(node, names, sizeof names / sizeof names[0]);
}

/* One line end, none at the beginning, and never more than one empty line. */
static void s_break_line(buffer_t *out)
{
    while (out->len > 0 && out->bytes[out->len - 1] == ' ')
        out->len--;
    size_t ends = 0;
    while (ends < out->len && out->bytes[out->len - 1 - ends] == '\n')
        ends++;
    if (out->len > 0 && ends < 2)
        buffer_append_text(out, "\n");
}

/* Words with one space between them: white space in HTML is layout of the source. */
static void s_append_words(buffer_t *out, const char *text)
{
    for (size_t i = 0; text[i]; i++) {
        bool space = strchr(" \t\r\n\f", text[i]) != NULL;
        bool after_space = out->len == 0 || strchr(" \n", (char)out->bytes[out->len - 1]) != NULL;
        if (!space)
            buffer_append(out, &text[i], 1);
        else if (!after_space)
            buffer_append_text(out, " ");
    }
}

/* The next node in reading order; breaks lines for the elements that end on the way. */
static const xmlNode *s_next(const xmlNode *node, buffer_t *out)
{
    if (node->children && !s_is_hidden(node))
        return node->children;
    while (node && !node->next) {
        node = node->parent;
        if (node && s_breaks_line(node))
            s_break_line(out);
    }
    return node ? node->next : NULL;
}

void html_append_text(buffer_t *out, text_t source, size_t max)
{
    if (source.len == 0 || source.len > INT_MAX)
        return;
    htmlDocPtr document = htmlReadMemory(source.data, (int)source.len, NULL, "UTF-8",
                                         HTML_PARSE_RECOVER | HTML_PARSE_NOERROR |
                                             HTML_PARSE_NOWARNING | HTML_PARSE_NONET);
    if (!document)
        return;
    buffer_t raw = {0};
    const xmlNode *node = xmlDocGetRootElement(document);
    while (node && raw.len < max) {
        if (s_breaks_line(node))
            s_break_line(&raw);
        if ((node->type == XML_TEXT_NODE || node->type == XML_CDATA_SECTION_NODE) && node->content)
            s_append_words(&raw, (const char *)node->content);
        node = s_next(node, &raw);
    }
    xmlFreeDoc(document);
    utf8_clean(out, (text_t){(const char *)raw.bytes, raw.len}, UTF8_LINES);
    buffer_free(&raw);
}
