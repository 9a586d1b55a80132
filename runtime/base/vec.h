/* Typed vectors on an arena: `Vec(int) v = {0}; vec_push(arena, &v, 3); v.at[0]`. Growing leaves
 * the old storage to the arena. Vec(T) makes a new type at each use: typedef what is passed. */
#ifndef RUNTIME_BASE_VEC_H
#define RUNTIME_BASE_VEC_H
#include <string.h>
#include "runtime/base/arena.h"

#define Vec(T)                                                                                     \
    struct {                                                                                       \
        T *at;                                                                                     \
        size_t len, cap;                                                                           \
    }

#define vec_reserve(arena, v, n)                                                                   \
    do {                                                                                           \
        size_t vec_want_ = (n);                                                                    \
        if (vec_want_ > (v)->cap) {                                                                \
            size_t vec_cap_ = (v)->cap * 2 > vec_want_ ? (v)->cap * 2 : vec_want_;                 \
            vec_cap_ = vec_cap_ < 8 ? 8 : vec_cap_;                                                \
            void *vec_new_ = arena_array((arena), vec_cap_, sizeof *(v)->at);                      \
            if ((v)->len) {                                                                        \
                memcpy(vec_new_, (v)->at, (v)->len * sizeof *(v)->at);                             \
            }                                                                                      \
            (v)->at = vec_new_;                                                                    \
            (v)->cap = vec_cap_;                                                                   \
        }                                                                                          \
    } while (0)

#define vec_push(arena, v, ...)                                                                    \
    do {                                                                                           \
        vec_reserve((arena), (v), (v)->len + 1);                                                   \
        (v)->at[(v)->len++] = (__VA_ARGS__);                                                       \
    } while (0)

#define vec_last(v) ((v)->at[(v)->len - 1])

#endif
