/* Feed: see feed.h. */
#include "dap/feed.h"

const char feed_sql[] =
    "SELECT (SELECT min(first_index) FROM ixn.journal), (SELECT max(last_index) FROM ixn.journal),"
    " j.first_index, j.epoch, j.decided_at, j.entries"
    " FROM ixn.pair LEFT JOIN LATERAL (SELECT k.*, sum(octet_length(k.entries)) OVER (ORDER BY"
    " k.last_index) AS total FROM (SELECT * FROM ixn.journal WHERE last_index >= $2::text::bigint"
    " ORDER BY last_index LIMIT 200) AS k) AS j"
    " ON j.total <= 1048576 OR j.total = octet_length(j.entries)"
    " WHERE database_id = $1::text::uuid ORDER BY j.last_index";
