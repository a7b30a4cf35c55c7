/* Nearest: the restricted Damerau-Levenshtein distance ("optimal string alignment"), by rows. */
#include "config/nearest.h"

#include "core/base/limits.h"

static size_t s_least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t nearest_distance(text_t a, text_t b)
{
    if (a.len > LIMIT_NAME || b.len > LIMIT_NAME)
        return SIZE_MAX;
    size_t rows[3][LIMIT_NAME + 1];
    size_t *before = rows[0];
    size_t *last = rows[1];
    size_t *now = rows[2];
    for (size_t j = 0; j <= b.len; j++)
        last[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            bool same = a.data[i - 1] == b.data[j - 1];
            now[j] = s_least(s_least(last[j], now[j - 1]) + 1, last[j - 1] + !same);
            bool swapped =
                i > 1 && j > 1 && a.data[i - 1] == b.data[j - 2] && a.data[i - 2] == b.data[j - 1];
            if (swapped)
                now[j] = s_least(now[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = last;
        last = now;
        now = oldest;
    }
    return last[b.len];
}

bool nearest_is_near(text_t known, size_t distance)
{
    size_t allowed = known.len < 6 ? 1 : known.len / 3;
    return distance <= allowed && distance < known.len;
}
