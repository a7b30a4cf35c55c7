/* Classifier: tells which of some labels a text belongs to. Logistic regression (liblinear, L2R_LR,
 * one label against the rest) over words and pairs of neighbouring words, hashed into buckets
 * (the hashing trick: no dictionary); a bucket counts 1 + ln(n) for n occurrences, and a text is
 * scaled to length 1.
 *
 * A model is a file: the line "ixn-classifier 1", a line of JSON (labels, buckets, documents, hash
 * of what follows), and the weights as 32-bit floats, little-endian. A file that is not exactly
 * that is refused, and says why.
 */
#ifndef IXN_APP_CLASSIFIER_H
#define IXN_APP_CLASSIFIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/types.h"

typedef struct classifier classifier_t;

/* Labelled texts, to train with or to be measured by. */
typedef struct {
    char **texts;
    char **labels;
    size_t len;
    size_t capacity;
} examples_t;

/* Adds the examples of a file: JSON Lines, each an object with "text" and "label". */
bool examples_read(examples_t *self, const char *path, error_t *ret_error);
/* Every fifth text (by its hash, so always the same ones) goes to `ret_held_out`. */
void examples_split(examples_t *self, examples_t *ret_held_out);
void examples_free(examples_t *self);

/* NULL and an error where there are fewer than two labels, or no texts. */
classifier_t *classifier_train(const examples_t *examples, uint32_t buckets, error_t *ret_error);
classifier_t *classifier_load(const char *path, error_t *ret_error);
/* Writes it beside and renames it: there is never half a model. */
bool classifier_save(const classifier_t *self, const char *path, error_t *ret_error);
void classifier_destroy(classifier_t **self_p);

size_t classifier_labels(const classifier_t *self);
const char *classifier_label(const classifier_t *self, size_t number);
size_t classifier_documents(const classifier_t *self);

/* Number of the most probable label; `probabilities` has room for all. */
size_t classifier_classify(const classifier_t *self, text_t text, double *probabilities);

#endif
