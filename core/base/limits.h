/* Every limit of the house, in one place, with the relations that must hold between them. Limits
 * that an operator may change are in config/schema.h; these are what the formats allow.
 */
#ifndef IXN_BASE_LIMITS_H
#define IXN_BASE_LIMITS_H

#include <stdint.h>

/* Names: tenants, queues, strategies, routers, clients, media types… in bytes of UTF-8. */
#define LIMIT_NAME 64
/* A client-made key of a change. */
#define LIMIT_KEY 64
/* External ids, reasons. */
#define LIMIT_TEXT 255
/* Attributes of one interaction, as JSON text; the configuration may only lower it. */
#define LIMIT_ATTRIBUTES (1024 * 1024)
/* The same as the database gives them back: numbers without exponents, a space behind each comma
 * and colon. And the digits of one number, written like that. */
#define LIMIT_ATTRIBUTES_STORED (LIMIT_ATTRIBUTES * 2)
#define LIMIT_NUMBER 1000
/* The latest calendar time that is accepted, in microseconds: the end of the year 9999. */
#define LIMIT_TIME INT64_C(253402300799999999)
/* The longest duration in the engine's configuration, in milliseconds: a hundred years, so that
 * microseconds of log time never overflow. */
#define LIMIT_DURATION_MS UINT64_C(3155760000000)
/* Nesting of attributes. PostgreSQL's own parser gives up at thousands; nobody needs more. */
#define LIMIT_ATTRIBUTES_DEPTH 64
/* Requests in one packet from a client, messages in one packet to it. */
#define LIMIT_PACKET_REQUESTS 1000
/* Tokens that one Register may report. */
#define LIMIT_TOKENS 100000
/* Names that one change of attributes may remove. */
#define LIMIT_REMOVED_NAMES 256
/* A packet from a client, in bytes: room for one interaction at its limit and its envelope. */
#define LIMIT_PACKET (4 * 1024 * 1024)
/* One batch of entries, in bytes, and how many entries. A turn of the loop stops taking requests
 * when it has reached a quarter of it, so that one more packet always fits. */
#define LIMIT_BATCH (32 * 1024 * 1024)
#define LIMIT_BATCH_ENTRIES 100000
/* The newest committed batches that a node keeps in memory, in case the database loses them: bytes,
 * and how many. A beat every 40 ms fills the number in 43 minutes. */
#define LIMIT_RECENT (64 * 1024 * 1024)
#define LIMIT_RECENT_BATCHES 65536
/* Steps in the journey of one interaction. The first is kept, then the newest. */
#define LIMIT_JOURNEY 32
/* Names that the state can hold of one kind (they have 16-bit numbers). */
#define LIMIT_SYMBOLS 65000
/* Interactions in memory (they have 32-bit handles). */
#define LIMIT_INTERACTIONS 100000000
/* What one connection of a client may leave unread: bytes, a few times what one turn may tell it;
 * and frames. */
#define LIMIT_UNREAD (256 * 1024 * 1024)
#define LIMIT_UNREAD_FRAMES 10000
/* What all connections of clients together may leave unread, in bytes. */
#define LIMIT_UNREAD_ALL (1024 * 1024 * 1024)
/* Sessions of clients on one node. */
#define LIMIT_SESSIONS 100000
/* The body of one version of a stored strategy, in bytes; how many versions of one strategy are
 * kept (beside those that are activated), how many strategies are stored, and the bytes of all
 * bodies. */
#define LIMIT_STRATEGY (1024 * 1024)
#define LIMIT_STRATEGY_VERSIONS 10
#define LIMIT_STRATEGIES 10000
#define LIMIT_STRATEGY_BYTES (256 * 1024 * 1024)
/* Routers that one order names; routers that one strategy is activated on. */
#define LIMIT_ACTIVATIONS 1000
/* Routers that are drained. */
#define LIMIT_DRAINS 10000
/* Agents that are declared; how long one may be reserved at once, in milliseconds. */
#define LIMIT_AGENTS 100000
#define LIMIT_RESERVATION_MS 86400000
/* A rate: how many in one interval. */
#define LIMIT_RATE 10000
/* What a service is asked with and what it answers, as JSON text. */
#define LIMIT_SERVICE_TEXT (64 * 1024)
/* Requests to application servers that one interaction may have open at once; and so many of its
 * answered ones are kept, so that a router that has not heard of one can be told again: of answers
 * that are told in order, no more can be unheard than were open. */
#define LIMIT_SERVICES_OPEN 8
/* Services that one application server may name, members of a cluster, and what one window may be.
 */
#define LIMIT_SERVICES 64
#define LIMIT_CLUSTER 64
#define LIMIT_SERVICE_WINDOW 10000
/* The longest time that a service may take: a day. */
#define LIMIT_SERVICE_TIMEOUT_MS (24 * 60 * 60 * 1000)
/* Priorities. */
#define LIMIT_PRIORITY 1000000

_Static_assert(LIMIT_ATTRIBUTES_STORED + 65536 < LIMIT_PACKET,
               "a packet holds an interaction and a change of it");
_Static_assert(LIMIT_PACKET * 2 < LIMIT_BATCH / 2, "a batch holds the largest packets of a turn");
_Static_assert(LIMIT_RECENT >= 2 * LIMIT_BATCH, "the largest batch does not drop all before it");
_Static_assert(LIMIT_STRATEGY + 65536 < LIMIT_PACKET, "a packet holds a strategy");
_Static_assert(LIMIT_UNREAD_ALL >= 4 * LIMIT_UNREAD, "one that does not read hurts no other");
_Static_assert(LIMIT_SYMBOLS < UINT16_MAX, "symbols have 16 bits");
_Static_assert(LIMIT_INTERACTIONS < UINT32_MAX, "handles have 32 bits");

#endif
