/* The table of roles: every cell is written, the picture above the table is the table, and the
 * promises that the other files build on hold in it.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "ha/role.h"

Test(role, every_cell_is_written_with_its_sentence)
{
    for (role_t role = 0; role < ROLES_LEN; role++)
        for (role_event_t event = 0; event < ROLE_EVENTS_LEN; event++) {
            const role_cell_t *cell = role_cell(role, event);
            cr_assert(cell->sentence && cell->sentence[0], "%s, %s", role_name(role),
                      role_event_name(event));
            cr_assert(cell->answer != ROLE_MOVE || cell->next != role, "%s moves to itself by %s",
                      role_name(role), role_event_name(event));
        }
}

/* Lines " *   FROM -- EVENT --> TO" of the source. */
static size_t s_pictured(char lines[][120], size_t most)
{
    FILE *file = fopen(IXN_SOURCE "/ha/role.c", "r");
    cr_assert(file);
    char line[200];
    size_t len = 0;
    while (fgets(line, sizeof line, file)) {
        char from[40], event[40], to[40];
        if (sscanf(line, " * %39[a-z-] -- %39[a-z ] --> %39[a-z-]", from, event, to) != 3)
            continue;
        for (size_t end = strlen(event); end > 0 && event[end - 1] == ' ';)
            event[--end] = '\0';
        cr_assert(len < most);
        snprintf(lines[len++], 120, "%s, %s: %s", from, event, to);
    }
    fclose(file);
    return len;
}

Test(role, the_picture_is_the_table)
{
    static char lines[ROLES_LEN * ROLE_EVENTS_LEN][120];
    size_t pictured = s_pictured(lines, ROLES_LEN * ROLE_EVENTS_LEN);
    size_t moves = 0;
    for (role_t role = 0; role < ROLES_LEN; role++)
        for (role_event_t event = 0; event < ROLE_EVENTS_LEN; event++) {
            const role_cell_t *cell = role_cell(role, event);
            if (cell->answer != ROLE_MOVE)
                continue;
            char wanted[120];
            snprintf(wanted, sizeof wanted, "%s, %s: %s", role_name(role), role_event_name(event),
                     role_name(cell->next));
            size_t at = 0;
            while (at < pictured && strcmp(lines[at], wanted) != 0)
                at++;
            cr_assert(at < pictured, "not in the picture: %s", wanted);
            moves++;
        }
    cr_assert_eq(moves, pictured, "the picture has %zu moves, the table %zu", pictured, moves);
}

Test(role, only_a_claim_leads_to_serving)
{
    for (role_t role = 0; role < ROLES_LEN; role++)
        for (role_event_t event = 0; event < ROLE_EVENTS_LEN; event++) {
            const role_cell_t *cell = role_cell(role, event);
            if (cell->answer != ROLE_MOVE || !role_serves(cell->next))
                continue;
            bool had_the_epoch = role_serves(role) || role == ROLE_HANDING_OVER;
            cr_assert(had_the_epoch || event == ROLE_EVENT_CLAIMED, "%s serves by %s",
                      role_name(role), role_event_name(event));
        }
}

Test(role, whoever_serves_stops_for_a_higher_epoch)
{
    for (role_t role = 0; role < ROLES_LEN; role++) {
        if (!role_serves(role) && role != ROLE_HANDING_OVER)
            continue;
        const role_event_t events[] = {ROLE_EVENT_HIGHER_EPOCH, ROLE_EVENT_LANE_FENCED};
        for (size_t i = 0; i < 2; i++) {
            const role_cell_t *cell = role_cell(role, events[i]);
            cr_assert_eq(cell->answer, ROLE_MOVE);
            cr_assert(!role_serves(cell->next));
        }
    }
}

Test(role, stopped_is_for_ever)
{
    for (role_event_t event = 0; event < ROLE_EVENTS_LEN; event++)
        cr_assert_neq(role_cell(ROLE_STOPPED, event)->answer, ROLE_MOVE);
}
