/* Who may use the admin port: tokens, and where a browser's request comes from. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/ixnd/admin/guard.h"

#define VIEWER "vvvvvvvvvvvvvvvvvvvvvvvv"
#define CHIEF "cccccccccccccccccccccccc"

static char s_path[200];

static void s_write(const char *text, mode_t mode)
{
    if (!s_path[0]) {
        snprintf(s_path, sizeof s_path, "/tmp/ixn-tokens-XXXXXX");
        close(mkstemp(s_path));
    }
    FILE *file = fopen(s_path, "we");
    fputs(text, file);
    fclose(file);
    chmod(s_path, mode);
}

static void s_remove(void)
{
    unlink(s_path);
}

static tokens_t *s_tokens(void)
{
    error_t error;
    s_write("# who\n\nviewer wall " VIEWER "\r\nadministrator chief " CHIEF "\n", 0600);
    tokens_t *tokens = tokens_new(s_path, &error);
    cr_assert(tokens, "%s", error.text);
    return tokens;
}

static void s_expect_refused(const char *text, mode_t mode, const char *words)
{
    error_t error = {0};
    s_write(text, mode);
    cr_expect_null(tokens_new(s_path, &error));
    cr_expect(strstr(error.text, words), "\"%s\" has no \"%s\"", error.text, words);
    cr_expect_null(strstr(error.text, VIEWER), "a token is in an error");
}

Test(admin_tokens, refuses_what_is_wrong, .fini = s_remove)
{
    s_expect_refused("viewer wall " VIEWER "\n", 0640, "chmod 600");
    s_expect_refused("viewer wall " VIEWER "\n", 0604, "mode 0604");
    s_expect_refused("reader wall " VIEWER "\n", 0600, ":1: the first word");
    s_expect_refused("\nviewer " VIEWER "\n", 0600, ":2:");
    s_expect_refused("viewer wall short\n", 0600, "5 characters");
    s_expect_refused("viewer wall " VIEWER " more\n", 0600, "three words");
    s_expect_refused("# none\n", 0600, "has no token");
    error_t error = {0};
    cr_expect_null(tokens_new("/nowhere/tokens", &error));
    cr_expect_eq(error.code, ERROR_SYSTEM);
}

Test(admin_tokens, finds_the_owner_only_by_the_whole_token, .fini = s_remove)
{
    tokens_t *tokens = s_tokens();
    token_owner_t owner = {0};
    cr_assert(tokens_find(tokens, TEXT(CHIEF), &owner));
    cr_expect_eq(owner.role, RIGHT_ADMINISTRATOR);
    cr_expect_str_eq(owner.name, "chief");
    cr_expect_not(tokens_find(tokens, TEXT(CHIEF "c"), &owner));
    cr_expect_not(tokens_find(tokens, (text_t){CHIEF, sizeof CHIEF - 2}, &owner));
    cr_expect_not(tokens_find(tokens, TEXT(""), &owner));
    tokens_destroy(&tokens);
}

Test(admin_tokens, a_broken_file_leaves_what_was_known, .fini = s_remove)
{
    tokens_t *tokens = s_tokens();
    token_owner_t owner;
    error_t error = {0};
    s_write("viewer\n", 0600);
    cr_expect_not(tokens_refresh(tokens, &error));
    cr_expect(tokens_find(tokens, TEXT(VIEWER), &owner));
    cr_expect(tokens_refresh(tokens, &error), "it is said once");
    s_write("operator desk " VIEWER "\n", 0600);
    cr_expect(tokens_refresh(tokens, &error), "%s", error.text);
    cr_assert(tokens_find(tokens, TEXT(VIEWER), &owner));
    cr_expect_eq(owner.role, RIGHT_OPERATOR);
    cr_expect_not(tokens_find(tokens, TEXT(CHIEF), &owner));
    tokens_destroy(&tokens);
}

/* ---- The guard ---- */

static guard_t s_guard(const tokens_t *tokens)
{
    return (guard_t){tokens, "127.0.0.1", "http://127.0.0.1:7430", "http://192.0.2.2:7430"};
}

static guard_request_t s_change(void)
{
    return (guard_request_t){
        .host = "127.0.0.1:7430", .content_type = "application/json", .changes = true};
}

static void s_expect_status(const tokens_t *tokens, const guard_request_t *request, right_t needed,
                            unsigned status)
{
    const guard_t guard = s_guard(tokens);
    verdict_t verdict = guard_judge(&guard, request, needed);
    cr_expect_eq(verdict.allowed, status == 0, "%s", verdict.sentence);
    cr_expect_eq(verdict.status, status, "%u: %s", verdict.status, verdict.sentence);
}

Test(admin_guard, without_tokens_only_this_machine_by_its_own_names)
{
    static const char *const good[] = {"127.0.0.1:7430", "localhost:7430", "[::1]:7430",
                                       "localhost", "10.0.0.1"};
    static const char *const bad[] = {"elsewhere.example:7430", "127.0.0.1.example", "",
                                      "localhost.x"};
    guard_request_t request = {0};
    s_expect_status(NULL, &request, RIGHT_VIEWER, 0);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        request.host = good[i];
        s_expect_status(NULL, &request, RIGHT_ADMINISTRATOR, 0);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        request.host = bad[i];
        s_expect_status(NULL, &request, RIGHT_VIEWER, 421);
        s_expect_status(NULL, &request, RIGHT_NONE, 0);
    }
}

Test(admin_guard, pages_from_elsewhere_change_nothing)
{
    static const char *const foreign[] = {"http://elsewhere.example",      "null",
                                          "http://127.0.0.1:7431",         "http://127.0.0.1",
                                          "http://192.0.2.2:7430.example", ""};
    guard_request_t request = s_change();
    s_expect_status(NULL, &request, RIGHT_OPERATOR, 0);
    request.origin = "http://127.0.0.1:7430";
    s_expect_status(NULL, &request, RIGHT_OPERATOR, 0);
    request.origin = "http://192.0.2.2:7430"; /* the other node's page */
    s_expect_status(NULL, &request, RIGHT_OPERATOR, 0);
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        request.origin = foreign[i];
        s_expect_status(NULL, &request, RIGHT_OPERATOR, 403);
    }
    request = s_change();
    request.fetch_site = "same-site";
    s_expect_status(NULL, &request, RIGHT_OPERATOR, 403);
    request.fetch_site = "same-origin";
    s_expect_status(NULL, &request, RIGHT_OPERATOR, 0);
}

Test(admin_guard, what_a_form_can_send_is_no_change)
{
    static const char *const bad[] = {NULL, "text/plain", "application/x-www-form-urlencoded",
                                      "application/jsonp", "multipart/form-data"};
    guard_request_t request = s_change();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        request.content_type = bad[i];
        s_expect_status(NULL, &request, RIGHT_OPERATOR, 415);
    }
    request.content_type = "application/json; charset=utf-8";
    s_expect_status(NULL, &request, RIGHT_OPERATOR, 0);
}

Test(admin_guard, a_token_has_its_role_and_no_more, .fini = s_remove)
{
    tokens_t *tokens = s_tokens();
    guard_request_t request = s_change();
    s_expect_status(tokens, &request, RIGHT_VIEWER, 401);
    request.authorization = "Basic dmlld2Vy";
    s_expect_status(tokens, &request, RIGHT_VIEWER, 401);
    request.authorization = "Bearer " VIEWER;
    s_expect_status(tokens, &request, RIGHT_VIEWER, 0);
    s_expect_status(tokens, &request, RIGHT_OPERATOR, 403);
    s_expect_status(tokens, &request, RIGHT_ADMINISTRATOR, 403);
    request.authorization = "bearer  " CHIEF;
    s_expect_status(tokens, &request, RIGHT_ADMINISTRATOR, 0);
    request.origin = "http://elsewhere.example";
    s_expect_status(tokens, &request, RIGHT_ADMINISTRATOR, 403);
    tokens_destroy(&tokens);
}
