/* The text of the solves of product_lanes.h, for one instruction set. Plain C: what compilers
 * vectorize are the rows or columns of x, which do not meet. */

/* A few rows at a time, turned. */
static void solve_right(const double *l, int64_t ldl, int64_t n, double *x, int64_t ldx,
                        int64_t rows) {
    enum { LANES = 16 };
    double turned[FACTOR_BLOCK][LANES];
    for (int64_t first = 0; first < rows; first += LANES) {
        const int64_t count = rows - first < LANES ? rows - first : LANES;
        double *const from = x + first * ldx;
        memset(turned, 0, sizeof turned);
        for (int64_t j = 0; j < n; j++) {
            for (int64_t i = 0; i < count; i++) {
                turned[j][i] = from[i * ldx + j];
            }
        }
        for (int64_t j = 0; j < n; j++) {
            double sums[LANES];
            memcpy(sums, turned[j], sizeof sums);
            for (int64_t m = 0; m < j; m++) {
                for (int i = 0; i < LANES; i++) {
                    sums[i] -= turned[m][i] * l[j * ldl + m];
                }
            }
            for (int i = 0; i < LANES; i++) {
                turned[j][i] = sums[i] / l[j * ldl + j];
            }
        }
        for (int64_t i = 0; i < count; i++) {
            for (int64_t j = 0; j < n; j++) {
                from[i * ldx + j] = turned[j][i];
            }
        }
    }
}

static void solve_left(const double *l, int64_t ldl, int64_t n, double *x, int64_t ldx,
                       int64_t columns) {
    for (int64_t i = 0; i < n; i++) {
        double *restrict own = x + i * ldx;
        for (int64_t m = 0; m < i; m++) {
            const double *restrict row = x + m * ldx;
            const double factor = l[i * ldl + m];
            for (int64_t j = 0; j < columns; j++) {
                own[j] -= factor * row[j];
            }
        }
        for (int64_t j = 0; j < columns; j++) {
            own[j] /= l[i * ldl + i];
        }
    }
}
