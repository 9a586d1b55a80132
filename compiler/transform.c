/* The table of transforms. A step finds its row by the name of its schema. */
#include "compiler/transform.h"

const Transform *const transforms[] = {
#define TRANSFORM(name) &transform_##name,
#include "compiler/transforms.list"
#undef TRANSFORM
    NULL,
};

const Transform *transform_find(const Schema *schema) {
    for (int i = 0; transforms[i]; i++) {
        if (strcmp(transforms[i]->schema.name, schema->name) == 0) {
            return transforms[i];
        }
    }
    return NULL;
}
