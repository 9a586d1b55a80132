/* Is a text well-formed: tags that nest and end, attributes in double quotes, no stray `<` and no
 * unknown `&`? As XML has it, but for a few elements of HTML that have no end. */
#ifndef TESTS_UNIT_MARKUP_H
#define TESTS_UNIT_MARKUP_H
#include "tests/unit/unit.h"

static inline const char *markup_entity(const char *p) {
    static const char *const known[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strncmp(p, known[i], strlen(known[i])) == 0) {
            return p + strlen(known[i]);
        }
    }
    fail_msg("an & that is no entity: %.40s", p);
    return p;
}

/* ` name="value"`... up to `>` or `/>` */
static inline const char *markup_attributes(const char *p) {
    while (*p == ' ') {
        p += 1 + strspn(p + 1, "abcdefghijklmnopqrstuvwxyzBV-");
        if (*p != '=' || p[1] != '"') {
            fail_msg("an attribute without a quoted value: %.40s", p);
        }
        for (p += 2; *p != '"';) {
            assert_true(*p && *p != '<' && *p != '>');
            p = *p == '&' ? markup_entity(p) : p + 1;
        }
        p++;
    }
    return p;
}

static inline size_t markup_name(const char *p) {
    return strspn(p, "abcdefghijklmnopqrstuvwxyz123456789");
}

static inline bool markup_is(const char *name, size_t length, const char *word) {
    return length == strlen(word) && memcmp(name, word, length) == 0;
}

/* Returns how many elements there are; texts of <style> and <script> are passed over. */
static inline int markup_check(const char *text) {
    const char *open[64] = {NULL};
    int depth = 0, elements = 0;
    for (const char *p = text; *p;) {
        if (*p == '&') {
            p = markup_entity(p);
        } else if (*p != '<') {
            p++;
        } else if (strncmp(p, "<!DOCTYPE html>", 15) == 0) {
            p += 15;
        } else if (p[1] == '/') {
            const char *name = p + 2;
            const size_t length = markup_name(name);
            if (depth == 0 || strncmp(open[--depth], name, length) != 0 ||
                markup_name(open[depth]) != length || name[length] != '>') {
                fail_msg("an end without its beginning: %.40s", p);
            }
            p = name + length + 1;
        } else {
            const char *name = p + 1;
            const size_t length = markup_name(name);
            assert_true(length > 0);
            elements++;
            p = markup_attributes(name + length);
            const bool ends = p[0] == '/' || markup_is(name, length, "meta");
            p += p[0] == '/';
            if (*p != '>') {
                fail_msg("a tag that does not end: %.60s", name);
            }
            p++;
            if (markup_is(name, length, "style") || markup_is(name, length, "script")) {
                p = strstr(p, name[1] == 't' ? "</style>" : "</script>");
                assert_non_null(p);
            }
            if (!ends) {
                assert_true(depth < 64);
                open[depth++] = name;
            }
        }
    }
    if (depth != 0) {
        fail_msg("never ended: %.40s", open[depth - 1]);
    }
    return elements;
}

static inline int markup_count(const char *text, const char *part) {
    int count = 0;
    for (const char *p = strstr(text, part); p; p = strstr(p + 1, part)) {
        count++;
    }
    return count;
}

#endif
