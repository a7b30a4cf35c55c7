/* From the operator's configuration to the part that is state: what the engine depends on. */
#ifndef IXN_CORE_CONFIGURATION_H
#define IXN_CORE_CONFIGURATION_H

#include "config/config.h"
#include "core/wire/entry.pb-c.h"

/* The result owns its structures but points into `config` for names: keep that as long. */
Ixn__V1__EngineConfiguration *configuration_of(const config_t *config);
void configuration_destroy(Ixn__V1__EngineConfiguration **self_p);

#endif
