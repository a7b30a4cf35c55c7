/* Symbols: names (of clients, routers, strategies) as 16-bit numbers, counted by use, so that a
 * step of a journey is small and a name that nobody mentions any more costs nothing. Number 0 is
 * the empty name. Pure.
 */
#ifndef IXN_CORE_SYMBOL_H
#define IXN_CORE_SYMBOL_H

#include <stdint.h>

#include "core/base/types.h"

typedef uint16_t symbol_t;

typedef struct symbol_table symbol_table_t;
symbol_table_t *symbol_table_new(void);
void symbol_table_destroy(symbol_table_t **self_p);

/* The number of a name, made if new, with one more use. 0 for the empty name, and also when the
 * table is full (LIMIT_SYMBOLS names in use at once): the name is then not kept. */
symbol_t symbol_take(symbol_table_t *self, text_t name);
/* One more, one less use of a number. */
symbol_t symbol_again(symbol_table_t *self, symbol_t symbol);
void symbol_drop(symbol_table_t *self, symbol_t symbol);
/* Terminated; valid while the symbol is in use. */
text_t symbol_name(const symbol_table_t *self, symbol_t symbol);

#endif
