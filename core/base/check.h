/* CHECK: the program itself is wrong. Always on; prints where and what, then aborts, so that the
 * other node takes over from a state that is known to be good. Never for input, peers, disks or
 * databases: those get an error (core/base/error.h).
 */
#ifndef IXN_BASE_CHECK_H
#define IXN_BASE_CHECK_H

#define CHECK(condition)                                                                           \
    (__builtin_expect(!!(condition), 1) ? (void)0                                                  \
                                        : check_failed(#condition, __FILE__, __LINE__, __func__))

_Noreturn void check_failed(const char *condition, const char *file, int line,
                            const char *function);

#endif
