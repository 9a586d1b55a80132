/* StatLanes for any processor, and the choice between the variants. */
typedef double Doubles __attribute__((vector_size(16)));
#define LANES stat_lanes_base
#define STAT_LANES_NAME "base"
#define WIDTH 2
#define SPREAD(x) ((Doubles){(x), (x)})
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#define USABLE() true
#include "runtime/calib/stat_lanes_body.h"

const StatLanes *const stat_lanes_all[] = {
    &stat_lanes_base,
#ifdef __x86_64__
    &stat_lanes_avx2,
    &stat_lanes_avx512,
#endif
};
const int stat_lanes_count = sizeof stat_lanes_all / sizeof *stat_lanes_all;

const StatLanes *stat_lanes_best(void) {
    int i = stat_lanes_count - 1;
    while (!stat_lanes_all[i]->usable()) {
        i--;
    }
    return stat_lanes_all[i];
}
