#include "apps/ixn-app/parts/classifier.h"

#include <endian.h>
#include <errno.h>
#include <jansson.h>
#include <linear.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/alloc.h"
#include "core/base/buffer.h"
#include "core/base/id.h"

#define HEAD "ixn-classifier 1\n"

enum {
    WORD_MOST = 40, /* longer words are cut: they are base64, not words */
    WORDS_MOST = 5000,
    LABELS_MOST = 1000,
    BUCKETS_LEAST = 256,
    BUCKETS_MOST = 1 << 24,
};
#define FILE_MOST ((size_t)1024 * 1024 * 1024)

struct classifier {
    struct model model; /* liblinear's; its arrays are ours */
    char **labels;      /* by model.label */
    size_t labels_len;
    size_t documents;
};

/* ---- Features ---- */

static bool s_is_letter(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

static unsigned char s_lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 'a' - 'A') : c;
}

static int s_bucket(const char *words, size_t len, uint32_t buckets)
{
    id128_t hash = id_hash(words, len);
    uint32_t number;
    memcpy(&number, hash.bytes, sizeof number);
    return (int)(be32toh(number) % buckets) + 1; /* liblinear counts from 1 */
}

static int s_compare_nodes(const void *a, const void *b)
{
    return ((const struct feature_node *)a)->index - ((const struct feature_node *)b)->index;
}

/* The buckets of each word and each pair, one after the other. */
static size_t s_collect(text_t text, uint32_t buckets, struct feature_node *nodes)
{
    char pair[2 * WORD_MOST + 1];
    size_t len = 0, before = 0, words = 0; /* `before`: length of the word before, in `pair` */
    for (size_t at = 0; at < text.len && words < WORDS_MOST;) {
        char word[WORD_MOST];
        size_t word_len = 0;
        for (; at < text.len && s_is_letter((unsigned char)text.data[at]); at++)
            if (word_len < WORD_MOST)
                word[word_len++] = (char)s_lower((unsigned char)text.data[at]);
        while (at < text.len && !s_is_letter((unsigned char)text.data[at]))
            at++;
        if (word_len == 0)
            continue;
        words++;
        nodes[len++] = (struct feature_node){s_bucket(word, word_len, buckets), 1};
        if (before) {
            pair[before] = ' ';
            memcpy(pair + before + 1, word, word_len);
            nodes[len++] = (struct feature_node){s_bucket(pair, before + 1 + word_len, buckets), 1};
        }
        memcpy(pair, word, word_len);
        before = word_len;
    }
    return len;
}

/* As liblinear wants them: ascending, each once, ended by -1. The caller frees. */
static struct feature_node *s_features(text_t text, uint32_t buckets)
{
    size_t most = text.len < WORDS_MOST ? text.len : WORDS_MOST;
    struct feature_node *nodes = memory_new((2 * most + 2) * sizeof *nodes);
    size_t all = s_collect(text, buckets, nodes), len = 0;
    qsort(nodes, all, sizeof *nodes, s_compare_nodes);
    for (size_t i = 0; i < all; i++) {
        if (len && nodes[len - 1].index == nodes[i].index)
            nodes[len - 1].value++;
        else
            nodes[len++] = nodes[i];
    }
    double sum = 0;
    for (size_t i = 0; i < len; i++) {
        nodes[i].value = 1 + log(nodes[i].value);
        sum += nodes[i].value * nodes[i].value;
    }
    for (size_t i = 0; i < len; i++)
        nodes[i].value /= sqrt(sum);
    nodes[len] = (struct feature_node){(int)buckets + 1, 1}; /* the bias */
    nodes[len + 1].index = -1;
    return nodes;
}

/* ---- Training ---- */

static void s_quiet(const char *text)
{
    (void)text;
}

static int s_label_number(classifier_t *self, const char *label)
{
    for (size_t i = 0; i < self->labels_len; i++)
        if (strcmp(self->labels[i], label) == 0)
            return (int)i;
    if (self->labels_len == LABELS_MOST)
        return -1;
    self->labels = memory_resize(self->labels, (self->labels_len + 1) * sizeof *self->labels);
    self->labels[self->labels_len] = memory_text(label);
    return (int)self->labels_len++;
}

static size_t s_weights(const classifier_t *self)
{
    size_t columns = self->labels_len == 2 ? 1 : self->labels_len;
    return columns * ((size_t)self->model.nr_feature + 1);
}

/* Takes what liblinear made, into memory of our own. */
static void s_take_model(classifier_t *self, struct model *trained)
{
    self->model = *trained;
    self->model.w = memory_copy(trained->w, s_weights(self) * sizeof *trained->w);
    self->model.label = memory_copy(trained->label, self->labels_len * sizeof *trained->label);
    free_and_destroy_model(&trained);
}

static bool s_number_labels(classifier_t *self, const examples_t *examples, double *ret_labels,
                            error_t *ret_error)
{
    for (size_t i = 0; i < examples->len; i++) {
        int number = s_label_number(self, examples->labels[i]);
        if (number < 0)
            return error_set(ret_error, ERROR_TOO_LARGE, "more than %d labels", LABELS_MOST);
        ret_labels[i] = number;
    }
    if (self->labels_len < 2)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "%zu texts with %zu labels; a classifier needs two labels or more",
                         examples->len, self->labels_len);
    return true;
}

classifier_t *classifier_train(const examples_t *examples, uint32_t buckets, error_t *ret_error)
{
    classifier_t *self = memory_zero(1, sizeof *self);
    double *labels = memory_zero(examples->len + 1, sizeof *labels);
    if (!s_number_labels(self, examples, labels, ret_error)) {
        free(labels);
        classifier_destroy(&self);
        return NULL;
    }
    self->documents = examples->len;
    struct feature_node **texts = memory_zero(examples->len, sizeof *texts);
    for (size_t i = 0; i < examples->len; i++)
        texts[i] = s_features(text_of(examples->texts[i]), buckets);
    struct problem problem = {
        .l = (int)examples->len, .n = (int)buckets + 1, .y = labels, .x = texts, .bias = 1};
    struct parameter parameter = {.solver_type = L2R_LR, .eps = 0.01, .C = 10};
    set_print_string_function(s_quiet);
    s_take_model(self, train(&problem, &parameter));
    for (size_t i = 0; i < examples->len; i++)
        free(texts[i]);
    free(texts);
    free(labels);
    return self;
}

void classifier_destroy(classifier_t **self_p)
{
    classifier_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->labels_len; i++)
        free(self->labels[i]);
    free(self->labels);
    free(self->model.w);
    free(self->model.label);
    free(self);
    *self_p = NULL;
}

size_t classifier_labels(const classifier_t *self)
{
    return self->labels_len;
}

const char *classifier_label(const classifier_t *self, size_t number)
{
    return self->labels[number];
}

size_t classifier_documents(const classifier_t *self)
{
    return self->documents;
}

size_t classifier_classify(const classifier_t *self, text_t text, double *probabilities)
{
    double *by_place = memory_zero(self->labels_len, sizeof *by_place);
    struct feature_node *features = s_features(text, (uint32_t)self->model.nr_feature);
    size_t best = (size_t)predict_probability(&self->model, features, by_place);
    for (size_t i = 0; i < self->labels_len; i++)
        probabilities[self->model.label[i]] = by_place[i];
    free(features);
    free(by_place);
    return best;
}

/* ---- Files ---- */

static void s_append_weights(const classifier_t *self, buffer_t *out)
{
    for (size_t i = 0; i < s_weights(self); i++) {
        float weight = (float)self->model.w[i];
        uint32_t bits;
        memcpy(&bits, &weight, sizeof bits);
        bits = htole32(bits);
        buffer_append(out, &bits, sizeof bits);
    }
}

bool classifier_save(const classifier_t *self, const char *path, error_t *ret_error)
{
    buffer_t weights = {0}, beside = {0};
    char hash[ID_TEXT_SIZE];
    s_append_weights(self, &weights);
    json_t *labels = json_array();
    for (size_t i = 0; i < self->labels_len; i++)
        json_array_append_new(labels, json_string(self->labels[self->model.label[i]]));
    json_t *head = json_pack("{s:o,s:i,s:I,s:s}", "labels", labels, "buckets",
                             self->model.nr_feature, "documents", (json_int_t)self->documents,
                             "hash", id_text(id_hash(weights.bytes, weights.len), hash));
    buffer_printf(&beside, "%s.new", path);
    buffer_append(&beside, "", 1);
    FILE *file = fopen((char *)beside.bytes, "we");
    bool ok = file && fputs(HEAD, file) >= 0 && json_dumpf(head, file, JSON_COMPACT) == 0 &&
              fputc('\n', file) == '\n' &&
              fwrite(weights.bytes, 1, weights.len, file) == weights.len && fflush(file) == 0 &&
              fsync(fileno(file)) == 0;
    if (file)
        ok = fclose(file) == 0 && ok;
    ok = ok && rename((char *)beside.bytes, path) == 0;
    if (!ok)
        error_set(ret_error, ERROR_SYSTEM, "%s: the model cannot be written: %s", path,
                  strerror(errno));
    json_decref(head);
    buffer_free(&weights);
    buffer_free(&beside);
    return ok;
}

static bool s_read_file(const char *path, buffer_t *out, error_t *ret_error)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return error_set(ret_error, ERROR_SYSTEM, "%s: cannot be opened: %s", path,
                         strerror(errno));
    size_t len;
    enum { PIECE = 1 << 16 };
    while ((len = fread(buffer_reserve(out, PIECE), 1, PIECE, file)) > 0 && out->len < FILE_MOST)
        out->len += len;
    bool ok = !ferror(file);
    fclose(file);
    return ok || error_set(ret_error, ERROR_SYSTEM, "%s: cannot be read", path);
}

static bool s_bad(const char *path, const char *why, error_t *ret_error)
{
    return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                     "%s is no model of this program: %s; train it again", path, why);
}

static bool s_read_head(classifier_t *self, const json_t *head, const char *path,
                        error_t *ret_error)
{
    const json_t *labels = json_object_get(head, "labels");
    json_int_t buckets = json_integer_value(json_object_get(head, "buckets"));
    self->documents = (size_t)json_integer_value(json_object_get(head, "documents"));
    size_t len = json_array_size(labels);
    if (len < 2 || len > LABELS_MOST)
        return s_bad(path, "it names fewer than two labels, or too many", ret_error);
    if (buckets < BUCKETS_LEAST || buckets > BUCKETS_MOST)
        return s_bad(path, "its number of buckets is not possible", ret_error);
    self->model.label = memory_zero(len, sizeof *self->model.label);
    for (size_t i = 0; i < len; i++) {
        const char *label = json_string_value(json_array_get(labels, i));
        if (!label || s_label_number(self, label) != (int)i)
            return s_bad(path, "a label is no text, or is there twice", ret_error);
        self->model.label[i] = (int)i;
    }
    self->model.param.solver_type = L2R_LR;
    self->model.nr_class = (int)len;
    self->model.nr_feature = (int)buckets;
    self->model.bias = 1;
    return true;
}

static bool s_read_weights(classifier_t *self, const json_t *head, text_t bytes, const char *path,
                           error_t *ret_error)
{
    char hash[ID_TEXT_SIZE];
    const char *should = json_string_value(json_object_get(head, "hash"));
    size_t len = s_weights(self);
    if (bytes.len != len * sizeof(uint32_t))
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "%s is cut or longer than it should be: %zu bytes of weights, expected "
                         "%zu; train it again, or copy it again",
                         path, bytes.len, len * sizeof(uint32_t));
    if (!should || strcmp(id_text(id_hash(bytes.data, bytes.len), hash), should) != 0)
        return error_set(ret_error, ERROR_INVALID_ARGUMENT,
                         "%s is damaged: its weights have the hash %s, its head says %s; train it "
                         "again, or copy it again",
                         path, hash, should ? should : "nothing");
    self->model.w = memory_new(len * sizeof *self->model.w);
    for (size_t i = 0; i < len; i++) {
        uint32_t bits;
        float weight;
        memcpy(&bits, bytes.data + i * sizeof bits, sizeof bits);
        bits = le32toh(bits);
        memcpy(&weight, &bits, sizeof weight);
        self->model.w[i] = weight;
    }
    return true;
}

static bool s_parse(classifier_t *self, text_t text, const char *path, error_t *ret_error)
{
    size_t magic = sizeof HEAD - 1;
    if (text.len < magic || memcmp(text.data, HEAD, magic) != 0)
        return s_bad(path, "it does not begin with \"ixn-classifier 1\"", ret_error);
    const char *line = text.data + magic;
    const char *end = memchr(line, '\n', text.len - magic);
    json_error_t problem;
    json_t *head = end ? json_loadb(line, (size_t)(end - line), 0, &problem) : NULL;
    if (!json_is_object(head)) {
        json_decref(head);
        return s_bad(path, "its second line is no JSON object", ret_error);
    }
    text_t weights = {end + 1, (size_t)(text.data + text.len - end - 1)};
    bool ok = s_read_head(self, head, path, ret_error) &&
              s_read_weights(self, head, weights, path, ret_error);
    json_decref(head);
    return ok;
}

classifier_t *classifier_load(const char *path, error_t *ret_error)
{
    classifier_t *self = memory_zero(1, sizeof *self);
    buffer_t text = {0};
    bool ok = s_read_file(path, &text, ret_error) &&
              s_parse(self, (text_t){(char *)text.bytes, text.len}, path, ret_error);
    buffer_free(&text);
    if (!ok)
        classifier_destroy(&self);
    return self;
}
