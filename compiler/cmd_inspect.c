/* `morc inspect MODEL [SELECTOR]`: the layers of a model as selectors see them; of all of it, who
 * made it, too. */
#include "compiler/cmd.h"
#include "compiler/frontend.h"
#include "compiler/plan.h"
#include "compiler/receipt.h"
#include "runtime/base/sanitize.h"

static void layer_json(Console *c, const Layer *layer) {
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "type", "layer");
    json_text(o, "path", layer->path);
    json_text(o, "op", layer->node->op);
    json_text(o, "name", str_from(layer->node->proto->name));
    cJSON_AddStringToObject(o, "found_by", path_from_name(layer->path_from));
    if (layer->weight) {
        json_text(o, "weight", layer->weight->name);
        cJSON_AddNumberToObject(o, "k", (double)layer->k);
        cJSON_AddNumberToObject(o, "n", (double)layer->n);
        cJSON_AddNumberToObject(o, "params", (double)layer->params);
        cJSON_AddStringToObject(o, "dtype", type_name(layer->weight->type));
    }
    json_text(o, "state", layer->state);
    console_json(c, o);
}

static void receipt_to_json(Console *c, const Model *model) {
    ReceiptSummary r;
    if (!receipt_read(c->s->arena, model, &r)) {
        return;
    }
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "type", "receipt");
    cJSON_AddBoolToObject(o, "readable", r.readable);
    json_text(o, "morc", r.morc);
    json_text(o, "recipe", r.recipe);
    if (r.data.len) {
        json_text(o, "data", r.data);
        cJSON_AddNumberToObject(o, "samples", (double)r.samples);
        json_text(o, "engine", r.engine);
    }
    console_json(c, o);
}

bool cmd_inspect(Console *c, const Args *args) {
    Session *s = c->s;
    Model *model = model_open(s, args->files.at[0]);
    TRY(model);
    Layers *layers = layers_index(s, model);
    bool ok = layers != NULL;
    LayerSet set = {0};
    if (ok && args->files.len > 1) {
        const Selector *selector = NULL;
        ok = frontend_selector(s, args->files.at[1], &selector) &&
             select_layers(s, layers, selector, &set);
    }
    if (ok) {
        Buf b = buf_on(s->arena);
        layers_print(layers, args->files.len > 1 ? &set : NULL, &b);
        if (args->files.len < 2) {
            receipt_print(model, &b);
            receipt_to_json(c, model);
        }
        console_out(c, buf_view(&b));
        for (size_t i = 0; c->json && i < layers->all.len; i++) {
            if (args->files.len < 2 || set.has[i]) {
                layer_json(c, &layers->all.at[i]);
            }
        }
    }
    model_close(model);
    return ok;
}
