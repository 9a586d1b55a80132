/* The text of a product (product_lanes.h) for one instruction set and one type of element: included
 * once for each. Expects REAL, PRODUCT (of its products), BYTES (of a vector), HEIGHT and VECTORS
 * (of a tile: rows, and vectors of each, whose sums fit the registers), and NAME(x), which makes x
 * a name of its own. b is copied into panels, which tiles then read from end to end; a is read
 * where it lies. */
#define WIDTH ((int64_t)(BYTES / sizeof(REAL)))
#define PANEL (VECTORS * WIDTH)               /* columns of a tile */
#define DEPTH ((int64_t)(512 / sizeof(REAL))) /* rows of a panel */

typedef REAL NAME(Reals) __attribute__((vector_size(BYTES)));
typedef NAME(Reals) __attribute__((aligned(sizeof(REAL)), may_alias)) NAME(LooseReals);

/* c += a b: HEIGHT rows of a and c, a panel of b. */
static inline void NAME(tile)(const REAL *const from[HEIGHT], const REAL *b, int64_t depth, REAL *c,
                              int64_t ldc) {
    NAME(Reals) sums[HEIGHT][VECTORS];
    for (int i = 0; i < HEIGHT; i++) {
        for (int j = 0; j < VECTORS; j++) {
            sums[i][j] = *(const NAME(LooseReals) *)(c + i * ldc + j * WIDTH);
        }
    }
    for (int64_t k = 0; k < depth; k++) {
        NAME(Reals) right[VECTORS];
        for (int j = 0; j < VECTORS; j++) {
            right[j] = *(const NAME(LooseReals) *)(b + k * PANEL + j * WIDTH);
        }
        for (int i = 0; i < HEIGHT; i++) {
            for (int j = 0; j < VECTORS; j++) {
                sums[i][j] += from[i][k] * right[j];
            }
        }
    }
    for (int i = 0; i < HEIGHT; i++) {
        for (int j = 0; j < VECTORS; j++) {
            *(NAME(LooseReals) *)(c + i * ldc + j * WIDTH) = sums[i][j];
        }
    }
}

/* A panel of b: rows [k, k + depth), columns [j, j + columns). */
typedef struct NAME(Panel) {
    const PRODUCT *p;
    int64_t k, depth, j, columns;
    REAL *copy; /* [depth][PANEL], times alpha */
} NAME(Panel);

static void NAME(pack_plain)(const NAME(Panel) * t, const REAL *from) {
    const REAL alpha = t->p->alpha;
    for (int64_t k = 0; k < t->depth; k++) {
        for (int64_t j = 0; j < t->columns; j++) {
            t->copy[k * PANEL + j] = from[k * t->p->ldb + j] * alpha;
        }
    }
}

/* Rows become columns, as many at once as L1 can hold where all lie on the same of its ways. */
static void NAME(pack_turned)(const NAME(Panel) * t, const REAL *from) {
    const REAL alpha = t->p->alpha;
    for (int64_t first = 0; first < t->columns; first += 8) {
        const int64_t end = first + 8 < t->columns ? first + 8 : t->columns;
        for (int64_t k = 0; k < t->depth; k++) {
            for (int64_t j = first; j < end; j++) {
                t->copy[k * PANEL + j] = from[j * t->p->ldb + k] * alpha;
            }
        }
    }
}

/* Whole rows with a choice for each element: short runs would be slower. */
static void NAME(shape)(const NAME(Panel) * t) {
    const bool lower = t->p->shape == SHAPE_LOWER;
    for (int64_t k = 0; k < t->depth; k++) {
        REAL *row = t->copy + k * PANEL;
        const int64_t column = t->k + k - t->j; /* of the diagonal, in the panel */
        const int32_t diagonal = (int32_t)(column < -1 ? -1 : column < PANEL ? column : PANEL);
        for (int32_t j = 0; j < PANEL && lower; j++) {
            row[j] = j > diagonal ? 0 : row[j];
        }
        for (int32_t j = 0; j < PANEL && !lower; j++) {
            const REAL twice = row[j] * 2, once = j == diagonal ? row[j] : twice;
            row[j] = j < diagonal ? 0 : once;
        }
    }
}

static void NAME(pack)(const NAME(Panel) * t) {
    const PRODUCT *p = t->p;
    if (t->columns < PANEL) {
        memset(t->copy, 0, (size_t)(t->depth * PANEL) * sizeof *t->copy);
    }
    if (p->b_transposed) {
        NAME(pack_turned)(t, p->b + t->j * p->ldb + t->k);
    } else {
        NAME(pack_plain)(t, p->b + t->k * p->ldb + t->j);
    }
    if (p->shape != SHAPE_FULL) {
        NAME(shape)(t);
    }
}

/* The tile of c whose first row is i. What would stick out of c is made in a room of its own. */
static void NAME(add_tile)(const NAME(Panel) * t, int64_t i) {
    const PRODUCT *p = t->p;
    const int64_t rows = p->m - i < HEIGHT ? p->m - i : HEIGHT;
    const REAL *from[HEIGHT];
    REAL *c = p->c + i * p->ldc + t->j, room[HEIGHT * PANEL];
    for (int64_t row = 0; row < HEIGHT; row++) {
        from[row] = p->a + (i + (row < rows ? row : 0)) * p->lda + t->k;
    }
    if (rows == HEIGHT && t->columns == PANEL) {
        NAME(tile)(from, t->copy, t->depth, c, p->ldc);
        return;
    }
    const size_t width = (size_t)t->columns * sizeof *c;
    memset(room, 0, sizeof room);
    for (int64_t row = 0; row < rows; row++) {
        memcpy(room + row * PANEL, c + row * p->ldc, width);
    }
    NAME(tile)(from, t->copy, t->depth, room, PANEL);
    for (int64_t row = 0; row < rows; row++) {
        memcpy(c + row * p->ldc, room + row * PANEL, width);
    }
}

static void NAME(begin)(const PRODUCT *p) {
    for (int64_t i = 0; i < p->m && p->beta != 1; i++) {
        REAL *c = p->c + i * p->ldc;
        if (p->beta == 0) {
            memset(c, 0, (size_t)p->n * sizeof *c);
            continue;
        }
        const REAL beta = p->beta;
        for (int64_t j = 0; j < p->n; j++) {
            c[j] *= beta;
        }
    }
}

/* Rows of b in one go, then columns: its rows lie on pages of their own. */
static void NAME(multiply)(const PRODUCT *p) {
    REAL copy[DEPTH * PANEL] __attribute__((aligned(64)));
    NAME(begin)(p);
    for (int64_t first = 0; first < p->k; first += DEPTH) {
        const int64_t last = p->k - first < DEPTH ? p->k : first + DEPTH;
        for (int64_t j = 0; j < p->n; j += PANEL) {
            const int64_t columns = p->n - j < PANEL ? p->n - j : PANEL;
            const int64_t end = p->shape == SHAPE_FOLDED && j + columns < last ? j + columns : last;
            const int64_t k = p->shape == SHAPE_LOWER && j > first ? j : first;
            const NAME(Panel) panel = {p, k, end - k, j, columns, copy};
            if (k >= end) {
                continue;
            }
            NAME(pack)(&panel);
            for (int64_t i = 0; i < p->m; i += HEIGHT) {
                NAME(add_tile)(&panel, i);
            }
        }
    }
}

#undef WIDTH
#undef PANEL
#undef DEPTH
#undef REAL
#undef PRODUCT
#undef NAME
