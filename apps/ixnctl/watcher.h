/* Watcher: a gather in a thread of its own, so that whoever waits for a picture can do other
 * things: the keyboard is heard at once, also while a node does not answer.
 */
#ifndef IXNCTL_WATCHER_H
#define IXNCTL_WATCHER_H

#include "apps/ixnctl/common.h"
#include "apps/ixnctl/parts/picture.h"

typedef struct watcher watcher_t;

watcher_t *watcher_new(common_t *common, error_t *ret_error);
void watcher_destroy(watcher_t **self_p); /* waits for a picture that is being made */

/* Begins a picture, unless one is being made. The one before must not be used any more. */
void watcher_ask(watcher_t *self);
bool watcher_is_busy(const watcher_t *self);
/* Waits for the picture, or until `keyboard` (-1: none) has something, at most `timeout_ms` (-1:
 * for ever) or until a signal comes. True: a picture has been made since. */
bool watcher_wait(watcher_t *self, int keyboard, long timeout_ms);
/* The picture that was made, with its rates, and why no node has answered ("": one has). NULL: it
 * is being made, or none was yet. Valid until watcher_ask. */
const picture_t *watcher_picture(const watcher_t *self, const char **ret_trouble);

#endif
