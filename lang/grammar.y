// The grammar of .mor (language.md 2.3) for Lemon: LALR(1), no conflicts. A rule is one line, an
// action one call. One grammar serves files and single expressions: the driver feeds a mode token
// first. Errors are found by the driver (parse.c), which asks whether a token is acceptable before
// feeding it.
%include {
#include "lang/build.h"
#define SPAN(t) token_span(p, t)
}
%name Mor
%token_prefix TK_
%token_type {Token}
%default_type {Ast *}
%extra_argument {Parse *p}
%stack_size 1000
%stack_overflow { p->overflow = true; }
%syntax_error { p->refused = true; }

// Contextual words: plain names wherever the grammar would refuse them.
%fallback ID MOR USE AS PARAM SELECT FORMAT DATA FN TRANSFORM TARGET EMIT STAGE OVERRIDE
             INCLUDE WITHIN EXPECT PER SCALE DYNAMIC.

%nonassoc ELSE.
%left OR.
%left AND.
%right NOT.
%nonassoc EQ NE LT LE GT GE IN.
%nonassoc DOTDOT.
%left BAR.
%left AMP.
%left SHL SHR.
%left PLUS MINUS.
%left STAR SLASH PERCENT.
%right BANG UMINUS.
%nonassoc BARE_GRANULARITY.        // `per block` alone yields to `per block(128)`
%nonassoc LPAREN.

input ::= MODE_FILE(M) items(L).   { p->result = build_wrapped(p, AST_RECIPE, M, NULL, L, M); }
input ::= MODE_EXPR expr(E).       { p->result = E; }

%type items {AstList *}
items(A) ::= .                     { A = build_list(p); }
items(A) ::= items(L) item(B).     { A = build_append(p, L, B); }
item(A) ::= bare(B).               { A = B; }
item(A) ::= step(B) SEP.           { A = B; }
item(A) ::= error SEP.             { A = NULL; }

// ---- declarations and settings
bare(A) ::= MOR(K) NUMBER(N) SEP.  { A = build(p, AST_EDITION, SPAN(K), SPAN(N)); A->a = build_leaf(p, AST_NUMBER, N); }
bare(A) ::= USE(K) STRING(S) SEP.  { A = build(p, AST_USE, SPAN(K), SPAN(S)); A->a = build_leaf(p, AST_STRING, S); }
bare(A) ::= USE(K) STRING(S) AS ID(N) SEP. { A = build_named(p, AST_USE, K, N, SPAN(N)); A->a = build_leaf(p, AST_STRING, S); }
bare(A) ::= PARAM(K) ID(N) COLON ID(T) range(R) init(I) SEP. { A = build_named(p, AST_PARAM, K, N, I ? I->span : R ? R->span : SPAN(T)); A->type_span = SPAN(T); A->type = intern(&p->session->names, span_text(SPAN(T))); A->a = R; A->b = I; }
range(A) ::= .                     { A = NULL; }
range(A) ::= IN expr(E).           { A = E; }
init(A) ::= .                      { A = NULL; }
init(A) ::= ASSIGN expr(E).        { A = E; }
bare(A) ::= LET(K) ID(N) ASSIGN expr(E) SEP.    { A = build_named(p, AST_LET, K, N, E->span); A->a = E; }
bare(A) ::= SELECT(K) ID(N) ASSIGN expr(E) SEP. { A = build_named(p, AST_SELECT, K, N, E->span); A->a = E; }
bare(A) ::= FORMAT(K) ID(N) ASSIGN expr(E) SEP. { A = build_named(p, AST_FORMAT, K, N, E->span); A->a = E; }
bare(A) ::= DATA(K) ID(N) ASSIGN expr(E) SEP.   { A = build_named(p, AST_DATA, K, N, E->span); A->a = E; }
bare(A) ::= FN(K) ID(N) LPAREN names(L) RPAREN ASSIGN expr(E) SEP. { A = build_named(p, AST_FN, K, N, E->span); A->kids = *L; A->a = E; }
bare(A) ::= FN(K) ID(N) LPAREN names(L) RPAREN LBRACE lets(D) expr(E) SEP RBRACE(Z) SEP. { A = build_named(p, AST_FN, K, N, SPAN(Z)); for (size_t i = 0; i < D->len; i++) { build_append(p, L, D->at[i]); } A->kids = *L; A->a = E; A->flag = true; }
%type lets {AstList *}
lets(A) ::= .                      { A = build_list(p); }
lets(A) ::= lets(L) LET(K) ID(N) ASSIGN expr(E) SEP. { Ast *d = build_named(p, AST_LET, K, N, E->span); d->a = E; A = build_append(p, L, d); }
%type names {AstList *}
names(A) ::= ID(N).                { A = build_append(p, build_list(p), build_leaf(p, AST_NAME, N)); }
names(A) ::= names(L) COMMA ID(N). { A = build_append(p, L, build_leaf(p, AST_NAME, N)); }
bare(A) ::= TRANSFORM(K) ID(N) LPAREN formals(L) RPAREN block(B) SEP. { A = build_named(p, AST_TRANSFORM, K, N, B->span); A->kids = *L; A->a = B; }
%type formals {AstList *}
%type formal1 {AstList *}
formals(A) ::= .                   { A = build_list(p); }
formals(A) ::= formal1(L).         { A = L; }
formal1(A) ::= formal(F).          { A = build_append(p, build_list(p), F); }
formal1(A) ::= formal1(L) COMMA formal(F). { A = build_append(p, L, F); }
formal(A) ::= ID(N) COLON ID(T) init(I). { A = build_named(p, AST_FORMAL, N, N, I ? I->span : SPAN(T)); A->type_span = SPAN(T); A->type = intern(&p->session->names, span_text(SPAN(T))); A->b = I; }
bare(A) ::= TARGET(K) list1(L) SEP. { A = build(p, AST_TARGET, SPAN(K), vec_last(L)->span); A->kids = *L; }
bare(A) ::= EMIT(K) expr(E) SEP.   { A = build(p, AST_EMIT, SPAN(K), E->span); A->a = E; }
bare(A) ::= INCLUDE(K) path(P) SEP. { A = build(p, AST_INCLUDE, SPAN(K), P->span); A->a = P; }
bare(A) ::= INCLUDE(K) path(P) LPAREN args(L) RPAREN(Z) SEP. { A = build(p, AST_INCLUDE, SPAN(K), SPAN(Z)); A->a = P; A->kids = *L; A->flag = true; }
bare(A) ::= INCLUDE(K) STRING(S) SEP. { A = build(p, AST_INCLUDE, SPAN(K), SPAN(S)); A->a = build_leaf(p, AST_STRING, S); }
bare(A) ::= INCLUDE(K) STRING(S) LPAREN args(L) RPAREN(Z) SEP. { A = build(p, AST_INCLUDE, SPAN(K), SPAN(Z)); A->a = build_leaf(p, AST_STRING, S); A->kids = *L; A->flag = true; }

// ---- rules
bare(A) ::= STAGE(K) ID(N) LBRACE items(L) RBRACE(Z) SEP. { A = build_named(p, AST_STAGE, K, N, SPAN(Z)); A->kids = *L; }
bare(A) ::= ON(K) expr(E) block(B) SEP. { A = build(p, AST_ON, SPAN(K), B->span); A->a = E; A->b = B; }
bare(A) ::= OVERRIDE(K) ON expr(E) block(B) SEP. { A = build(p, AST_ON, SPAN(K), B->span); A->a = E; A->b = B; A->flag = true; }
bare(A) ::= WITHIN(K) expr(E) ID(U) SEP. { A = build_named(p, AST_WITHIN, K, U, SPAN(U)); A->a = E; }
bare(A) ::= WITHIN(K) expr(E) SEP.  { A = build(p, AST_WITHIN, SPAN(K), E->span); A->a = E; }
bare(A) ::= expect(E).             { A = E; }
expect(A) ::= EXPECT(K) expr(E) SEP. { A = build(p, AST_EXPECT, SPAN(K), E->span); A->a = E; }
expect(A) ::= EXPECT(K) expr(E) COMMA STRING(S) SEP. { A = build(p, AST_EXPECT, SPAN(K), SPAN(S)); A->a = E; A->b = build_leaf(p, AST_STRING, S); }

block(A) ::= LBRACE(O) steps(L) RBRACE(Z). { A = build_wrapped(p, AST_BLOCK, O, NULL, L, Z); }
%type steps {AstList *}
steps(A) ::= .                     { A = build_list(p); }
steps(A) ::= steps(L) stepitem(S). { A = build_append(p, L, S); }
stepitem(A) ::= step(S) SEP.       { A = S; }
stepitem(A) ::= block(B) SEP.      { A = B; }
stepitem(A) ::= expect(E).         { A = E; }
stepitem(A) ::= error SEP.         { A = NULL; }
step(A) ::= path(P).               { A = build(p, AST_STEP, P->span, P->span); A->a = P; }
step(A) ::= path(P) block(B).      { A = build(p, AST_STEP, P->span, B->span); A->a = P; A->b = B; }
step(A) ::= path(P) LPAREN args(L) RPAREN(Z). { A = build(p, AST_STEP, P->span, SPAN(Z)); A->a = P; A->kids = *L; A->flag = true; }
step(A) ::= path(P) LPAREN args(L) RPAREN block(B). { A = build(p, AST_STEP, P->span, B->span); A->a = P; A->kids = *L; A->b = B; A->flag = true; }

path(A) ::= ID(N).                 { A = build(p, AST_PATH, SPAN(N), SPAN(N)); build_append(p, &A->kids, build_leaf(p, AST_NAME, N)); }
path(A) ::= path(P) DOT ID(N).     { A = P; A->span = span_join(P->span, SPAN(N)); build_append(p, &A->kids, build_leaf(p, AST_NAME, N)); }

%type args {AstList *}
%type arg1 {AstList *}
%type list1 {AstList *}
args(A) ::= .                      { A = build_list(p); }
args(A) ::= arg1(L).               { A = L; }
args(A) ::= arg1(L) COMMA.         { A = L; }
arg1(A) ::= arg(B).                { A = build_append(p, build_list(p), B); }
arg1(A) ::= arg1(L) COMMA arg(B).  { A = build_append(p, L, B); }
arg(A) ::= expr(E).                { A = build_arg(p, NULL, E); }
arg(A) ::= ID(N) ASSIGN expr(E).   { A = build_arg(p, &N, E); }
list1(A) ::= expr(E).              { A = build_append(p, build_list(p), E); }
list1(A) ::= list1(L) COMMA expr(E). { A = build_append(p, L, E); }

// ---- expressions: selectors, formats and numbers share one grammar; types are checked later
expr(A) ::= IF(K) expr(C) THEN expr(T) ELSE expr(F). { A = build_if(p, K, C, T, F); }
expr(A) ::= expr(L) OR(O) expr(R).      { A = build_binary(p, OP_OR, O, L, R); }
expr(A) ::= expr(L) AND(O) expr(R).     { A = build_binary(p, OP_AND, O, L, R); }
expr(A) ::= NOT(O) expr(R).             { A = build_unary(p, OP_NOT, O, R); }
expr(A) ::= expr(L) EQ(O) expr(R).      { A = build_binary(p, OP_EQ, O, L, R); }
expr(A) ::= expr(L) NE(O) expr(R).      { A = build_binary(p, OP_NE, O, L, R); }
expr(A) ::= expr(L) LT(O) expr(R).      { A = build_binary(p, OP_LT, O, L, R); }
expr(A) ::= expr(L) LE(O) expr(R).      { A = build_binary(p, OP_LE, O, L, R); }
expr(A) ::= expr(L) GT(O) expr(R).      { A = build_binary(p, OP_GT, O, L, R); }
expr(A) ::= expr(L) GE(O) expr(R).      { A = build_binary(p, OP_GE, O, L, R); }
expr(A) ::= expr(L) IN(O) expr(R).      { A = build_binary(p, OP_IN, O, L, R); }
expr(A) ::= expr(L) DOTDOT(O) expr(R).  { A = build_binary(p, OP_RANGE, O, L, R); }
expr(A) ::= expr(L) BAR(O) expr(R).     { A = build_binary(p, OP_UNION, O, L, R); }
expr(A) ::= expr(L) AMP(O) expr(R).     { A = build_binary(p, OP_INTERSECT, O, L, R); }
expr(A) ::= expr(L) SHL(O) expr(R).     { A = build_binary(p, OP_SHL, O, L, R); }
expr(A) ::= expr(L) SHR(O) expr(R).     { A = build_binary(p, OP_SHR, O, L, R); }
expr(A) ::= expr(L) PLUS(O) expr(R).    { A = build_binary(p, OP_ADD, O, L, R); }
expr(A) ::= expr(L) MINUS(O) expr(R).   { A = build_binary(p, OP_SUB, O, L, R); }
expr(A) ::= expr(L) STAR(O) expr(R).    { A = build_binary(p, OP_MUL, O, L, R); }
expr(A) ::= expr(L) SLASH(O) expr(R).   { A = build_binary(p, OP_DIV, O, L, R); }
expr(A) ::= expr(L) PERCENT(O) expr(R). { A = build_binary(p, OP_MOD, O, L, R); }
expr(A) ::= MINUS(O) expr(R). [UMINUS]  { A = build_unary(p, OP_NEG, O, R); }
expr(A) ::= BANG(O) expr(R).            { A = build_unary(p, OP_COMPLEMENT, O, R); }
expr(A) ::= postfix(P).                 { A = P; }

postfix(A) ::= primary(P).              { A = P; }
postfix(A) ::= postfix(P) DOT ID(N).    { A = build_named_postfix(p, AST_MEMBER, P, N); }
postfix(A) ::= postfix(P) LPAREN args(L) RPAREN(Z). { A = build_call(p, P, L, Z); }
postfix(A) ::= postfix(P) LBRACK expr(E) RBRACK(Z). { A = build_index(p, P, E, Z); }
postfix(A) ::= postfix(P) QUESTION(Z).  { A = build_postfix(p, AST_OPTIONAL, P, Z); }
postfix(A) ::= postfix(P) PER ID(N). [BARE_GRANULARITY] { A = build_named_postfix(p, AST_PER, P, N); }
postfix(A) ::= postfix(P) PER ID(N) LPAREN args(L) RPAREN(Z). { A = build_call(p, build_named_postfix(p, AST_PER, P, N), L, Z); }
postfix(A) ::= postfix(P) SCALE ID(N).  { A = build_named_postfix(p, AST_SCALE, P, N); }
postfix(A) ::= postfix(P) DYNAMIC(Z).   { A = build_postfix(p, AST_DYNAMIC, P, Z); }

primary(A) ::= ID(N).                   { A = build_leaf(p, AST_NAME, N); }
primary(A) ::= DOT(D) ID(N).            { A = build_attr(p, D, N); }
primary(A) ::= NUMBER(N).               { A = build_leaf(p, AST_NUMBER, N); }
primary(A) ::= RATIO(N).                { A = build_leaf(p, AST_RATIO, N); }
primary(A) ::= STRING(N).               { A = build_leaf(p, AST_STRING, N); }
primary(A) ::= REGEX(N).                { A = build_leaf(p, AST_REGEX, N); }
primary(A) ::= TRUE(N).                 { A = build_leaf(p, AST_BOOL, N); }
primary(A) ::= FALSE(N).                { A = build_leaf(p, AST_BOOL, N); }
primary(A) ::= BROKEN(N).               { A = build(p, AST_ERROR, SPAN(N), SPAN(N)); } // by the driver only
primary(A) ::= LBRACK(O) args(L) RBRACK(Z). { A = build_wrapped(p, AST_LIST, O, NULL, L, Z); }
primary(A) ::= LPAREN(O) expr(E) RPAREN(Z). { A = build_wrapped(p, AST_PAREN, O, E, NULL, Z); }

%code {
/* Would this token be accepted here? Walks the tables on a copy of the state stack, so that the
 * default reductions Lemon does before it notices an error hide no expected token. */
bool grammar_accepts(const void *state, int token) {
    const yyParser *parser = state;
    YYACTIONTYPE stack[1100];
    int n = 0;
    for (const yyStackEntry *e = parser->yystack; e <= parser->yytos && n < 1000; e++) {
        stack[n++] = e->stateno;
    }
    for (int guard = 0; guard < 3000 && n < 1050; guard++) {
        YYACTIONTYPE action = yy_find_shift_action((YYCODETYPE)token, stack[n - 1]);
        if (action <= YY_MAX_SHIFTREDUCE || action == YY_ACCEPT_ACTION) {
            return true;
        }
        if (action < YY_MIN_REDUCE) {
            return false;
        }
        int rule = action - YY_MIN_REDUCE;
        n += yyRuleInfoNRhs[rule];
        if (n < 1) {
            return false;
        }
        stack[n] = yy_find_reduce_action(stack[n - 1], yyRuleInfoLhs[rule]);
        n++;
    }
    return true; /* too deep to tell: the parser itself will */
}

void *grammar_open(Session *s, int mode, Parse *p) {
    yyParser *parser = arena_new(s->arena, yyParser);
    MorInit(parser);
    Mor(parser, mode, (Token){mode, 0, 0}, p);
    return parser;
}

void grammar_feed(void *parser, Token t, Parse *p) {
    Mor(parser, t.kind, t, p);
}

void grammar_close(void *parser) {
    MorFinalize(parser);
}
}
