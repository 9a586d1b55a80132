/* The table of product_lanes.h for one instruction set: expects BYTES, HEIGHT and VECTORS of
 * product_lanes_body.h, which it takes in for both types, LANES (the name of the table),
 * PRODUCT_LANES_NAME and USABLE(). */
#include "runtime/calib/product_lanes.h"
#include <string.h>

#define REAL float
#define PRODUCT Product
#define NAME(x) x##_single
#include "runtime/calib/product_lanes_body.h"

#define REAL double
#define PRODUCT WideProduct
#define NAME(x) x##_wide
#include "runtime/calib/product_lanes_body.h"

#include "runtime/calib/factor_lanes_body.h"

static bool usable(void) {
    return USABLE();
}

const ProductLanes LANES = {
    .name = PRODUCT_LANES_NAME,
    .usable = usable,
    .multiply = multiply_single,
    .multiply_wide = multiply_wide,
    .solve_right = solve_right,
    .solve_left = solve_left,
};
