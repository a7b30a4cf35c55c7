/* From the operator's configuration to the part that is state: what the engine depends on. */
#ifndef IXN_CORE_CONFIGURATION_H
#define IXN_CORE_CONFIGURATION_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "core/wire/entry.pb-c.h"

/* The result owns its structures but points into `config` for names: keep that as long. */
Ixn__V1__EngineConfiguration *configuration_of(const config_t *config);
void configuration_destroy(Ixn__V1__EngineConfiguration **self_p);

/* Writes the first difference between two configurations as a sentence with both values, for
 * instance "routing_timeout_ms is 60000, in force is 720000" (`other` is in force). Returns false
 * and an empty text when they are equal. Names are those of core/wire/entry.proto. */
bool configuration_difference(const Ixn__V1__EngineConfiguration *self,
                              const Ixn__V1__EngineConfiguration *other, char *text, size_t size);

#endif
