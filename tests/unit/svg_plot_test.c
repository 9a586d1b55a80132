/* svg_plot: pictures are well-formed whatever is plotted, nothing lies outside of them, and names
 * out of files stay text. */
#include "compiler/svg_plot.h"
#include <math.h>
#include "tests/unit/markup.h"
#include "tests/unit/one_arena.h"

/* The number behind every `name="`. */
static void each_between(const char *svg, const char *name, double low, double high) {
    for (const char *p = strstr(svg, name); p; p = strstr(p + 1, name)) {
        const double x = strtod(p + strlen(name), NULL);
        if (!(x >= low && x <= high)) {
            fail_msg("%s%g is not in %g..%g", name, x, low, high);
        }
    }
}

/* Coordinates of paths are absolute. */
static void paths_between(const char *svg, double width, double height) {
    for (const char *p = strstr(svg, " d=\""); p; p = strstr(p + 1, " d=\"")) {
        for (const char *c = p + 4; *c != '"';) {
            char *end = NULL;
            if (strchr("MVH", *c)) {
                const double x = strtod(c + 1, &end);
                assert_true(x >= -0.1 && x <= (*c == 'V' ? height : width) + 0.1);
                if (*c == 'M') {
                    const double y = strtod(end, &end);
                    assert_true(y >= -0.1 && y <= height + 0.1);
                }
                c = end;
            } else {
                assert_int_equal(*c, 'Z');
                c++;
            }
        }
    }
}

static const char *layers(size_t count, const double *values, const bool *worst, bool logarithmic) {
    Str *names = arena_many(arena, Str, count + 1);
    int *groups = arena_many(arena, int, count + 1);
    for (size_t i = 0; i < count; i++) {
        names[i] = str_format(arena, "layers.%zu.q", i);
        groups[i] = (int)(i / 7) - 1;
    }
    const LayerPlot plot = {.label = "error",
                            .unit = " dB",
                            .count = count,
                            .names = names,
                            .values = values,
                            .worst = worst,
                            .groups = groups,
                            .logarithmic = logarithmic};
    Buf b = buf_on(arena);
    svg_layers(&plot, &b);
    assert_true(markup_check(b.data) > 0);
    each_between(b.data, " x=\"", 0, 960);
    each_between(b.data, " y=\"", 0, 190);
    each_between(b.data, " width=\"", 0.1, 24);
    each_between(b.data, " height=\"", 0.1, 190);
    paths_between(b.data, 960, 190);
    assert_null(strstr(b.data, "nan"));
    assert_null(strstr(b.data, "inf"));
    return b.data;
}

static void a_bar_for_each_layer(void **state) {
    (void)state;
    const double values[] = {43.5, 17.25, (double)INFINITY, 20.0};
    const bool worst[] = {false, true, false, false};
    const char *svg = layers(4, values, worst, false);
    assert_int_equal(markup_count(svg, "<rect"), 4);
    assert_int_equal(markup_count(svg, "class=\"worst\""), 1);
    assert_non_null(strstr(svg, "<title>layers.1.q: 17.25 dB</title>"));
    assert_non_null(strstr(svg, "<title>layers.2.q: exact</title>"));
    /* ticks of 0, 10 ... 40, the largest bar as high as the plot, the others in proportion */
    assert_int_equal(markup_count(svg, "class=\"grid\""), 5);
    assert_non_null(strstr(svg, ">40</text>"));
    assert_non_null(strstr(svg, "y=\"10.0\" width=\"24.0\" height=\"158.0\"><title>layers.0.q"));
    assert_non_null(strstr(svg, "height=\"62.7\"><title>layers.1.q")); /* 158 * 17.25 / 43.5 */
}

static void a_logarithmic_axis_has_decades(void **state) {
    (void)state;
    const double values[] = {1e-5, 1e-3, 0.0, 2e-2};
    const bool worst[4] = {false};
    const char *svg = layers(4, values, worst, true);
    assert_int_equal(markup_count(svg, "<rect"), 3); /* 0 has none */
    assert_non_null(strstr(svg, ">0.001</text>"));
    assert_non_null(strstr(svg, ">0.1</text>"));
    assert_non_null(strstr(svg, "height=\"79.0\"><title>layers.1.q")); /* half of 1e-5..1e-1 */
}

static void any_values_make_a_picture(void **state) {
    (void)state;
    const bool worst[1000] = {false};
    double values[1000] = {0};
    layers(0, values, worst, false);
    layers(0, values, worst, true);
    static const double odd[] = {0, -3.5, 1e300, -1e300, 1e-300, 5e-324, 1, 120, 1e-7};
    const size_t kinds = sizeof odd / sizeof *odd;
    for (size_t a = 0; a < kinds; a++) {
        for (size_t b = 0; b < kinds; b++) {
            const double pair[] = {odd[a], odd[b], (double)NAN, (double)-INFINITY};
            layers(1, pair, worst, false);
            layers(4, pair, worst, false);
            layers(1, pair, worst, true);
            layers(4, pair, worst, true);
        }
    }
    srand(3);
    for (int i = 0; i < 1000; i++) {
        values[i] = 50.0 * rand() / RAND_MAX;
    }
    const char *svg = layers(1000, values, worst, false);
    assert_int_equal(markup_count(svg, "<rect"), 1000);
    assert_true(strlen(svg) < 200000);
}

static void names_stay_text(void **state) {
    (void)state;
    const Str names[] = {STR("</title><script>alert(1)</script>"), STR("\"onload=\"x\xff\n")};
    const double values[] = {1, 2};
    const bool worst[] = {true, false};
    const int groups[] = {0, 0};
    const LayerPlot plot = {"a \"label\" <b>", "", 2, names, values, worst, groups, false};
    Buf b = buf_on(arena);
    svg_layers(&plot, &b);
    markup_check(b.data);
    assert_null(strstr(b.data, "<script"));
    assert_non_null(
        strstr(b.data, "&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;: 1</title>"));
    assert_non_null(strstr(b.data, "&quot;onload=&quot;x\\xff\\x0a: 2</title>"));
    assert_non_null(strstr(b.data, "aria-label=\"a &quot;label&quot; &lt;b&gt;\""));
}

static const char *histogram(int count, int first, double width, const uint64_t *counts, double low,
                             double high) {
    const HistogramPlot plot = {"values", count, first, width, counts, low, high};
    Buf b = buf_on(arena);
    svg_histogram(&plot, &b);
    markup_check(b.data);
    each_between(b.data, " x=\"", 0, 420);
    each_between(b.data, " y=\"", 0, 130);
    each_between(b.data, " width=\"", 0, 420);
    paths_between(b.data, 420, 130);
    assert_null(strstr(b.data, "nan"));
    assert_null(strstr(b.data, "inf"));
    return b.data;
}

static void histograms_show_what_is_cut(void **state) {
    (void)state;
    const uint64_t counts[] = {1, 0, 9, 99, 0, 3, 0, 1};
    const char *svg = histogram(8, -4, 0.5, counts, -1, 1.0); /* -2..2 on x = 8..412 */
    assert_int_equal(markup_count(svg, "class=\"cut\""), 2);
    assert_int_equal(markup_count(svg, "class=\"clip\""), 2);
    assert_non_null(strstr(svg, "class=\"cut\" x=\"8.0\" y=\"18.0\" width=\"101.0\""));
    assert_non_null(strstr(svg, "class=\"cut\" x=\"311.0\" y=\"18.0\" width=\"101.0\""));
    assert_non_null(strstr(svg, "M8.0 112.0V97.9H58.5V112.0H109.0V65.0H159.5V18.0H210.0V112.0"));
    svg = histogram(8, -4, 0.5, counts, -2, 2);
    assert_int_equal(markup_count(svg, "class=\"cut\""), 0);
    svg = histogram(8, 0, 0.5, counts, 0, 8); /* codes reach further than values */
    assert_int_equal(markup_count(svg, "class=\"cut\""), 0);
    assert_non_null(strstr(svg, ">8</text>"));
}

static void odd_histograms_make_a_picture(void **state) {
    (void)state;
    const uint64_t none[4] = {0}, huge[4] = {UINT64_MAX, 1, 0, UINT64_MAX};
    histogram(0, 0, 0, none, 0, 0);
    histogram(4, 0, 0x1p-126, none, 0, 0);
    histogram(4, -2, 3e38, huge, -3e38, 3e38);
    histogram(4, -2, 1, huge, (double)NAN, (double)INFINITY);
    histogram(1, 0, 1e-20, huge, 0, 1e-30);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bar_for_each_layer),
        cmocka_unit_test(a_logarithmic_axis_has_decades),
        cmocka_unit_test(any_values_make_a_picture),
        cmocka_unit_test(names_stay_text),
        cmocka_unit_test(histograms_show_what_is_cut),
        cmocka_unit_test(odd_histograms_make_a_picture),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
