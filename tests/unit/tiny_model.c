/* Writes protobuf by hand (field numbers from the ONNX specification), so that what is tested never
 * checks itself. Recursion over `body`. */
#include "tests/unit/tiny_model.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Lines {
    Arena *arena;
    char **at;
    size_t next, count;
    int64_t opset;
} Lines;

static void die(const char *line) {
    fprintf(stderr, "tiny_model: cannot read: %s\n", line);
    exit(1);
}

/* ---- protobuf */

static void varint(Buf *b, uint64_t v) {
    while (v >= 0x80) {
        buf_char(b, (char)(v | 0x80));
        v >>= 7;
    }
    buf_char(b, (char)v);
}

static void number(Buf *b, int field, int64_t v) {
    varint(b, (uint64_t)field << 3);
    varint(b, (uint64_t)v);
}

static void bytes(Buf *b, int field, Str s) {
    varint(b, (uint64_t)field << 3 | 2);
    varint(b, s.len);
    buf_str(b, s);
}

static void text(Buf *b, int field, const char *s) {
    bytes(b, field, str_from(s));
}

/* ---- tensors and values */

static int type_of(const char *name, int *bits) {
    static const struct {
        const char *name;
        int type, bits;
    } rows[] = {{"float", 1, 32}, {"uint8", 2, 8},     {"int8", 3, 8},     {"int32", 6, 32},
                {"int64", 7, 64}, {"float16", 10, 16}, {"double", 11, 64}, {"bfloat16", 16, 16},
                {"uint4", 21, 4}, {"int4", 22, 4},     {"bool", 9, 8}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!strcmp(rows[i].name, name)) {
            *bits = rows[i].bits;
            return rows[i].type;
        }
    }
    die(name);
    return 0;
}

static Str tensor(Lines *l, const char *name, const char *type, char **dims, int rank) {
    int bits = 0;
    int64_t count = 1;
    Buf b = buf_on(l->arena);
    for (int i = 0; i < rank; i++) {
        number(&b, 1, atoll(dims[i]));
        count *= atoll(dims[i]);
    }
    number(&b, 2, type_of(type, &bits));
    text(&b, 8, name);
    size_t size = (size_t)((count * bits + 7) / 8);
    bytes(&b, 9, (Str){arena_alloc(l->arena, size + 1), size});
    return buf_view(&b);
}

static Str value_info(Lines *l, char **words, int count) {
    int bits;
    Buf shape = buf_on(l->arena), typed = buf_on(l->arena), type = buf_on(l->arena);
    Buf info = buf_on(l->arena);
    for (int i = 3; i < count; i++) {
        Buf dim = buf_on(l->arena);
        number(&dim, 1, atoll(words[i]));
        bytes(&shape, 1, buf_view(&dim));
    }
    number(&typed, 1, type_of(words[2], &bits));
    bytes(&typed, 2, buf_view(&shape));
    bytes(&type, 1, buf_view(&typed));
    text(&info, 1, words[1]);
    bytes(&info, 2, buf_view(&type));
    return buf_view(&info);
}

/* ---- nodes */

static Str split_list(Lines *l, const char *key, char *value) {
    Buf b = buf_on(l->arena);
    text(&b, 1, key);
    if (*value == '\'') {
        text(&b, 4, value + 1);
        number(&b, 20, 3);
    } else if (!strcmp(key, "value")) {
        char *dims[8], *type = strtok(value, ":"), *word = strtok(NULL, ",");
        int rank = 0;
        for (; word; word = strtok(NULL, ",")) {
            dims[rank++] = word;
        }
        bytes(&b, 5, tensor(l, "", type, dims, rank));
        number(&b, 20, 4);
    } else if (!strchr(value, ',')) {
        number(&b, 3, atoll(value));
        number(&b, 20, 2);
    } else {
        for (char *word = strtok(value, ","); word; word = strtok(NULL, ",")) {
            number(&b, 8, atoll(word));
        }
        number(&b, 20, 7);
    }
    return buf_view(&b);
}

/* "|a|b" -> ['', 'a', 'b'] */
static Str scopes(Lines *l, const char *value) {
    Buf list = buf_on(l->arena), entry = buf_on(l->arena);
    buf_printf(&list, "['");
    for (; *value; value++) {
        if (*value == '|') {
            buf_printf(&list, "', '");
        } else {
            buf_char(&list, *value);
        }
    }
    buf_printf(&list, "']");
    text(&entry, 1, "pkg.torch.onnx.name_scopes");
    bytes(&entry, 2, buf_view(&list));
    return buf_view(&entry);
}

static Str graph(Lines *l, bool function);

static Str node(Lines *l, char **words, int count) {
    Buf b = buf_on(l->arena);
    bool out = false;
    for (int i = 1; i < count; i++) {
        char *equals = strchr(words[i], '=');
        if (!strcmp(words[i], "->")) {
            out = true;
        } else if (equals && out) {
            *equals = 0;
            if (!strcmp(words[i], "domain")) {
                text(&b, 7, equals + 1);
            } else if (!strcmp(words[i], "scopes")) {
                bytes(&b, 9, scopes(l, equals + 1));
            } else {
                bytes(&b, 5, split_list(l, words[i], equals + 1));
            }
        } else if (out && (words[i][0] == '/' || words[i][0] == '@')) {
            text(&b, 3, words[i] + (words[i][0] == '@'));
        } else {
            text(&b, out ? 2 : 1, strcmp(words[i], "-") ? words[i] : "");
        }
    }
    text(&b, 4, words[0]);
    while (l->next < l->count && !strncmp(l->at[l->next], "body ", 5)) {
        Buf attribute = buf_on(l->arena);
        text(&attribute, 1, l->at[l->next++] + 5);
        bytes(&attribute, 6, graph(l, false));
        number(&attribute, 20, 5);
        bytes(&b, 5, buf_view(&attribute));
    }
    return buf_view(&b);
}

/* ---- graphs */

static int split(char *line, char **words) {
    int count = 0;
    for (char *word = strtok(line, " "); word && count < 64; word = strtok(NULL, " ")) {
        words[count++] = word;
    }
    return count;
}

static Str function(Lines *l, char **words, int count) {
    Buf b = buf_on(l->arena), import = buf_on(l->arena);
    bool out = false;
    text(&b, 1, words[2]);
    for (int i = 3; i < count; i++) {
        if (!strcmp(words[i], "->")) {
            out = true;
        } else {
            text(&b, out ? 5 : 4, words[i]);
        }
    }
    text(&import, 1, "");
    number(&import, 2, l->opset);
    bytes(&b, 9, buf_view(&import));
    text(&b, 10, words[1]);
    buf_str(&b, graph(l, true));
    return buf_view(&b);
}

/* Lines up to `end`. Functions of the model are handed out through `functions`. */
static Str graph_lines(Lines *l, bool is_function, Buf *functions) {
    Buf b = buf_on(l->arena);
    if (!is_function) {
        text(&b, 2, "g");
    }
    while (l->next < l->count) {
        char *words[64], *line = l->at[l->next++];
        char *copy = (char *)str_c(l->arena, str_from(line));
        int count = split(copy, words);
        if (count == 0) {
            continue;
        }
        if (!strcmp(words[0], "end")) {
            break;
        }
        if (!strcmp(words[0], "opset")) {
            l->opset = atoll(words[1]);
        } else if (!strcmp(words[0], "input") || !strcmp(words[0], "output")) {
            bytes(&b, words[0][0] == 'i' ? 11 : 12, value_info(l, words, count));
        } else if (!strcmp(words[0], "weight")) {
            bytes(&b, 5, tensor(l, words[1], words[2], words + 3, count - 3));
        } else if (!strcmp(words[0], "function") && functions) {
            bytes(functions, 25, function(l, words, count));
        } else if (count < 3) {
            die(line);
        } else {
            bytes(&b, is_function ? 7 : 1, node(l, words, count));
        }
    }
    return buf_view(&b);
}

static Str graph(Lines *l, bool is_function) {
    return graph_lines(l, is_function, NULL);
}

static void import(Lines *l, Buf *model, const char *domain, int64_t version) {
    Buf b = buf_on(l->arena);
    text(&b, 1, domain);
    number(&b, 2, version);
    bytes(model, 8, buf_view(&b));
}

Str tiny_model(Arena *arena, const char *source) {
    Lines l = {.arena = arena, .opset = 21};
    char *rest = (char *)str_c(arena, str_from(source));
    l.at = arena_many(arena, char *, strlen(source) + 2);
    while (rest) {
        char *end = strchr(rest, '\n');
        l.at[l.count++] = rest + strspn(rest, " ");
        if (end) {
            *end = 0;
        }
        rest = end ? end + 1 : NULL;
    }
    Buf model = buf_on(arena), functions = buf_on(arena);
    number(&model, 1, 10);
    Str main_graph = graph_lines(&l, false, &functions);
    bytes(&model, 7, main_graph);
    import(&l, &model, "", l.opset);
    import(&l, &model, "com.microsoft", 1);
    import(&l, &model, "dom", 1);
    buf_str(&model, buf_view(&functions));
    return buf_view(&model);
}

void tiny_model_write(const char *path, const char *source) {
    Arena *arena = arena_open();
    Str bytes_of = tiny_model(arena, source);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes_of.data, 1, bytes_of.len, f) != bytes_of.len || fclose(f)) {
        die(path);
    }
    arena_close(arena);
}
