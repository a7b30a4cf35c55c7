#include "ha/intake.h"

bool intake_may(intake_t *self, usec_t now)
{
    if (self->frames == 0)
        self->until = now + INTAKE_US;
    else if (self->frames == INTAKE_FRAMES || now >= self->until)
        return false;
    self->frames++;
    return true;
}
