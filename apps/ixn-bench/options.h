/* Options: what ixn-bench was asked to do, from its command line. */
#ifndef IXN_BENCH_OPTIONS_H
#define IXN_BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTIONS_NODES 8

typedef struct {
    const char *nodes[OPTIONS_NODES];
    size_t nodes_len;
    const char *tenant;
    const char *queue;
    const char *media_type;
    const char *strategy;
    uint32_t submitters;
    uint32_t submit_threads;
    uint32_t window;  /* submits in flight for each submitter */
    uint32_t payload; /* bytes of attributes */
    uint32_t routers;
    uint32_t router_threads;
    uint32_t router_window; /* 0: the node's limit */
    uint64_t count;         /* 0: until `seconds` have passed */
    uint64_t rate;          /* submits a second of all together; 0: as fast as answers come */
    double seconds;
    double warmup_seconds;
    double drain_seconds;
    uint32_t gap_ms; /* times without an acknowledgement that are at least so long are counted */
    const char *log_path; /* NULL: no record */
} options_t;

/* Reads the command line; on a mistake says what is wrong and ends the program with code 2. The
 * texts point into argv. */
void options_parse(int argc, char **argv, options_t *ret_options);

#endif
