/* Units: see units.h. */
#include "apps/ixnctl/parts/units.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const char *units_count(uint64_t count, char text[UNITS_TEXT_SIZE])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
    char *to = text;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return text;
}

const char *units_bytes(uint64_t bytes, char text[UNITS_TEXT_SIZE])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double amount = (double)bytes;
    size_t unit = 0;
    while (amount >= 1023.95 && unit + 1 < sizeof units / sizeof units[0]) {
        amount /= 1024;
        unit++;
    }
    snprintf(text, UNITS_TEXT_SIZE, unit == 0 ? "%.0f %s" : "%.1f %s", amount, units[unit]);
    return text;
}

const char *units_seconds(double seconds, char text[UNITS_TEXT_SIZE])
{
    if (!(seconds > 0))
        seconds = 0;
    if (seconds < 59.95) {
        snprintf(text, UNITS_TEXT_SIZE, "%.1fs", seconds);
        return text;
    }
    uint64_t whole = seconds < 1e15 ? (uint64_t)llround(seconds) : UINT64_C(1000000000000000);
    unsigned long long days = whole / 86400;
    unsigned hours = (unsigned)(whole / 3600 % 24);
    unsigned minutes = (unsigned)(whole / 60 % 60);
    if (days > 0)
        snprintf(text, UNITS_TEXT_SIZE, "%llud%02uh", days, hours);
    else if (hours > 0)
        snprintf(text, UNITS_TEXT_SIZE, "%uh%02um", hours, minutes);
    else
        snprintf(text, UNITS_TEXT_SIZE, "%um%02us", minutes, (unsigned)(whole % 60));
    return text;
}

const char *units_time(int64_t wall_us, char text[UNITS_TEXT_SIZE])
{
    text[0] = '\0';
    if (wall_us == 0)
        return text;
    int64_t us = wall_us % 1000000;
    time_t seconds = (time_t)(wall_us / 1000000);
    if (us < 0) {
        us += 1000000;
        seconds--;
    }
    struct tm parts;
    char date[24];
    if (!gmtime_r(&seconds, &parts) ||
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts) == 0)
        return text;
    snprintf(text, UNITS_TEXT_SIZE, "%s.%06dZ", date, (int)us);
    return text;
}
