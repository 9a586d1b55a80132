/* UTF-8 after Unicode 15 table 3-7 (no overlong forms, no surrogates, nothing above 10FFFF), and
 * the list of characters that could make a terminal show something else than what is there. */
#include "runtime/base/sanitize.h"

typedef struct Decoded {
    uint32_t code;
    size_t length; /* 0: the first byte starts no valid sequence */
} Decoded;

static Decoded decode(Str s) {
    const uint8_t *p = (const uint8_t *)s.data;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (p[0] < 0x80) {
        return (Decoded){p[0], 1};
    }
    size_t length = p[0] >= 0xF8 ? 0 : p[0] >= 0xF0 ? 4 : p[0] >= 0xE0 ? 3 : p[0] >= 0xC0 ? 2 : 0;
    if (length == 0 || length > s.len) {
        return (Decoded){0, 0};
    }
    uint32_t code = p[0] & (0xFFu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return (Decoded){0, 0};
        }
        code = code << 6 | (p[i] & 0x3F);
    }
    if (code < least[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
        return (Decoded){0, 0};
    }
    return (Decoded){code, length};
}

static bool deceives(uint32_t code) {
    static const uint32_t ranges[][2] = {
        {0x00, 0x1F},       /* C0 */
        {0x7F, 0x9F},       /* DEL, C1 */
        {0xAD, 0xAD},       /* soft hyphen */
        {0x61C, 0x61C},     /* Arabic letter mark */
        {0x115F, 0x1160},   /* Hangul fillers */
        {0x17B4, 0x17B5},   /* Khmer inherent vowels */
        {0x180B, 0x180F},   /* Mongolian selectors */
        {0x200B, 0x200F},   /* zero width, direction marks */
        {0x2028, 0x202E},   /* separators, embeddings, overrides */
        {0x2060, 0x206F},   /* word joiner, isolates, deprecated */
        {0x3164, 0x3164},   /* Hangul filler */
        {0xFE00, 0xFE0F},   /* variation selectors */
        {0xFEFF, 0xFEFF},   /* byte order mark */
        {0xFFA0, 0xFFA0},   /* half-width Hangul filler */
        {0xFFF0, 0xFFFB},   /* interlinear annotation */
        {0xE0000, 0xE0FFF}, /* tags, more selectors */
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (code >= ranges[i][0] && code <= ranges[i][1]) {
            return true;
        }
    }
    return false;
}

void buf_safe(Buf *b, Str untrusted) {
    for (size_t at = 0; at < untrusted.len;) {
        Str rest = str_slice(untrusted, at, untrusted.len);
        Decoded d = decode(rest);
        if (d.length == 0) {
            buf_printf(b, "\\x%02x", (uint8_t)rest.data[0]);
        } else if (!deceives(d.code)) {
            buf_add(b, rest.data, d.length);
        } else if (d.code < 0x80) {
            buf_printf(b, "\\x%02x", (unsigned)d.code);
        } else {
            buf_printf(b, "\\u{%x}", (unsigned)d.code);
        }
        at += d.length ? d.length : 1;
    }
}

Str str_safe(Arena *arena, Str untrusted) {
    for (size_t at = 0; at < untrusted.len;) {
        Decoded d = decode(str_slice(untrusted, at, untrusted.len));
        if (d.length == 0 || deceives(d.code)) {
            Buf b = buf_on(arena);
            buf_safe(&b, untrusted);
            return buf_view(&b);
        }
        at += d.length;
    }
    return untrusted;
}

const char *str_safe_c(Arena *arena, Str untrusted) {
    return str_c(arena, str_safe(arena, untrusted));
}

/* Bytes that are no UTF-8 have no JSON form: they appear as buf_safe shows them. */
void buf_json(Buf *b, Str untrusted) {
    buf_char(b, '"');
    for (size_t at = 0; at < untrusted.len;) {
        Str rest = str_slice(untrusted, at, untrusted.len);
        Decoded d = decode(rest);
        if (d.length == 0) {
            buf_printf(b, "\\\\x%02x", (uint8_t)rest.data[0]);
        } else if (d.code == '"' || d.code == '\\') {
            buf_printf(b, "\\%c", (char)d.code);
        } else if (!deceives(d.code)) {
            buf_add(b, rest.data, d.length);
        } else if (d.code < 0x10000) {
            buf_printf(b, "\\u%04x", (unsigned)d.code);
        } else {
            uint32_t pair = d.code - 0x10000;
            buf_printf(b, "\\u%04x\\u%04x", (unsigned)(0xD800 + (pair >> 10)),
                       (unsigned)(0xDC00 + (pair & 0x3FF)));
        }
        at += d.length ? d.length : 1;
    }
    buf_char(b, '"');
}

void buf_html(Buf *b, Str untrusted) {
    const Str safe = str_safe(b->arena, untrusted);
    for (size_t i = 0; i < safe.len; i++) {
        switch (safe.data[i]) {
        case '&': buf_str(b, STR("&amp;")); break;
        case '<': buf_str(b, STR("&lt;")); break;
        case '>': buf_str(b, STR("&gt;")); break;
        case '"': buf_str(b, STR("&quot;")); break;
        case '\'': buf_str(b, STR("&#39;")); break;
        default: buf_char(b, safe.data[i]);
        }
    }
}

bool utf8_valid(Str s, size_t *bad_offset) {
    for (size_t at = 0; at < s.len;) {
        Decoded d = decode(str_slice(s, at, s.len));
        if (d.length == 0) {
            if (bad_offset) {
                *bad_offset = at;
            }
            return false;
        }
        at += d.length;
    }
    return true;
}

size_t utf8_width(Str s) {
    size_t width = 0;
    for (size_t at = 0; at < s.len; width++) {
        Decoded d = decode(str_slice(s, at, s.len));
        at += d.length ? d.length : 1;
    }
    return width;
}
