#include "apps/ixnd/admin/guard.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { HOST_MAX = 300 };

static verdict_t s_refuse(unsigned status, const char *code, const char *sentence)
{
    verdict_t verdict = {.status = status, .code = code};
    snprintf(verdict.sentence, sizeof verdict.sentence, "%s", sentence);
    return verdict;
}

/* The host of "HOST:PORT", "[ADDRESS]:PORT" or "HOST". */
static void s_host(const char *text, char host[HOST_MAX])
{
    size_t len = text[0] == '[' ? strcspn(text, "]") : strcspn(text, ":");
    if (text[0] == '[') {
        text++;
        len--;
    }
    len = len < HOST_MAX ? len : HOST_MAX - 1;
    memcpy(host, text, len);
    host[len] = '\0';
}

static bool s_is_address(const char *host)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* A name that only its own resolver knows could lead any page here. */
static bool s_is_own_host(const guard_t *self, const char *named)
{
    char host[HOST_MAX];
    if (!named)
        return true; /* no browser */
    s_host(named, host);
    return s_is_address(host) || strcasecmp(host, "localhost") == 0 ||
           strcasecmp(host, self->own_host) == 0;
}

/* "scheme://HOST[:PORT]" without the scheme. */
static const char *s_without_scheme(const char *origin)
{
    const char *at = strstr(origin, "://");
    return at ? at + 3 : "";
}

static bool s_is_own_origin(const guard_t *self, const guard_request_t *request)
{
    const char *authority = s_without_scheme(request->origin);
    return *authority && (strcasecmp(request->origin, self->own_url) == 0 ||
                          (request->host && strcasecmp(authority, request->host) == 0));
}

static bool s_is_json(const char *type)
{
    static const char json[] = "application/json";
    const size_t len = sizeof json - 1;
    return type && strncasecmp(type, json, len) == 0 && strchr("; \t", type[len]);
}

static bool s_bearer(const char *authorization, text_t *ret_token)
{
    static const char scheme[] = "Bearer ";
    const size_t len = sizeof scheme - 1;
    if (!authorization || strncasecmp(authorization, scheme, len) != 0)
        return false;
    *ret_token = text_of(authorization + len + strspn(authorization + len, " "));
    return true;
}

/* Who asks; the verdict is complete when it is a refusal. */
static verdict_t s_identify(const guard_t *self, const guard_request_t *request)
{
    verdict_t verdict = {.allowed = true};
    text_t token;
    if (!self->tokens) {
        verdict.who = (token_owner_t){RIGHT_ADMINISTRATOR, "local"};
        return verdict;
    }
    if (!s_bearer(request->authorization, &token))
        return s_refuse(401, "NO_TOKEN", "send a token of admin.tokens: Authorization: Bearer …");
    if (!tokens_find(self->tokens, token, &verdict.who))
        return s_refuse(401, "UNKNOWN_TOKEN", "this token is not in admin.tokens");
    return verdict;
}

/* A change that a page from elsewhere might have made a browser send. */
static const char *s_foreign(const guard_request_t *request, bool own_origin, bool from_peer)
{
    const bool known = own_origin || from_peer;
    if (request->origin && !known)
        return "a page from elsewhere asks for a change";
    if (!request->origin && request->fetch_site && strcasecmp(request->fetch_site, "none") != 0 &&
        strcasecmp(request->fetch_site, "same-origin") != 0)
        return "a page from elsewhere asks for a change, and does not say from where";
    return NULL;
}

verdict_t guard_judge(const guard_t *self, const guard_request_t *request, right_t needed)
{
    if (needed == RIGHT_NONE)
        return (verdict_t){.allowed = true};
    if (!self->tokens && !s_is_own_host(self, request->host))
        return s_refuse(421, "WRONG_HOST",
                        "this port is for this machine alone, by an address or as localhost; it "
                        "was called by another name");
    const bool own_origin = request->origin && s_is_own_origin(self, request);
    const bool from_peer =
        request->origin && self->peer_url[0] && strcasecmp(request->origin, self->peer_url) == 0;
    if (request->changes) {
        const char *foreign = s_foreign(request, own_origin, from_peer);
        if (foreign)
            return s_refuse(403, "FOREIGN_PAGE", foreign);
        if (!s_is_json(request->content_type))
            return s_refuse(415, "NOT_JSON", "a change is sent as Content-Type: application/json");
    }
    verdict_t verdict = s_identify(self, request);
    verdict.from_peer = from_peer;
    if (!verdict.allowed || verdict.who.role >= needed)
        return verdict;
    const token_owner_t who = verdict.who;
    verdict = s_refuse(403, "NOT_ALLOWED", "");
    verdict.from_peer = from_peer;
    snprintf(verdict.sentence, sizeof verdict.sentence, "\"%s\" is %s; this needs the role %s",
             who.name, right_name(who.role), right_name(needed));
    return verdict;
}
