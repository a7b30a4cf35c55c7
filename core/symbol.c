#include "core/symbol.h"

#include <stdlib.h>

#include "core/base/alloc.h"
#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/base/table.h"

typedef struct {
    UT_hash_handle hh;
    uint32_t uses;
    symbol_t number;
    size_t len;
    char name[];
} symbol_entry_t;

struct symbol_table {
    symbol_entry_t *by_name;
    symbol_entry_t **by_number; /* NULL: free */
    size_t numbers;             /* used or once used, including 0 */
    symbol_t *free_numbers;
    size_t free_len;
};

symbol_table_t *symbol_table_new(void)
{
    symbol_table_t *self = memory_zero(1, sizeof *self);
    self->by_number = memory_zero(LIMIT_SYMBOLS + 1, sizeof(symbol_entry_t *));
    self->free_numbers = memory_zero(LIMIT_SYMBOLS + 1, sizeof(symbol_t));
    self->numbers = 1;
    return self;
}

void symbol_table_destroy(symbol_table_t **self_p)
{
    symbol_table_t *self = *self_p;
    if (!self)
        return;
    HASH_CLEAR(hh, self->by_name);
    for (size_t i = 0; i < self->numbers; i++)
        free(self->by_number[i]);
    free(self->by_number);
    free(self->free_numbers);
    free(self);
    *self_p = NULL;
}

symbol_t symbol_take(symbol_table_t *self, text_t name)
{
    if (name.len == 0)
        return 0;
    symbol_entry_t *entry = NULL;
    HASH_FIND(hh, self->by_name, name.data, name.len, entry);
    if (!entry) {
        if (self->free_len == 0 && self->numbers > LIMIT_SYMBOLS)
            return 0;
        entry = memory_zero(1, sizeof *entry + name.len + 1);
        entry->len = name.len;
        memcpy(entry->name, name.data, name.len);
        entry->number =
            self->free_len ? self->free_numbers[--self->free_len] : (symbol_t)self->numbers++;
        self->by_number[entry->number] = entry;
        HASH_ADD_KEYPTR(hh, self->by_name, entry->name, entry->len, entry);
    }
    entry->uses++;
    return entry->number;
}

symbol_t symbol_again(symbol_table_t *self, symbol_t symbol)
{
    if (symbol)
        self->by_number[symbol]->uses++;
    return symbol;
}

void symbol_drop(symbol_table_t *self, symbol_t symbol)
{
    if (!symbol)
        return;
    symbol_entry_t *entry = self->by_number[symbol];
    CHECK(entry && entry->uses > 0);
    if (--entry->uses > 0)
        return;
    self->by_number[symbol] = NULL;
    self->free_numbers[self->free_len++] = symbol;
    HASH_DEL(self->by_name, entry);
    free(entry);
}

text_t symbol_name(const symbol_table_t *self, symbol_t symbol)
{
    const symbol_entry_t *entry = symbol ? self->by_number[symbol] : NULL;
    return entry ? (text_t){entry->name, entry->len} : (text_t){"", 0};
}
