/* The loops of lanes_body.h over the elements of a tile that need only their bits: magnitudes are
 * integers that order like the weights. Included there twice, for singles and for halves, with
 * Lane (a signed integer), Element (the same of any alignment), GROUPS (a list for each group of
 * four lanes of a native vector) and WIDTH(name), which makes a name of its own for each. */

#define MAGNITUDE ((Lane)((1ull << (8 * sizeof(Lane) - 1)) - 1))

/* An element as an integer of the order of the values; its own inverse. -0 comes just below +0. */
INLINE Lane WIDTH(ordered)(Lane e) {
    return (Lane)(e ^ ((e >> (8 * sizeof(Lane) - 1)) & MAGNITUDE));
}

static uint32_t WIDTH(largest)(const Element *restrict e, int64_t n) {
    Lane top = 0;
    for (int64_t i = 0; i < n; i++) {
        const Lane m = e[i] & MAGNITUDE;
        top = m > top ? m : top;
    }
    return (uint32_t)top;
}

/* ---- pruning */

static void WIDTH(cut)(Element *restrict e, int64_t n, Lane last) {
    for (int64_t i = 0; i < n; i++) {
        e[i] = (e[i] & MAGNITUDE) <= last ? (Lane)0 : e[i];
    }
}

typedef Lane WIDTH(Vector) __attribute__((vector_size(LANES_BYTES)));

/* Groups of four neighbours: of each lane, how many of the other three come before it. Lanes are
 * turned within their group; of equal ones the lower lane comes first. */
INLINE WIDTH(Vector) WIDTH(before)(WIDTH(Vector) m) {
    const WIDTH(Vector) by_1 = __builtin_shufflevector(m, m, GROUPS(BY_1));
    const WIDTH(Vector) by_2 = __builtin_shufflevector(m, m, GROUPS(BY_2));
    const WIDTH(Vector) by_3 = __builtin_shufflevector(m, m, GROUPS(BY_3));
    const WIDTH(Vector) tie_1 = {GROUPS(TIE_1)}, tie_2 = {GROUPS(TIE_2)}, tie_3 = {GROUPS(TIE_3)};
    return -((by_1 + tie_1 > m) + (by_2 + tie_2 > m) + (by_3 + tie_3 > m)); /* true is -1 */
}

INLINE void WIDTH(prune_four)(Element *e, int keep) {
    WIDTH(Vector) x;
    memcpy(&x, e, sizeof x);
    x &= WIDTH(before)(x & MAGNITUDE) < (Lane)keep;
    memcpy(e, &x, sizeof x);
}

static void WIDTH(prune_run)(Element *restrict e, int64_t n, int keep, int group,
                             uint8_t *restrict drop) {
    int64_t i = 0;
    for (; group == 4 && i + LANES_BYTES / (int)sizeof *e <= n; i += LANES_BYTES / (int)sizeof *e) {
        WIDTH(prune_four)(e + i, keep);
    }
    for (; i < n; i += group) {
        const int rows = n - i < group ? (int)(n - i) : group;
        for (int a = 0; a < rows; a++) {
            const Lane mine = e[i + a] & MAGNITUDE;
            int before = 0;
            for (int b = 0; b < rows; b++) {
                const Lane other = e[i + b] & MAGNITUDE;
                before += b < a ? other >= mine : b > a && other > mine;
            }
            drop[a] = before >= keep;
        }
        for (int a = 0; a < rows; a++) {
            e[i + a] = drop[a] ? (Lane)0 : e[i + a];
        }
    }
}

static void WIDTH(prune_four_columns)(Element *restrict e0, Element *restrict e1,
                                      Element *restrict e2, Element *restrict e3, int64_t columns,
                                      Lane keep) {
    for (int64_t j = 0; j < columns; j++) {
        const Lane w0 = e0[j], w1 = e1[j], w2 = e2[j], w3 = e3[j];
        const Lane a = w0 & MAGNITUDE, b = w1 & MAGNITUDE;
        const Lane c = w2 & MAGNITUDE, d = w3 & MAGNITUDE;
        const Lane ab = a >= b, ac = a >= c, ad = a >= d, bc = b >= c, bd = b >= d, cd = c >= d;
        e0[j] = (Lane)(3 - ab - ac - ad) >= keep ? (Lane)0 : w0;
        e1[j] = (Lane)(ab + 2 - bc - bd) >= keep ? (Lane)0 : w1;
        e2[j] = (Lane)(ac + bc + 1 - cd) >= keep ? (Lane)0 : w2;
        e3[j] = (Lane)(ad + bd + cd) >= keep ? (Lane)0 : w3;
    }
}

static void WIDTH(prune_columns)(Element *restrict e, int64_t stride, int rows, int64_t columns,
                                 int keep, uint8_t *restrict drop) {
    if (rows <= keep) {
        return;
    }
    if (rows == 4) {
        WIDTH(prune_four_columns)
        (e, e + stride, e + 2 * stride, e + 3 * stride, columns, (Lane)keep);
        return;
    }
    for (int i = 0; i < rows; i++) {
        for (int64_t first = 0; first < columns; first += 256) {
            Lane before[256] = {0};
            const int64_t n = columns - first < 256 ? columns - first : 256;
            const Element *const mine = e + i * stride + first;
            for (int o = 0; o < rows; o++) {
                const Element *const other = e + o * stride + first;
                const Lane tie = o < i; /* the lower index stays */
                for (int64_t j = 0; j < n && o != i; j++) {
                    const Lane m = mine[j] & MAGNITUDE, x = other[j] & MAGNITUDE;
                    before[j] = (Lane)(before[j] + (x >= m ? tie : 0) + (x > m ? !tie : 0));
                }
            }
            for (int64_t j = 0; j < n; j++) {
                drop[i * columns + first + j] = before[j] >= keep;
            }
        }
    }
    for (int i = 0; i < rows; i++) {
        for (int64_t j = 0; j < columns; j++) {
            e[i * stride + j] = drop[i * columns + j] ? (Lane)0 : e[i * stride + j];
        }
    }
}

/* ---- ranges: of magnitudes (hi alone), or of values */

INLINE Lane WIDTH(value)(bool asymmetric, Lane e) {
    return asymmetric ? WIDTH(ordered)(e) : (Lane)(e & MAGNITUDE);
}
INLINE Lane WIDTH(more)(Lane a, Lane b) {
    return a > b ? a : b;
}
INLINE Lane WIDTH(less)(Lane a, Lane b) {
    return a < b ? a : b;
}

/* Widens ranges by ends that were found among elements. */
INLINE void WIDTH(merge)(int type, bool asymmetric, const Lane *restrict bottom,
                         const Lane *restrict top, int64_t n, int32_t *restrict lo,
                         int32_t *restrict hi) {
    for (int64_t i = 0; i < n; i++) {
        const int32_t high = WIDTH(order)(type, top[i]);
        hi[i] = high > hi[i] ? high : hi[i];
    }
    for (int64_t i = 0; i < n && asymmetric; i++) {
        const int32_t low = WIDTH(order)(type, bottom[i]);
        lo[i] = low < lo[i] ? low : lo[i];
    }
}

INLINE void WIDTH(range_columns_of)(int type, bool asymmetric, const Element *restrict e,
                                    int64_t stride, int64_t rows, int64_t columns,
                                    int32_t *restrict lo, int32_t *restrict hi) {
    for (int64_t first = 0; first < columns; first += 256) {
        const int64_t n = columns - first < 256 ? columns - first : 256;
        Lane bottom[256] = {0}, top[256] = {0};
        for (int64_t r = 0; r < rows; r++) {
            const Element *const row = e + r * stride + first;
            for (int64_t j = 0; j < n; j++) {
                const Lane v = WIDTH(value)(asymmetric, row[j]);
                top[j] = WIDTH(more)(v, top[j]);
                bottom[j] = asymmetric ? WIDTH(less)(v, bottom[j]) : (Lane)0;
            }
        }
        WIDTH(merge)(type, asymmetric, bottom, top, n, lo + first, hi + first);
    }
}

INLINE void WIDTH(range_run)(int type, bool asymmetric, const Element *restrict e, int64_t n,
                             int32_t *restrict lo, int32_t *restrict hi) {
    Lane bottom = 0, top = 0;
    for (int64_t i = 0; i < n; i++) {
        const Lane v = WIDTH(value)(asymmetric, e[i]);
        top = WIDTH(more)(v, top);
        bottom = asymmetric ? WIDTH(less)(v, bottom) : (Lane)0;
    }
    WIDTH(merge)(type, asymmetric, &bottom, &top, 1, lo, hi);
}

/* Ends of each four neighbours; n fours. */
INLINE void WIDTH(four)(bool most, const Lane *restrict v, int64_t n, Lane *restrict ends) {
    for (int64_t i = 0; i < n; i++) {
        const Lane a = v[4 * i], b = v[4 * i + 1], c = v[4 * i + 2], d = v[4 * i + 3];
        ends[i] = most ? WIDTH(more)(WIDTH(more)(a, b), WIDTH(more)(c, d))
                       : WIDTH(less)(WIDTH(less)(a, b), WIDTH(less)(c, d));
    }
}
INLINE void WIDTH(four_elements)(bool most, bool asymmetric, const Element *restrict e, int64_t n,
                                 Lane *restrict ends) {
    for (int64_t i = 0; i < n; i++) {
        const Lane a = WIDTH(value)(asymmetric, e[4 * i]);
        const Lane b = WIDTH(value)(asymmetric, e[4 * i + 1]);
        const Lane c = WIDTH(value)(asymmetric, e[4 * i + 2]);
        const Lane d = WIDTH(value)(asymmetric, e[4 * i + 3]);
        ends[i] = most ? WIDTH(more)(WIDTH(more)(a, b), WIDTH(more)(c, d))
                       : WIDTH(less)(WIDTH(less)(a, b), WIDTH(less)(c, d));
    }
}

enum { WIDTH(SHORT) = 1024 }; /* elements at a time */

/* Ends of short runs, held against 0. */
INLINE void WIDTH(ends_of)(bool most, bool asymmetric, const Element *restrict e, int64_t length,
                           Lane *restrict ends) {
    Lane fours[WIDTH(SHORT) / 4];
    WIDTH(four_elements)(most, asymmetric, e, WIDTH(SHORT) / 4, fours);
    WIDTH(four)(most, fours, WIDTH(SHORT) / 16, ends);
    for (int64_t i = 0; i < WIDTH(SHORT) / length; i++) {
        const Lane a = ends[length / 16 * i], b = ends[length / 16 * (i + 1) - 1];
        ends[i] = most ? WIDTH(more)(WIDTH(more)(a, b), 0) : WIDTH(less)(WIDTH(less)(a, b), 0);
    }
}

/* Short runs, of 16 or 32, many at a time, in steps that compilers make of permutations: one run
 * alone would cost as much in the last steps as in all others. Returns how far it came. */
INLINE int64_t WIDTH(range_short)(int type, bool asymmetric, const Element *restrict e, int64_t n,
                                  int64_t length, int32_t *restrict lo, int32_t *restrict hi) {
    int64_t at = 0;
    for (; at + WIDTH(SHORT) <= n; at += WIDTH(SHORT)) {
        Lane bottom[WIDTH(SHORT) / 16], top[WIDTH(SHORT) / 16];
        WIDTH(ends_of)(true, asymmetric, e + at, length, top);
        if (asymmetric) {
            WIDTH(ends_of)(false, asymmetric, e + at, length, bottom);
        }
        WIDTH(merge)
        (type, asymmetric, bottom, top, WIDTH(SHORT) / length, lo + at / length, hi + at / length);
    }
    return at;
}

INLINE void WIDTH(range_runs_of)(int type, bool asymmetric, const Element *restrict e, int64_t n,
                                 int64_t length, int32_t *restrict lo, int32_t *restrict hi) {
    int64_t at = 0;
    if (length == 16) {
        at = WIDTH(range_short)(type, asymmetric, e, n, 16, lo, hi);
    } else if (length == 32) {
        at = WIDTH(range_short)(type, asymmetric, e, n, 32, lo, hi);
    }
    for (int64_t run = at / length; at < n; at += length, run++) {
        WIDTH(range_run)
        (type, asymmetric, e + at, n - at < length ? n - at : length, lo + run, hi + run);
    }
}

static void WIDTH(range_columns)(int type, bool asymmetric, const Element *e, int64_t stride,
                                 int64_t rows, int64_t columns, int32_t *lo, int32_t *hi) {
    if (asymmetric) {
        WIDTH(range_columns_of)(type, true, e, stride, rows, columns, lo, hi);
    } else {
        WIDTH(range_columns_of)(type, false, e, stride, rows, columns, lo, hi);
    }
}

static void WIDTH(range_runs)(int type, bool asymmetric, const Element *e, int64_t n,
                              int64_t length, int32_t *lo, int32_t *hi) {
    if (asymmetric) {
        WIDTH(range_runs_of)(type, true, e, n, length, lo, hi);
    } else {
        WIDTH(range_runs_of)(type, false, e, n, length, lo, hi);
    }
}

#undef MAGNITUDE
