/* Manual: see manual.h. */
#include "apps/manual/manual.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_DESCRIBE = 0xde5c };

/* ---- roff ---- */

/* One line or a piece of it. What begins a line must not look like a request. */
static void s_print_piece(FILE *out, const char *text, size_t len, bool begins)
{
    if (begins && len > 0 && (text[0] == '.' || text[0] == '\''))
        fputs("\\&", out);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\\')
            fputs("\\e", out);
        else if (text[i] == '-')
            fputs("\\-", out);
        else if (text[i] == '~')
            fputs("\\(ti", out);
        else if (text[i] == '`')
            fputs("\\(ga", out);
        else if (text[i] == '\'')
            fputs("\\(aq", out);
        else if (text[i] == '^')
            fputs("\\(ha", out);
        else
            fputc(text[i], out);
    }
}

void manual_print_text(FILE *out, const char *text)
{
    bool stands = false; /* inside lines that stand as they are */
    bool parted = false; /* a paragraph has to begin */
    bool begun = false;
    while (*text) {
        const size_t len = strcspn(text, "\n");
        const bool as_it_is = len > 0 && text[0] == ' ';
        if (stands && !as_it_is) {
            fputs(".fi\n.RE\n", out);
            stands = false;
            parted = parted || len > 0;
        }
        if (len == 0)
            parted = begun;
        if (!stands && as_it_is) {
            fputs(begun ? ".PP\n.RS 4\n.nf\n" : ".RS 4\n.nf\n", out);
            stands = true;
            parted = false;
        }
        if (len > 0) {
            if (parted)
                fputs(stands ? "\n" : ".PP\n", out);
            parted = false;
            begun = true;
            const size_t skipped = as_it_is ? strspn(text, " ") : 0;
            const size_t indent = skipped > 2 ? skipped - 2 : 0;
            fprintf(out, "%*s", (int)indent, "");
            s_print_piece(out, text + skipped, len - skipped, indent == 0);
            fputc('\n', out);
        }
        text += len + (text[len] == '\n');
    }
    if (stands)
        fputs(".fi\n.RE\n", out);
}

/* ---- Options ---- */

typedef void option_fn(FILE *out, const struct argp_option *option);

static bool s_has_key(const struct argp_option *option)
{
    return option->key > 0 && option->key < 128 && isalnum(option->key);
}

/* Options without a name are headings of groups, or documentation. */
static void s_each_option(FILE *out, const struct argp *argp, bool own, option_fn *print)
{
    for (const struct argp_option *option = argp->options;
         option && (option->name || option->key || option->doc || option->group); option++)
        if ((option->name || option->key) &&
            !(option->flags & (OPTION_HIDDEN | OPTION_ALIAS | OPTION_DOC)))
            print(out, option);
    for (const struct argp_child *child = argp->children; !own && child && child->argp; child++)
        s_each_option(out, child->argp, false, print);
}

static void s_print_words(FILE *out, const struct argp_option *option)
{
    char key[3] = "-";
    if (s_has_key(option))
        key[1] = (char)option->key;
    fprintf(out, "%s%s %s %s%s\n", option->name ? "--" : "-", option->name ? option->name : "", key,
            option->arg && (option->flags & OPTION_ARG_OPTIONAL) ? "=" : "",
            option->arg ? option->arg : "-");
}

static void s_print_option(FILE *out, const struct argp_option *option)
{
    fputs(".TP\n", out);
    if (s_has_key(option))
        fprintf(out, "\\fB\\-%c\\fR%s", option->key, option->name ? ", " : "");
    if (option->name) {
        fputs("\\fB\\-\\-", out);
        s_print_piece(out, option->name, strlen(option->name), false);
        fputs("\\fR", out);
    }
    if (option->arg) {
        const bool optional = option->flags & OPTION_ARG_OPTIONAL;
        fputs(optional ? "[=\\fI" : option->name ? "=\\fI" : " \\fI", out);
        s_print_piece(out, option->arg, strlen(option->arg), false);
        fputs(optional ? "\\fR]" : "\\fR", out);
    }
    fputc('\n', out);
    manual_print_text(out, option->doc ? option->doc : "");
}

/* ---- The whole ---- */

/* What stands before the options in --help, and what behind them. */
static void s_print_doc(FILE *out, const char *doc, bool behind)
{
    const char *after = strchr(doc, '\v');
    if (behind) {
        if (after && after[1])
            fputs(".PP\n", out);
        manual_print_text(out, after ? after + 1 : "");
        return;
    }
    char *before = strndup(doc, strcspn(doc, "\v"));
    if (before)
        manual_print_text(out, before);
    free(before);
}

static void s_print_page(FILE *out, const struct argp *argp, const char *name)
{
    fprintf(out, ".SH SYNOPSIS\n.B %s\n[\\fIOPTION\\fR...]%s", name, argp->args_doc ? " \\fI" : "");
    if (argp->args_doc) {
        s_print_piece(out, argp->args_doc, strlen(argp->args_doc), false);
        fputs("\\fR", out);
    }
    fputs("\n.SH DESCRIPTION\n", out);
    s_print_doc(out, argp->doc ? argp->doc : "", false);
    s_print_doc(out, argp->doc ? argp->doc : "", true);
    fputs(".SH OPTIONS\n", out);
    s_each_option(out, argp, false, s_print_option);
    fputs(
        ".TP\n\\fB\\-?\\fR, \\fB\\-\\-help\\fR\nSay all this in short.\n"
        ".TP\n\\fB\\-\\-usage\\fR\nSay only what may be given.\n"
        ".TP\n\\fB\\-V\\fR, \\fB\\-\\-version\\fR\nPrint the version.\n",
        out);
}

/* `name` is the whole command: "ixnctl pair status". */
static void s_print_part(FILE *out, const struct argp *argp, const char *name)
{
    fputs(".SS \"", out);
    s_print_piece(out, name, strlen(name), false);
    if (argp->args_doc) {
        fputc(' ', out);
        s_print_piece(out, argp->args_doc, strlen(argp->args_doc), false);
    }
    fputs("\"\n", out);
    s_print_doc(out, argp->doc ? argp->doc : "", false);
    s_each_option(out, argp, true, s_print_option);
    s_print_doc(out, argp->doc ? argp->doc : "", true);
}

static int s_parse(int key, char *how, struct argp_state *state)
{
    if (key != KEY_DESCRIBE)
        return ARGP_ERR_UNKNOWN;
    const struct argp *argp = state->root_argp->children && !state->root_argp->parser
                                  ? state->root_argp->children[0].argp /* argp_parse's own outer */
                                  : state->root_argp;
    if (strcmp(how, "options") == 0) {
        s_each_option(stdout, argp, false, s_print_words);
        printf("ARGUMENTS %s\n", argp->args_doc ? argp->args_doc : "-");
    } else if (strcmp(how, "page") == 0) {
        s_print_page(stdout, argp, state->name);
    } else if (strcmp(how, "part") == 0) {
        s_print_part(stdout, argp, state->name);
    } else {
        argp_error(state, "--describe=%s: must be options, page or part", how);
    }
    exit(ferror(stdout) || fflush(stdout) != 0);
}

static const struct argp_option s_options[] = {
    {"describe", KEY_DESCRIBE, "HOW", OPTION_HIDDEN, NULL, 0},
    {0},
};

const struct argp manual_argp = {.options = s_options, .parser = s_parse};
