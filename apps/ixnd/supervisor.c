#include "apps/ixnd/supervisor.h"

#include <inttypes.h>
#include <systemd/sd-daemon.h>

/* Of the unit's WatchdogSec: two signs may be lost or late. */
enum { SIGNS_A_TIMEOUT = 3 };

void supervisor_init(supervisor_t *self)
{
    uint64_t timeout = 0;
    *self = (supervisor_t){0};
    if (sd_watchdog_enabled(0, &timeout) > 0)
        self->every = (usec_t)(timeout / SIGNS_A_TIMEOUT);
}

void supervisor_ready(void)
{
    sd_notify(0, "READY=1");
}

void supervisor_reloading(void)
{
    sd_notify(0, "RELOADING=1");
}

void supervisor_stopping(void)
{
    sd_notify(0, "STOPPING=1");
}

static void s_tell_role(supervisor_t *self, const pair_t *pair)
{
    role_t role = pair_role(pair);
    uint64_t epoch = pair_epoch(pair);
    if (self->told && self->role == role && self->epoch == epoch)
        return;
    self->told = true;
    self->role = role;
    self->epoch = epoch;
    sd_notifyf(0, "STATUS=%s, epoch %" PRIu64, role_name(role), epoch);
}

void supervisor_turn(supervisor_t *self, const pair_t *pair, usec_t now)
{
    s_tell_role(self, pair);
    if (!self->every || now < self->next)
        return;
    self->next = now + self->every;
    sd_notify(0, "WATCHDOG=1");
}

usec_t supervisor_next(const supervisor_t *self)
{
    return self->every ? self->next : USEC_NEVER;
}
