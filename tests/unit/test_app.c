/* The reference application server's parts: classifier, its file, the template. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/ixn-app/parts/classifier.h"
#include "apps/ixn-app/parts/template.h"
#include "core/base/alloc.h"

static char s_path[64];

static void s_begin(void)
{
    snprintf(s_path, sizeof s_path, "/tmp/ixn-test-app-%d.model", (int)getpid());
}

static void s_end(void)
{
    unlink(s_path);
}

TestSuite(app, .init = s_begin, .fini = s_end);

static classifier_t *s_train(void)
{
    static const char *const money[] = {"please pay the invoice", "a refund of the payment",
                                        "your invoice is wrong", "charge my card again"};
    static const char *const bugs[] = {"the program has a crash", "it fails with an error",
                                       "a bug in the last patch", "error when I install it"};
    examples_t examples = {0};
    char *texts[8], *labels[8];
    for (size_t i = 0; i < 4; i++) {
        texts[i] = memory_text(money[i]);
        labels[i] = memory_text("money");
        texts[4 + i] = memory_text(bugs[i]);
        labels[4 + i] = memory_text("bugs");
    }
    examples.texts = texts;
    examples.labels = labels;
    examples.len = 8;
    error_t error = {0};
    classifier_t *classifier = classifier_train(&examples, 4096, &error);
    cr_assert(classifier, "%s", error.text);
    for (size_t i = 0; i < 8; i++) {
        free(texts[i]);
        free(labels[i]);
    }
    return classifier;
}

static const char *s_label(const classifier_t *classifier, const char *text)
{
    double probabilities[2];
    size_t best = classifier_classify(classifier, text_of(text), probabilities);
    double sum = probabilities[0] + probabilities[1];
    cr_assert(sum > 0.999 && sum < 1.001 && probabilities[best] >= 0.5);
    return classifier_label(classifier, best);
}

Test(app, a_model_that_was_saved_says_the_same)
{
    error_t error = {0};
    classifier_t *classifier = s_train();
    cr_assert_str_eq(s_label(classifier, "another invoice to pay"), "money");
    cr_assert_str_eq(s_label(classifier, "An ERROR, a crash!"), "bugs");
    cr_assert(classifier_save(classifier, s_path, &error), "%s", error.text);
    classifier_t *loaded = classifier_load(s_path, &error);
    cr_assert(loaded, "%s", error.text);
    cr_assert_eq(classifier_documents(loaded), 8);
    cr_assert_str_eq(s_label(loaded, "another invoice to pay"), "money");
    cr_assert_str_eq(s_label(loaded, "An ERROR, a crash!"), "bugs");
    cr_assert_str_eq(s_label(loaded, "invoice"), s_label(classifier, "invoice"));
    s_label(loaded, "");
    classifier_destroy(&loaded);
    classifier_destroy(&classifier);
}

static void s_refused(const char *bytes, size_t len, const char *why)
{
    error_t error = {0};
    FILE *file = fopen(s_path, "we");
    cr_assert(file && fwrite(bytes, 1, len, file) == len);
    fclose(file);
    classifier_t *classifier = classifier_load(s_path, &error);
    cr_assert_null(classifier, "it was loaded; expected: %s", why);
    cr_assert(strstr(error.text, why), "\"%s\" is not in \"%s\"", why, error.text);
    cr_assert(strstr(error.text, s_path), "%s", error.text);
}

static void s_refused_text(const char *text, const char *why)
{
    s_refused(text, strlen(text), why);
}

Test(app, a_damaged_model_is_refused_with_the_reason)
{
    error_t error = {0};
    classifier_t *classifier = s_train();
    cr_assert(classifier_save(classifier, s_path, &error), "%s", error.text);
    classifier_destroy(&classifier);
    char *bytes = memory_zero(1, 1 << 20);
    FILE *file = fopen(s_path, "re");
    size_t len = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    s_refused(bytes, len - 4, "is cut");
    s_refused(bytes, 10, "does not begin");
    s_refused(bytes, 20, "second line");
    bytes[len - 1000] ^= 1;
    s_refused(bytes, len, "is damaged");
    s_refused_text("ixn-classifier 1\n{\"labels\":[\"a\"],\"buckets\":4096}\n", "two labels");
    s_refused_text("ixn-classifier 1\n{\"labels\":[\"a\",\"b\"],\"buckets\":7}\n", "buckets");
    s_refused_text("ixn-classifier 1\n{\"labels\":[\"a\",\"a\"],\"buckets\":4096}\n", "twice");
    free(bytes);
}

Test(app, examples_that_are_none_are_refused_with_their_line)
{
    error_t error = {0};
    examples_t examples = {0};
    FILE *file = fopen(s_path, "we");
    fputs("{\"text\":\"a\",\"label\":\"b\"}\n\n{\"text\":\"a\"}\n", file);
    fclose(file);
    cr_assert_not(examples_read(&examples, s_path, &error));
    cr_assert(strstr(error.text, ":3: "), "%s", error.text);
    cr_assert_null(classifier_train(&examples, 4096, &error)); /* one label */
    examples_free(&examples);
}

static const char *s_render(const char *source, const char *values)
{
    static char text[500];
    error_t error = {0};
    buffer_t out = {0};
    json_t *object = json_loads(values, 0, NULL);
    if (template_render(text_of(source), object, 400, &out, &error))
        snprintf(text, sizeof text, "%.*s", (int)out.len, (const char *)out.bytes);
    else
        snprintf(text, sizeof text, "%s", error.text);
    json_decref(object);
    buffer_free(&out);
    return text;
}

Test(app, a_template_is_filled)
{
    cr_assert_str_eq(s_render("Dear {{ name }},\n{{a.b}} {{n}} {{x|nothing}} {{{{x}}",
                              "{\"name\":\"Zoë\",\"a\":{\"b\":[1,2]},\"n\":1.5}"),
                     "Dear Zoë,\n[1,2] 1.5 nothing {{x}}");
    cr_assert(
        strstr(s_render("a\n{{missing}}", "{}"), "line 2 of the template: there is no value"));
    cr_assert(strstr(s_render("{{open", "{}"), "without \"}}\""));
    cr_assert(strstr(s_render("{{}}", "{}"), "a place has a name"));
    error_t error = {0};
    cr_assert_not(template_check(TEXT("{{x"), &error));
    cr_assert(template_check(TEXT("{{x}} {{{{"), &error));
}
