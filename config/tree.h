/* Tree: the text of a configuration as a YAML document of plain mappings, lists and values.
 *
 * Promises: what is too large, not UTF-8, too deep, or uses what a configuration does not need
 * (anchors, aliases, tags, directives, more than one document) is refused with its place before a
 * document is built; so the document is a small tree.
 */
#ifndef IXN_CONFIG_TREE_H
#define IXN_CONFIG_TREE_H

#include <yaml.h>

#include "config/place.h"

#define TREE_MAX_SIZE (1024 * 1024) /* bytes of text */
#define TREE_MAX_DEPTH 16           /* lists and mappings in each other */
#define TREE_MAX_NODES 200000

/* Free the document with yaml_document_delete. Only `places->file` is used. */
bool tree_read(const places_t *places, text_t text, yaml_document_t *ret_document,
               error_t *ret_error);

place_t tree_place(yaml_mark_t mark);

#endif
