/* Messages about selectors that find nothing or too much; called by select.c alone. */
#ifndef COMPILER_SELECT_REPORT_H
#define COMPILER_SELECT_REPORT_H
#include "compiler/select.h"

/* E0301 for a glob, regex or op. rule: whose selector it stands in, or NULL. taken_from: what it is
 * subtracted from when it stands on the right of `-`, else NULL. */
void report_no_match(Session *s, const Layers *layers, const Selector *selector, const Rule *rule,
                     const LayerSet *taken_from);
/* E0301 for a rule whose selector is empty although its patterns and ops match. */
void report_empty_rule(Session *s, const Layers *layers, const Rule *rule);
/* E0302: block(n) past the blocks that the model has. */
void report_no_block(Session *s, const Layers *layers, const Selector *selector);
/* W0302, if the regex also matches layers that the same text, dots taken literally, would not. */
void lint_regex(Session *s, const Layers *layers, const Selector *selector,
                const LayerSet *matched);

#endif
