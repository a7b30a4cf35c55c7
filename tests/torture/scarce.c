/* Scarce: a library to preload that lets one allocation of a process fail, the one whose number is
 * in IXN_FAIL_AT (from 1), as if memory were out at that moment; the next ones succeed again. With
 * IXN_COUNT the number of allocations is written into that file at the end.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);

static atomic_ulong s_number;
static atomic_ulong s_fail_at; /* 0: not looked yet; ULONG_MAX: none */

static bool s_fails(void)
{
    unsigned long fail_at = atomic_load(&s_fail_at);
    if (fail_at == 0) {
        const char *text = getenv("IXN_FAIL_AT");
        fail_at = text ? strtoul(text, NULL, 10) : (unsigned long)-1;
        atomic_store(&s_fail_at, fail_at);
    }
    if (atomic_fetch_add(&s_number, 1) + 1 != fail_at)
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return s_fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return s_fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    return s_fails() ? NULL : __libc_realloc(block, size);
}

__attribute__((destructor)) static void s_count(void)
{
    const char *path = getenv("IXN_COUNT");
    FILE *file = path ? fopen(path, "we") : NULL;
    if (!file)
        return;
    fprintf(file, "%lu\n", atomic_load(&s_number));
    fclose(file);
}
