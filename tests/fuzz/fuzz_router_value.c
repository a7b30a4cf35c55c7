/* Whatever attributes a node accepts, a strategy can read and set again, and they come out equal.
 * Of what a node refuses, nothing but an error comes. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ixn-router/parts/run.h"
#include "core/attributes.h"
#include "core/base/check.h"
#include "core/wire/wire.h"

static const char s_copy[] =
    "local copy = {}\n"
    "for name, value in pairs(interaction.attributes) do\n"
    "    copy[name] = value\n"
    "end\n"
    "interaction:set{copy = copy}\n"
    "stop('copied')\n";

static work_t *s_work(const uint8_t *bytes, size_t len)
{
    uint8_t id[16] = {1};
    Ixn__V1__Interaction interaction = IXN__V1__INTERACTION__INIT;
    Ixn__V1__Token token = IXN__V1__TOKEN__INIT;
    Ixn__V1__Route route = IXN__V1__ROUTE__INIT;
    interaction.interaction_id = (ProtobufCBinaryData){sizeof id, id};
    interaction.attributes = (ProtobufCBinaryData){len, (uint8_t *)(uintptr_t)bytes};
    route.token = &token;
    route.strategy = "copy";
    route.interaction = &interaction;
    return work_new(&route);
}

static void s_compare(const run_t *run, const uint8_t *bytes, size_t len)
{
    char *set = NULL;
    size_t set_len = 0;
    CHECK(run_changes_text(run, &set, &set_len));
    json_t *original = len > 0 ? json_loadb((const char *)bytes, len, 0, NULL) : json_object();
    json_t *changes = json_loadb(set, set_len, 0, NULL);
    CHECK(original && changes && json_equal(original, json_object_get(changes, "copy")));
    json_decref(original);
    json_decref(changes);
    free(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static vm_t *vm;
    static int code;
    if (!vm) {
        vm_options_t options = {.memory_limit = (size_t)64 << 20, .instructions = 100000};
        vm = vm_new(&options, NULL);
        CHECK(vm && vm_load(vm, "copy.lua", TEXT(s_copy), &code, NULL));
    }
    text_t text = {(const char *)bytes, len};
    bool accepted = attributes_check(text, LIMIT_ATTRIBUTES, NULL);
    run_t *run = run_new(vm, s_work(bytes, len));
    run_start(run, code);
    if (run->outcome == RUN_STOPPED && accepted)
        s_compare(run, bytes, len);
    else if (accepted) /* one level more than the original has may be one too many */
        CHECK(strstr(run->reason, "nested deeper"));
    run_destroy(&run);
    return 0;
}
