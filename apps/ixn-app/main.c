/* ixn-app: the reference application servers. Reads its options, loads what a service needs, and
 * serves. Also trains and tests the classifier's model.
 */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/ixn-app/parts/classifier.h"
#include "apps/ixn-app/parts/template.h"
#include "apps/ixn-app/services.h"
#include "apps/manual/manual.h"
#include "core/base/alloc.h"
#include "core/base/log.h"

enum {
    NODES = 8, /* what the client library takes */
    OPTION_WINDOW = 256,
    OPTION_UNDECLARED,
    OPTION_BUCKETS,
    EXIT_NOT_WELL = 1,
    EXIT_USAGE_WRONG = 64,
};

const char *argp_program_version = "ixn-app " IXN_VERSION;

typedef struct {
    const char *words[2]; /* serve classification */
    size_t words_len;
    const char **files;
    size_t files_len;
    const char *nodes[NODES];
    size_t nodes_len;
    const char *name;
    const char *tenant;
    const char *model;
    const char *template_path;
    const char *type;
    app_service_t services[LIMIT_SERVICES];
    size_t services_len;
    uint32_t window;
    uint32_t buckets;
    bool undeclared;
    bool media;
} arguments_t;

static const char s_help[] =
    "Application servers for strategies to call: a text classifier, an auto-responder that fills a "
    "template, and an echo for tests. docs/applications.md says how to write others."
    "\v"
    "Commands:\n"
    "  train classification --model FILE EXAMPLES...   makes a model of four fifths of the "
    "examples "
    "(JSON Lines: {\"text\":…, \"label\":…}) and prints how well it does on the rest\n"
    "  test classification --model FILE EXAMPLES...    how well a model does on other examples\n"
    "  serve classification --model FILE               offers \"classify\", type classification\n"
    "  serve responder --template FILE                 offers \"render\", type email\n"
    "  serve echo --service NAME...                    offers each NAME, type third_party\n\n"
    "Signals: TERM and INT answer what is at work and leave.\n\n"
    "Exit status: 0 after a signal; 1 when a file is not right or the node refuses the server; 64 "
    "for wrong options.";

static const struct argp_option s_options[] = {
    {0, 0, 0, 0, "Who and where", 1},
    {"name", 'n', "NAME", 0, "Name of this server, unique among live ones (required to serve)", 0},
    {"node", 'N', "ENDPOINT", 0, "Where a node listens; once for each node of the pair", 0},
    {"tenant", 't', "TENANT", 0, "Default: default", 0},
    {"type", 'T', "TYPE", 0,
     "In place of the command's own: classification, email, sms, social, chat, third_party", 0},
    {"window", OPTION_WINDOW, "N", 0, "Most requests at once (default: the node's)", 0},
    {"media-server", 'M', 0, 0, "Registers as a media server that is an application server too", 0},
    {0, 0, 0, 0, "What it does", 2},
    {"model", 'm', "FILE", 0, "classification: the model", 0},
    {"buckets", OPTION_BUCKETS, "N", 0, "train: size of the model, 256 to 16777216 (65536)", 0},
    {"template", 'p', "FILE", 0, "responder: text with {{name}} where values go", 0},
    {"service", 's', "NAME", 0, "echo: a service to offer; several times for several", 0},
    {"undeclared", OPTION_UNDECLARED, 0, 0, "Does not tell the node which services it offers", 0},
    {0},
};

static uint32_t s_number(const char *text, long least, long most, const struct argp_state *state)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno || *end || end == text || number < least || number > most)
        argp_error(state, "\"%s\" is not a whole number from %ld to %ld", text, least, most);
    return (uint32_t)number;
}

static void s_add_service(arguments_t *self, const char *name, const struct argp_state *state)
{
    if (self->services_len == LIMIT_SERVICES)
        argp_error(state, "more than %d services", LIMIT_SERVICES);
    self->services[self->services_len++] = (app_service_t){.name = name, .serve = service_echo};
}

static int s_parse(int key, char *argument, struct argp_state *state)
{
    arguments_t *self = state->input;
    switch (key) {
    case 'n':
        self->name = argument;
        return 0;
    case 'N':
        if (self->nodes_len == NODES)
            argp_error(state, "more than %d nodes", NODES);
        self->nodes[self->nodes_len++] = argument;
        return 0;
    case 't':
        self->tenant = argument;
        return 0;
    case 'T':
        self->type = argument;
        return 0;
    case 'M':
        self->media = true;
        return 0;
    case 'm':
        self->model = argument;
        return 0;
    case 'p':
        self->template_path = argument;
        return 0;
    case 's':
        s_add_service(self, argument, state);
        return 0;
    case OPTION_WINDOW:
        self->window = s_number(argument, 1, LIMIT_SERVICE_WINDOW, state);
        return 0;
    case OPTION_BUCKETS:
        self->buckets = s_number(argument, 256, 1 << 24, state);
        return 0;
    case OPTION_UNDECLARED:
        self->undeclared = true;
        return 0;
    case ARGP_KEY_ARG:
        if (self->words_len < 2)
            self->words[self->words_len++] = argument;
        else
            self->files[self->files_len++] = argument;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int s_fail(const error_t *error)
{
    fprintf(stderr, "ixn-app: %s\n", error->text);
    return EXIT_NOT_WELL;
}

static int s_usage(const char *sentence)
{
    fprintf(stderr, "ixn-app: %s; see ixn-app --help\n", sentence);
    return EXIT_USAGE_WRONG;
}

/* ---- Classification: files ---- */

static bool s_read_examples(const arguments_t *self, examples_t *examples, error_t *ret_error)
{
    for (size_t i = 0; i < self->files_len; i++)
        if (!examples_read(examples, self->files[i], ret_error))
            return false;
    return self->files_len > 0 ||
           error_set(ret_error, ERROR_INVALID_ARGUMENT, "no files with examples are named");
}

/* The share of the examples that the model knows the right label of; a line a label. */
static double s_measure(const classifier_t *classifier, const examples_t *examples)
{
    size_t labels = classifier_labels(classifier), right = 0;
    double *probabilities = memory_zero(labels, sizeof *probabilities);
    size_t *seen = memory_zero(labels, sizeof *seen), *found = memory_zero(labels, sizeof *found);
    for (size_t i = 0; i < examples->len; i++) {
        size_t best = classifier_classify(classifier, text_of(examples->texts[i]), probabilities);
        bool is_right = strcmp(classifier_label(classifier, best), examples->labels[i]) == 0;
        right += is_right;
        for (size_t j = 0; j < labels; j++) {
            bool is_it = strcmp(classifier_label(classifier, j), examples->labels[i]) == 0;
            seen[j] += is_it;
            found[j] += is_it && is_right;
        }
    }
    for (size_t j = 0; j < labels; j++)
        if (seen[j])
            printf("  %-40s %5zu of %5zu right\n", classifier_label(classifier, j), found[j],
                   seen[j]);
    free(probabilities);
    free(seen);
    free(found);
    return examples->len ? (double)right / (double)examples->len : 0;
}

static int s_train(const arguments_t *self)
{
    error_t error = {0};
    examples_t examples = {0}, held_out = {0};
    classifier_t *classifier = NULL;
    bool ok = s_read_examples(self, &examples, &error);
    if (ok) {
        examples_split(&examples, &held_out);
        classifier = classifier_train(&examples, self->buckets, &error);
        ok = classifier && classifier_save(classifier, self->model, &error);
    }
    if (ok) {
        double accuracy = s_measure(classifier, &held_out);
        printf("%s: %zu labels, trained on %zu texts; accuracy on %zu others: %.1f %%\n",
               self->model, classifier_labels(classifier), examples.len, held_out.len,
               accuracy * 100);
    }
    classifier_destroy(&classifier);
    examples_free(&examples);
    examples_free(&held_out);
    return ok ? 0 : s_fail(&error);
}

static int s_test(const arguments_t *self)
{
    error_t error = {0};
    examples_t examples = {0};
    classifier_t *classifier = classifier_load(self->model, &error);
    bool ok = classifier && s_read_examples(self, &examples, &error);
    if (ok)
        printf("%s: accuracy on %zu texts: %.1f %%\n", self->model, examples.len,
               s_measure(classifier, &examples) * 100);
    classifier_destroy(&classifier);
    examples_free(&examples);
    return ok ? 0 : s_fail(&error);
}

/* ---- Serving ---- */

static volatile int s_stop;

static void s_on_signal(int number)
{
    (void)number;
    s_stop = 1;
}

static void s_catch_signals(void)
{
    struct sigaction action = {.sa_handler = s_on_signal};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
}

static bool s_type(const char *name, Ixn__V1__ApplicationType *ret_type)
{
    static const char *const names[] = {"classification", "email", "sms",
                                        "social",         "chat",  "third_party"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0) {
            *ret_type = (Ixn__V1__ApplicationType)(i + 1);
            return true;
        }
    return false;
}

static int s_run(arguments_t *self, Ixn__V1__ApplicationType type)
{
    app_options_t options = {
        .client = {.endpoints = self->nodes,
                   .endpoints_len = self->nodes_len,
                   .role = self->media ? IXN__V1__ROLE__MEDIA_SERVER : 0,
                   .name = self->name,
                   .tenant = self->tenant},
        .type = type,
        .services = self->services,
        .services_len = self->services_len,
        .window = self->window,
        .is_undeclared = self->undeclared,
    };
    error_t error;
    if (!self->name || self->nodes_len == 0)
        return s_usage("to serve, --name and --node are needed");
    if (self->type && !s_type(self->type, &options.type))
        return s_usage("--type must be classification, email, sms, social, chat or third_party");
    s_catch_signals();
    return app_run(&options, &s_stop, &error) ? 0 : s_fail(&error);
}

static int s_serve_classification(arguments_t *self)
{
    error_t error;
    classifier_t *classifier = classifier_load(self->model, &error);
    if (!classifier)
        return s_fail(&error);
    log_info("app.model", "file=\"%s\" labels=%zu documents=%zu", self->model,
             classifier_labels(classifier), classifier_documents(classifier));
    self->services[0] = (app_service_t){"classify", service_classify, classifier};
    self->services_len = 1;
    int code = s_run(self, IXN__V1__APPLICATION_TYPE__APPLICATION_CLASSIFICATION);
    classifier_destroy(&classifier);
    return code;
}

static int s_serve_responder(arguments_t *self)
{
    enum { SIZE_MOST = 1 << 20 };
    error_t error;
    FILE *file = fopen(self->template_path, "re");
    if (!file) {
        error_set(&error, ERROR_SYSTEM, "%s: cannot be opened: %s", self->template_path,
                  strerror(errno));
        return s_fail(&error);
    }
    buffer_t source = {0};
    source.len = fread(buffer_reserve(&source, SIZE_MOST), 1, SIZE_MOST, file);
    fclose(file);
    text_t text = {(char *)source.bytes, source.len};
    int code;
    if (template_check(text, &error)) {
        self->services[0] = (app_service_t){"render", service_render, &text};
        self->services_len = 1;
        code = s_run(self, IXN__V1__APPLICATION_TYPE__APPLICATION_EMAIL);
    } else {
        fprintf(stderr, "ixn-app: %s: %s\n", self->template_path, error.text);
        code = EXIT_NOT_WELL;
    }
    buffer_free(&source);
    return code;
}

static int s_serve(arguments_t *self, const char *what)
{
    if (strcmp(what, "classification") == 0)
        return self->model ? s_serve_classification(self) : s_usage("--model is needed");
    if (strcmp(what, "responder") == 0)
        return self->template_path ? s_serve_responder(self) : s_usage("--template is needed");
    if (strcmp(what, "echo") != 0)
        return s_usage("what can be served is classification, responder or echo");
    if (self->services_len == 0)
        self->services[self->services_len++] = (app_service_t){"echo", service_echo, NULL};
    for (size_t i = 0; i < self->services_len; i++)
        self->services[i].context = (void *)(uintptr_t)self->name;
    return s_run(self, IXN__V1__APPLICATION_TYPE__APPLICATION_THIRD_PARTY);
}

static int s_command(arguments_t *self)
{
    const char *verb = self->words_len > 0 ? self->words[0] : "";
    const char *what = self->words_len > 1 ? self->words[1] : "";
    if (strcmp(verb, "serve") == 0)
        return s_serve(self, what);
    bool trains = strcmp(verb, "train") == 0;
    if (!trains && strcmp(verb, "test") != 0)
        return s_usage("the command is train, test or serve");
    if (strcmp(what, "classification") != 0)
        return s_usage("only classification is trained and tested");
    if (!self->model)
        return s_usage("--model is needed");
    return trains ? s_train(self) : s_test(self);
}

int main(int argc, char **argv)
{
    static const struct argp_child manual[] = {{&manual_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {.options = s_options,
                                     .parser = s_parse,
                                     .args_doc = "COMMAND WHAT [FILE...]",
                                     .doc = s_help,
                                     .children = manual};
    arguments_t arguments = {.buckets = 65536};
    arguments.files = memory_zero((size_t)argc, sizeof *arguments.files);
    argp_parse(&argp, argc, argv, 0, NULL, &arguments);
    int code = s_command(&arguments);
    free(arguments.files);
    return code;
}
