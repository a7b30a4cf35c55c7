/* An address of loopback that only this process uses: a test that runs beside it cannot take the
 * port of a node that was stopped, nor is its own node's port one that others get from the kernel.
 */
#ifndef IXN_TESTS_UNIT_OWN_ADDRESS_H
#define IXN_TESTS_UNIT_OWN_ADDRESS_H

#include <stdio.h>
#include <unistd.h>

#define OWN_ADDRESS_SIZE 40

/* The endpoint by which ZeroMQ binds any free port there. */
static inline const char *own_address(char ret_endpoint[OWN_ADDRESS_SIZE])
{
    unsigned own = (unsigned)getpid() & 0x3fffff; /* more processes no Linux has */
    snprintf(ret_endpoint, OWN_ADDRESS_SIZE, "tcp://127.%u.%u.%u:*", 64 + (own >> 16),
             own >> 8 & 0xff, own & 0xff);
    return ret_endpoint;
}

#endif
