#include "apps/ixnd/descriptors.h"

#include <sys/resource.h>

#include "core/base/log.h"

enum { OTHERS = 200 }; /* the database, the other node, the admin port, the library's own */

void descriptors_raise(uint32_t clients)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit); /* what came of it */
    }
    if (limit.rlim_cur >= clients + OTHERS)
        return;
    log_warning("node.few_files",
                "allowed=%llu wanted=%u reason=\"limits.max_clients is %u: beyond what is allowed "
                "clients cannot connect; raise the hard limit (LimitNOFILE, ulimit -Hn), or lower "
                "limits.max_clients\"",
                (unsigned long long)limit.rlim_cur, clients + OTHERS, clients);
}
