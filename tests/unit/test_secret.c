/* Secrets: connection strings as they may be shown. */
#include <criterion/criterion.h>

#include "config/secret.h"

static const struct {
    const char *conninfo;
    const char *hidden;
} s_conninfos[] = {
    {"", ""},
    {"host=h user=u", "host=h user=u"},
    {" host = h  ", " host = h  "},
    {"password=x", "password=********"},
    {"password=", "password="},
    {"PassWord=x", "PassWord=********"},
    {"password =  x y=z", "password =  ******** y=z"},
    {"password='x y'host=h", "password='********'host=h"},
    {"password='it\\'s' host=h", "password='********' host=h"},
    {"password=a\\ b host=h", "password=******** host=h"},
    {"password='open", "password='********'"},
    {"host='password=x' port=1", "host='password=x' port=1"},
    {"sslpassword=x passfile=/p", "sslpassword=******** passfile=/p"},
    {"host=h password", "host=h ********"},
    {"host=h secret stuff", "host=h ********"},
    {"host=h =x", "host=h ********"},
    {"Postgresql://u:x@h", "********"},
    {"postgresql://", "postgresql://"},
    {"postgres://u:x@h", "postgres://u:********@h"},
    {"postgresql://u:@h", "postgresql://u:@h"},
    {"postgresql://u@h:1,i:2/d", "postgresql://u@h:1,i:2/d"},
    {"postgresql://[::1]:1/d?user=a@b", "postgresql://[::1]:1/d?user=a@b"},
    {"postgresql://u:x@y@h/d", "postgresql://u:********@h/d"},
    {"postgresql://u:x/y@h/d", "postgresql://u:********@h/d"},
    {"postgresql://u:x?y@h/d", "postgresql://u:********@h/d"},
    {"postgresql://u:x?y/z@h", "postgresql://u:********"},
    {"postgresql://u:x/y", "postgresql://u:********"},
    {"postgresql://u@h:x:y@z/d", "postgresql://u@h:********@z/d"},
    {"postgresql://[::1/d?x]", "postgresql://[:********"},
    {"postgresql://h?password=a/b&user=c@d", "postgresql://h/?password=********&user=c@d"},
    {"postgresql://h?options=a/b&user=c@d", "postgresql://h?options=a/b&user=c@d"},
    {"postgresql://h/d?password=x&a=b", "postgresql://h/d?password=********&a=b"},
    {"postgresql://h/d?pass%77ord=x", "postgresql://h/d?pass%77ord=********"},
    {"postgresql://h/d?pass%7ord=x", "postgresql://h/d?pass%7ord=********"},
    {"postgresql://h?password=x&y", "postgresql://h?password=********&********"},
    {"postgresql:///d?host=/run&&password=x", "postgresql:///d?host=/run&&password=********"},
};

Test(secret, hides_passwords_and_nothing_else)
{
    for (size_t i = 0; i < sizeof s_conninfos / sizeof s_conninfos[0]; i++) {
        buffer_t once = {0};
        buffer_t twice = {0};
        secret_hide(text_of(s_conninfos[i].conninfo), &once);
        secret_hide((text_t){(const char *)once.bytes, once.len}, &twice);
        text_t hidden = text_of(s_conninfos[i].hidden);
        cr_expect(text_equal((text_t){(const char *)once.bytes, once.len}, hidden), "%s: %.*s",
                  s_conninfos[i].conninfo, (int)once.len, (const char *)once.bytes);
        cr_expect(text_equal((text_t){(const char *)twice.bytes, twice.len}, hidden), "%s: %.*s",
                  s_conninfos[i].conninfo, (int)twice.len, (const char *)twice.bytes);
        buffer_free(&once);
        buffer_free(&twice);
    }
}
