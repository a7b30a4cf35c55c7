/* Feed: the statement that reads the log from an index on, for those who watch: the admin port's
 * stream of events, and ixnctl events. It names the database by its id within itself, so a DAP that
 * leads elsewhere gives no row.
 */
#ifndef IXN_DAP_FEED_H
#define IXN_DAP_FEED_H

/* $1: the database's id, $2: the first index that is wanted, both as text. At most 200 rows and
 * about a megabyte of entries, but at least one row where the database is the right one. */
extern const char feed_sql[];

/* Its columns. Where nothing is at $2 or later, there is one row with null in FEED_FIRST and after.
 */
enum {
    FEED_OLDEST,  /* bigint: the first index that the journal still has; null: it is empty */
    FEED_HEAD,    /* bigint: the last */
    FEED_FIRST,   /* bigint: index of the first entry of this row */
    FEED_EPOCH,   /* bigint */
    FEED_AT,      /* timestamptz: when it was decided */
    FEED_ENTRIES, /* bytea: an encoded ixn.v1.Batch */
};

#endif
