/* Tree: the text is read twice. The first pass looks at libyaml's events and refuses; it stops at
 * the first thing that is wrong, so the second, which builds the document, has bounded work.
 */
#include "config/tree.h"

#include <unistr.h>

#include "core/base/check.h"

place_t tree_place(yaml_mark_t mark)
{
    return (place_t){(uint32_t)mark.line + 1, (uint32_t)mark.column + 1};
}

/* The place of a byte; what is before it must be valid UTF-8. */
static place_t s_place_of_byte(text_t text, size_t offset)
{
    place_t place = {1, 1};
    for (size_t i = 0; i < offset && i < text.len; i++) {
        if (text.data[i] == '\n')
            place = (place_t){place.line + 1, 1};
        else if ((text.data[i] & 0xc0) != 0x80)
            place.column++;
    }
    return place;
}

static bool s_check_text(const places_t *places, text_t text, error_t *ret_error)
{
    if (text.len > TREE_MAX_SIZE)
        return places_error(places, (place_t){1, 1}, ret_error,
                            "the file is larger than %d bytes, the most that is read; is it a "
                            "configuration?",
                            TREE_MAX_SIZE);
    const uint8_t *wrong = text.len ? u8_check((const uint8_t *)text.data, text.len) : NULL;
    if (wrong) {
        size_t offset = (size_t)(wrong - (const uint8_t *)text.data);
        return places_error(places, s_place_of_byte(text, offset), ret_error,
                            "byte 0x%02x is not valid UTF-8; save the file as UTF-8", *wrong);
    }
    return true;
}

/* What libyaml says, at its place. It gives a byte instead of a mark for characters it refuses. */
static bool s_parser_error(const places_t *places, text_t text, const yaml_parser_t *parser,
                           error_t *ret_error)
{
    /* Where libyaml finds fault with the text, it says what. */
    if (parser->error == YAML_MEMORY_ERROR || !parser->problem)
        return error_set(ret_error, ERROR_SYSTEM, "%s:1:1: no memory to read the file",
                         places->file);
    if (parser->error == YAML_READER_ERROR)
        return places_error(places, s_place_of_byte(text, parser->problem_offset), ret_error,
                            "character U+%04X is not allowed in YAML; remove it",
                            (unsigned)parser->problem_value);
    place_t place = tree_place(parser->problem_mark);
    if (!parser->context)
        return places_error(places, place, ret_error,
                            "not valid YAML: %s; look at indentation, colons and quotes",
                            parser->problem);
    return places_error(places, place, ret_error,
                        "not valid YAML: %s (%s that begins on line %u); look at indentation, "
                        "colons and quotes",
                        parser->problem, parser->context, tree_place(parser->context_mark).line);
}

static bool s_refuse(const places_t *places, const yaml_event_t *event, const char *what,
                     error_t *ret_error)
{
    return places_error(places, tree_place(event->start_mark), ret_error,
                        "%s not used in this file; write the value out", what);
}

typedef struct {
    unsigned documents;
    unsigned depth;
    unsigned nodes;
} pass_t;

static bool s_check_document(const places_t *places, const yaml_event_t *event, pass_t *pass,
                             error_t *ret_error)
{
    const yaml_tag_directive_t *tags = event->data.document_start.tag_directives.start;
    if (event->data.document_start.version_directive ||
        tags != event->data.document_start.tag_directives.end)
        return s_refuse(places, event, "directives (%YAML, %TAG) are", ret_error);
    if (++pass->documents > 1)
        return places_error(places, tree_place(event->start_mark), ret_error,
                            "a second document begins here; a configuration is one document: "
                            "remove this line or what follows");
    return true;
}

static bool s_check_node(const places_t *places, const yaml_event_t *event, pass_t *pass,
                         error_t *ret_error)
{
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (anchor)
        return s_refuse(places, event, "anchors (&name) are", ret_error);
    if (tag)
        return s_refuse(places, event, "tags (!name) are", ret_error);
    if (event->type != YAML_SCALAR_EVENT && ++pass->depth > TREE_MAX_DEPTH)
        return places_error(places, tree_place(event->start_mark), ret_error,
                            "lists and mappings are nested deeper than %d; no key needs that",
                            TREE_MAX_DEPTH);
    if (++pass->nodes > TREE_MAX_NODES)
        return places_error(places, tree_place(event->start_mark), ret_error,
                            "more than %d keys and values; is this a configuration?",
                            TREE_MAX_NODES);
    return true;
}

static bool s_check_event(const places_t *places, const yaml_event_t *event, pass_t *pass,
                          error_t *ret_error)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return s_check_document(places, event, pass, ret_error);
    case YAML_ALIAS_EVENT:
        return s_refuse(places, event, "aliases (*name) are", ret_error);
    case YAML_SCALAR_EVENT:
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        return s_check_node(places, event, pass, ret_error);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        pass->depth--;
        return true;
    default:
        return true;
    }
}

static void s_open(yaml_parser_t *parser, text_t text)
{
    CHECK(yaml_parser_initialize(parser)); /* fails for lack of memory only */
    yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(parser, (const unsigned char *)(text.len ? text.data : ""),
                                 text.len);
}

static bool s_check_events(const places_t *places, text_t text, error_t *ret_error)
{
    yaml_parser_t parser;
    s_open(&parser, text);
    pass_t pass = {0};
    bool ok = true;
    bool end = false;
    while (ok && !end) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            ok = s_parser_error(places, text, &parser, ret_error);
            break;
        }
        ok = s_check_event(places, &event, &pass, ret_error);
        end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return ok;
}

bool tree_read(const places_t *places, text_t text, yaml_document_t *ret_document,
               error_t *ret_error)
{
    /* libyaml would count a byte order mark as a column, and so as indentation. */
    const text_t mark = TEXT("\xef\xbb\xbf");
    if (text.len >= mark.len && memcmp(text.data, mark.data, mark.len) == 0)
        text = (text_t){text.data + mark.len, text.len - mark.len};
    if (!s_check_text(places, text, ret_error) || !s_check_events(places, text, ret_error))
        return false;
    yaml_parser_t parser;
    s_open(&parser, text);
    bool ok = yaml_parser_load(&parser, ret_document);
    if (!ok)
        s_parser_error(places, text, &parser, ret_error);
    yaml_parser_delete(&parser);
    return ok;
}
