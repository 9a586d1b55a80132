/* Writes the receipt (receipt.h): stable text, so that equal runs give equal bytes. Names in it are
 * resolved layers, never patterns. Reads one back, whoever wrote it. */
#include "compiler/receipt.h"
#include <cjson/cJSON.h>
#include <sodium.h>
#include <string.h>
#include "runtime/base/sanitize.h"

static void json_hash(const uint8_t hash[32], Buf *out) {
    buf_printf(out, "\"sha256:");
    for (int i = 0; i < 32; i++) {
        buf_printf(out, "%02x", hash[i]);
    }
    buf_char(out, '"');
}

static void json_text_hash(Str text, Buf *out) {
    uint8_t hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, (const unsigned char *)text.data, text.len);
    json_hash(hash, out);
}

static void write_params(const Recipe *recipe, Buf *out) {
    buf_printf(out, ",\n \"params\": {");
    for (size_t i = 0; i < recipe->params.len; i++) {
        Buf value = buf_on(out->arena);
        value_print(recipe->params.at[i].value, &value);
        buf_printf(out, "%s", i ? ", " : "");
        buf_json(out, recipe->params.at[i].name);
        buf_printf(out, ": ");
        buf_json(out, buf_view(&value));
    }
    buf_printf(out, "}");
}

static void write_sources(const Recipe *recipe, Buf *out) {
    buf_printf(out, ",\n \"imports\": {");
    int count = 0;
    for (size_t i = 0; i < recipe->sources.len; i++) {
        const Source *source = recipe->sources.at[i];
        if (source != recipe->source) {
            buf_printf(out, "%s", count++ ? ", " : "");
            buf_json(out, source->name);
            buf_printf(out, ": ");
            json_text_hash(source->text, out);
        }
    }
    buf_printf(out, "}");
}

/* Only of recipes with more than one stage: which of them did it. */
static void write_stage(const Plan *plan, const PlanOwner *owner, const char *key, Buf *out) {
    Str stage = plan_stage(plan, owner);
    if (stage.len) {
        buf_printf(out, ", \"%s\": ", key);
        buf_json(out, stage);
    }
}

static void write_layer(const Plan *plan, const PlanLayer *layer, Buf *out) {
    buf_printf(out, "{\"path\": ");
    buf_json(out, layer->layer->path);
    if (layer->skip) {
        buf_printf(out, ", \"skip\": true");
    }
    if (layer->prune == PRUNE_NM) {
        buf_printf(out, ", \"prune\": \"%d:%d\"", layer->keep, layer->group);
    } else if (layer->prune == PRUNE_RATIO) {
        buf_printf(out, ", \"prune\": \"%.17g\"", layer->fraction);
    }
    if (layer->prune != PRUNE_NONE) {
        write_stage(plan, &layer->owner[0], "prune_stage", out);
    }
    if (layer->quantized) {
        const PlanFormat *format = &layer->format;
        buf_printf(out, ", \"weight\": \"%s", format->element->name);
        if (format->granule == GRANULE_BLOCK) {
            buf_printf(out, " per block(%lld)", (long long)format->block);
        } else {
            buf_printf(out, " per %s", format->granule == GRANULE_CHANNEL ? "channel" : "tensor");
        }
        if (format->scale) {
            buf_printf(out, " scale %s", format->scale->name);
        }
        buf_printf(out, "\", \"axis\": %d, \"method\": \"%s\"", format->axis,
                   format->method == METHOD_MSE ? "mse" : "max");
        if (layer->round != ROUND_NEAREST) {
            buf_printf(out, ", \"round\": \"%s\"", plan_round_name(layer->round));
        }
        write_stage(plan, &layer->owner[1], "weight_stage", out);
    }
    Buf input = buf_on(out->arena);
    plan_input_print(plan, layer, &input);
    if (input.len) {
        buf_printf(out, ", \"input\": ");
        buf_json(out, buf_view(&input));
    }
    buf_char(out, '}');
}

void receipt_json(const Plan *plan, const ReceiptData *data, Buf *out) {
    const Recipe *recipe = plan->recipe;
    buf_printf(out, "{\"morc\": \"%s\",\n \"recipe\": ", MORC_VERSION);
    json_text_hash(recipe->source ? recipe->source->text : STR(""), out);
    write_sources(recipe, out);
    buf_printf(out, ",\n \"graph\": ");
    json_hash(plan->layers->model->graph_hash, out);
    buf_printf(out, ",\n \"bytes\": %llu", (unsigned long long)plan->layers->model->input->size);
    if (data) {
        buf_printf(out, ",\n \"data\": ");
        json_hash(data->hash, out);
        buf_printf(out, ",\n \"samples\": %lld,\n \"engine\": ", (long long)data->samples);
        buf_json(out, data->engine);
    }
    write_params(recipe, out);
    buf_printf(out, ",\n \"emit\": \"%s\",\n \"layers\": [",
               recipe->emit ? recipe->emit->schema->name : "qdq");
    for (size_t i = 0; i < plan->layers_planned.len; i++) {
        buf_printf(out, "%s\n  ", i ? "," : "");
        write_layer(plan, &plan->layers_planned.at[i], out);
    }
    buf_printf(out, "]}\n");
}

void receipt_attach(Session *s, const Plan *plan, const ReceiptData *data) {
    Buf json = buf_on(s->arena);
    receipt_json(plan, data, &json);
    Model *model = plan->layers->model;
    if (plan->recipe->source) {
        edit_metadata(model, STR("mor.recipe"), plan->recipe->source->text);
    }
    edit_metadata(model, STR("mor.receipt"), buf_view(&json));
}

/* ---- reading */

static Str text_of(Arena *arena, const cJSON *root, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, key);
    return cJSON_IsString(item) ? str_copy(arena, str_safe(arena, str_from(item->valuestring)))
                                : STR("");
}

bool receipt_read(Arena *arena, const Model *model, ReceiptSummary *out) {
    const char *text = NULL;
    for (size_t i = 0; i < model->proto->n_metadata_props && !text; i++) {
        const Onnx__StringStringEntryProto *entry = model->proto->metadata_props[i];
        text = entry->key && strcmp(entry->key, "mor.receipt") == 0 ? entry->value : NULL;
    }
    *out = (ReceiptSummary){.samples = -1};
    if (!text) {
        return false;
    }
    cJSON *root = cJSON_Parse(text);
    const cJSON *samples = cJSON_GetObjectItemCaseSensitive(root, "samples");
    out->readable = cJSON_IsObject(root);
    out->morc = text_of(arena, root, "morc");
    out->recipe = text_of(arena, root, "recipe");
    out->data = text_of(arena, root, "data");
    out->engine = text_of(arena, root, "engine");
    if (cJSON_IsNumber(samples) && samples->valuedouble >= 0 && samples->valuedouble < 0x1p53) {
        out->samples = (int64_t)samples->valuedouble;
    }
    cJSON_Delete(root);
    return true;
}

void receipt_print(const Model *model, Buf *out) {
    ReceiptSummary r;
    enum { SHORT = 19 }; /* of a hash, "sha256:" included: enough to tell two apart */
    if (!receipt_read(out->arena, model, &r)) {
        return;
    }
    if (!r.readable) {
        buf_printf(out, "its receipt cannot be read\n");
        return;
    }
    buf_printf(out, "made by morc %.*s, recipe %.*s", STR_ARG(r.morc),
               STR_ARG(str_slice(r.recipe, 0, SHORT)));
    if (r.data.len) {
        buf_printf(out, ", data %.*s", STR_ARG(str_slice(r.data, 0, SHORT)));
        if (r.samples >= 0) {
            buf_printf(out, " (%lld samples)", (long long)r.samples);
        }
        buf_printf(out, ", %.*s", STR_ARG(r.engine));
    }
    buf_char(out, '\n');
}
