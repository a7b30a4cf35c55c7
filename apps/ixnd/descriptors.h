/* Descriptors: how many files and sockets the process may have open. Each client is one. Where
 * there are no more, libzmq lets nobody in and tells nobody; so this is said at the start.
 */
#ifndef IXN_APPS_IXND_DESCRIPTORS_H
#define IXN_APPS_IXND_DESCRIPTORS_H

#include "core/base/types.h"

/* Takes all that the process may have; a warning where that is too little for so many clients. */
void descriptors_raise(uint32_t clients);

#endif
