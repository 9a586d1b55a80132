/* ProductLanes for any processor, and the choice between the variants. */
#define LANES product_lanes_base
#define PRODUCT_LANES_NAME "base"
#define BYTES 16
#define HEIGHT 4
#define VECTORS 2
#define USABLE() true
#include "runtime/calib/product_lanes_types.h"

const ProductLanes *const product_lanes_all[] = {
    &product_lanes_base,
#ifdef __x86_64__
    &product_lanes_avx2,
    &product_lanes_avx512,
#endif
};
const int product_lanes_count = sizeof product_lanes_all / sizeof *product_lanes_all;

const ProductLanes *product_lanes_best(void) {
    int i = product_lanes_count - 1;
    while (!product_lanes_all[i]->usable()) {
        i--;
    }
    return product_lanes_all[i];
}
