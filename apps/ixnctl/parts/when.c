/* When: see when.h. */
#include "apps/ixnctl/parts/when.h"

#include <string.h>

/* Whether `parts` came from a real date: mktime would make the 2nd of March of the 30th of
 * February.
 */
static bool s_is_real(const struct tm *before, const struct tm *after)
{
    return before->tm_mday == after->tm_mday && before->tm_mon == after->tm_mon;
}

static bool s_parse_date(const char *text, time_t *ret_time)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S",
                                        "%Y-%m-%d %H:%M"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct tm parts = {.tm_isdst = -1};
        const char *end = strptime(text, forms[i], &parts);
        bool utc = end && strcmp(end, "Z") == 0;
        if (!end || (*end && !utc))
            continue;
        struct tm made = parts;
        time_t found = utc ? timegm(&made) : mktime(&made);
        if (found == (time_t)-1 || !s_is_real(&parts, &made))
            return false;
        *ret_time = found;
        return true;
    }
    return false;
}

bool when_parse(const char *text, time_t now, time_t *ret_time)
{
    static const char *const forms[] = {"%H:%M:%S", "%H:%M"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        struct tm clock = {0};
        const char *end = strptime(text, forms[i], &clock);
        if (!end || *end)
            continue;
        struct tm parts;
        localtime_r(&now, &parts);
        for (int day = 0; day < 2; day++) {
            struct tm made = parts;
            made.tm_mday += day;
            made.tm_hour = clock.tm_hour;
            made.tm_min = clock.tm_min;
            made.tm_sec = clock.tm_sec;
            made.tm_isdst = -1;
            *ret_time = mktime(&made);
            if (*ret_time > now)
                break;
        }
        return true;
    }
    return s_parse_date(text, ret_time);
}
