/* Units: amounts as people read them. */
#ifndef IXNCTL_UNITS_H
#define IXNCTL_UNITS_H

#include <stddef.h>
#include <stdint.h>

#define UNITS_TEXT_SIZE 40

/* 1234567 → "1,234,567". Returns `text`, as all of them. */
const char *units_count(uint64_t count, char text[UNITS_TEXT_SIZE]);
/* 12899999 → "12.3 MiB". */
const char *units_bytes(uint64_t bytes, char text[UNITS_TEXT_SIZE]);
/* 3723.0 → "1h02m", 83.2 → "1m23s", 9.13 → "9.1s". */
const char *units_seconds(double seconds, char text[UNITS_TEXT_SIZE]);
/* Microseconds since 1970 as "2026-01-31T12:00:00.123456Z"; 0 as "". */
const char *units_time(int64_t wall_us, char text[UNITS_TEXT_SIZE]);

#endif
