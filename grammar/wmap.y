/* grammar/wmap.y -- tokens to syntax tree.
 *
 * The actions only call the builders of compiler/syntax.h.  Most keywords are words by position:
 * they are tokens of their own, and `name` takes them all back.  That is unambiguous because two
 * names never follow each other where a keyword could stand between them: an expression is never
 * followed by a name, and the places that do list names (patterns, components of an index) take
 * names only.
 *
 * Every list of statements, items, lines and fields recovers at `error`: the token filter has then
 * skipped to where the next one begins. */

%define api.pure full
%define api.prefix {wm_yy}
%define api.token.prefix {TOK_}
%define api.value.type union
%define api.location.type {struct wm_span}
%define parse.error custom
%define parse.lac full
%locations
%expect 0
%param {struct wm_syntax *ps}

%code requires {
#include "compiler/syntax.h"
}

%code {
/* The stacks have their full size from the start: nothing is allocated, and text that nests deeper
 * than this (by operators: brackets are counted by the token filter) is refused. */
#define YYINITDEPTH 2000
#define YYMAXDEPTH  2000

#define YYLLOC_DEFAULT(all, rhs, n) \
    ((all) = (n) ? wm_span_join(YYRHSLOC(rhs, 1), YYRHSLOC(rhs, n)) : behind(YYRHSLOC(rhs, 0)))

/* What is empty stands behind what comes before it. */
static struct wm_span
behind(struct wm_span s)
{
    return (struct wm_span){.file = s.file, .off = s.off + s.len};
}

int wm_yylex(WM_YYSTYPE *value, struct wm_span *span, struct wm_syntax *ps);
static void wm_yyerror(struct wm_span *span, struct wm_syntax *ps, const char *what);

/* Go on after an error, unless the rest was given up. */
#define RESUME \
    do { \
        if (!ps->stop) { \
            yyerrok; \
            yyclearin; \
        } \
    } while (0)
}

%token END 0       "the end of the map"
%token NAME        "a name"
%token INT         "an integer"
%token FLOAT       "a float"
%token STRING      "a string"
%token DOC         "a description in quotes"
%token PATH        "a map"
%token BROKEN      "a string without its closing quote"
%token START_FILE  "the beginning of a file"
%token START_HOLE  "the beginning of a hole"
%token START_MAPX  "the beginning of a map expression"

/* Reserved words. */
%token IN "in" FILL "fill" CONFIG "config" TRUE "true" FALSE "false" NONE "null" IF "if"

/* Words by position; those that begin a statement first. */
%token WMAP "wmap" MAP "map" PARAM "param" LET "let" INDEX "index" SOURCE "source" TARGET "target"
%token SHARD "shard"
%token OVERRIDE "override" WITHIN "within" IMPORT "import" USE "use"
%token FORMAT "format" FILE "file" ALIAS "alias" IGNORE "ignore" CARRY "carry" EMIT "emit"
%token LORA "lora" SCALES "scales"
%token ELSE "else" WHERE "where" WHEN "when" OPTIONAL "optional" BROADCAST "broadcast" PICK "pick"
%token PAD "pad"
%token HOLDS "holds" AS "as" ROOT "root" INTO "into" SCALE "scale" ROUNDING "rounding"
%token STEPWISE "stepwise" OF "of" BLOCKS "blocks" DEQUANT "dequant"
%token ON "on" SPLIT "split" AT "at" REPLICATE "replicate" PARTS "parts" GROUPS "groups"
%token UNIT "unit" SIZE "size" EACH "each" CHECKED "checked"
%token UNEVEN "uneven" WIDTH "width" LOSSY "lossy"

%token BOTH "<->" FORWARD "->" BACKWARD "<-"
%token COMPOSE ">>" TILDE "~"
%token ELSE_VALUE "??" REST "..." RANGE ".." EQ "==" NE "!=" LE "<=" GE ">=" LT "<" GT ">"
%token AND "&&" OR "||"
%token IS "=" PLUS "+" MINUS "-" STAR "*" SLASH "/" PERCENT "%" NOT "!" QUESTION "?" COLON ":"
%token COMMA "," DOT "."
%token PIPE "|" LBRACKET "[" RBRACKET "]" LBRACE "{" RBRACE "}" LPAREN "(" RPAREN ")"

/* Low to high. */
%right QUESTION COLON
%left OR
%left AND
%nonassoc EQ NE LT LE GT GE IN
%nonassoc RANGE
%right ELSE_VALUE
%left PLUS MINUS
%left STAR SLASH PERCENT
%precedence NOT UNARY

%type <struct wm_nodes *> stmts stmt_list items lines fields names names_comma bindings terms ops
%type <struct wm_nodes *> clauses args
%type <struct wm_nodes *> list_items part_list keys literals pat_items arms
%type <struct wm_stmt *> stmt index_set if_chain
%type <struct wm_if_arm *> arm
%type <struct wm_rule_ast *> rule rule_head
%type <struct wm_term *> term
%type <struct wm_template *> key literal
%type <struct wm_pattern *> pattern
%type <struct wm_pat *> pat_item
%type <struct wm_fill *> fill
%type <struct wm_opcall *> op
%type <struct wm_clause *> clause
%type <struct wm_binding *> binding
%type <struct wm_side_item *> item file_item
%type <struct wm_shard_line *> line split_line plain_line
%type <struct wm_part *> part
%type <struct wm_expr *> expr postfix counted listed primary list opt_filter opt_when opt_dequant string
%type <struct wm_expr *> value object field list_item
%type <bool> opt_checked
%type <struct wm_mapx *> mapx mapx_unary mapx_post
%type <struct wm_str> name word
%type <int> side

%%

start:
    START_FILE header stmts END
  | START_HOLE expr END                 { ps->expr = $expr; }
  | START_MAPX mapx END                 { ps->mapx = $mapx; }
  ;

header:
    %empty
  | WMAP INT                            {
        ps->version = wm_make_int(ps, @2)->i;
        ps->version_span = @$;
    }
  | WMAP error                          { ps->version_span = @1; RESUME; }
  ;

/* ---- statements ---- */

stmts:
    %empty                              { $$ = wm_nodes_new(ps); if (!ps->stmts) ps->stmts = $$; }
  | stmt_list
  ;

stmt_list:
    stmts stmt                          { $$ = wm_nodes_add(ps, $1, $2); }
  | stmts error                         { $$ = $1; RESUME; }
  ;

stmt:
    MAP name[n]                         { $$ = wm_make_named_stmt(ps, WM_ST_MAP, @n, @$); }
  | MAP name[n] DOC                     {
        $$ = wm_make_named_stmt(ps, WM_ST_MAP, @n, @$);
        wm_stmt_doc(ps, $$, @DOC);
    }
  | MAP name[n] "=" mapx                {
        $$ = wm_make_named_stmt(ps, WM_ST_MAPDEF, @n, @$);
        $$->mapx = $mapx;
    }
  | PARAM name[n] "=" expr opt_filter   {
        $$ = wm_make_named_stmt(ps, WM_ST_PARAM, @n, @$);
        $$->expr = $expr;
        $$->where = $opt_filter;
    }
  | PARAM name[n] "=" expr opt_filter DOC {
        $$ = wm_make_named_stmt(ps, WM_ST_PARAM, @n, @$);
        $$->expr = $expr;
        $$->where = $opt_filter;
        wm_stmt_doc(ps, $$, @DOC);
    }
  | LET name[n] "=" value               {
        $$ = wm_make_named_stmt(ps, WM_ST_LET, @n, @$);
        $$->expr = $value;
    }
  | index_set
  | side "{"[b] items "}"               {
        $$ = wm_make_stmt(ps, WM_ST_SIDE, @$);
        $$->brace = @b;
        $$->side = $side;
        $$->item = wm_nodes_values(ps, $items, sizeof(*$$->item), &$$->nitem);
    }
  | side name[n] "{"[b] items "}"       {
        $$ = wm_make_named_stmt(ps, WM_ST_SIDE, @n, @$);
        $$->brace = @b;
        $$->side = $side;
        $$->item = wm_nodes_values(ps, $items, sizeof(*$$->item), &$$->nitem);
    }
  | SHARD name[n] ON side "{"[b] lines "}" {
        $$ = wm_make_named_stmt(ps, WM_ST_SHARD, @n, @$);
        $$->brace = @b;
        $$->side = $side;
        $$->line = wm_nodes_values(ps, $lines, sizeof(*$$->line), &$$->nline);
    }
  | rule                                { $$ = wm_make_stmt(ps, WM_ST_RULE, @$); $$->rule = $1; }
  | OVERRIDE rule                       {
        $$ = wm_make_stmt(ps, WM_ST_OVERRIDE, @$);
        $$->rule = $2;
    }
  | WITHIN key[x] "<->" key[y] clauses "{"[b] stmts "}" {
        $$ = wm_make_stmt(ps, WM_ST_WITHIN, @$);
        $$->brace = @b;
        $$->prefix[0] = $x;
        $$->prefix[1] = $y;
        $$->clause = wm_nodes_values(ps, $clauses, sizeof(*$$->clause), &$$->nclause);
        $$->body = wm_make_body(ps, $stmts, &$$->nbody);
    }
  | if_chain
  | IMPORT literal AS name[n]           {
        $$ = wm_make_named_stmt(ps, WM_ST_IMPORT, @n, @$);
        $$->path = $literal;
    }
  | USE name[n]                         { $$ = wm_make_named_stmt(ps, WM_ST_USE, @n, @$); }
  ;

side:
    SOURCE                              { $$ = 0; }
  | TARGET                              { $$ = 1; }
  ;

index_set:
    INDEX name[n] "<" expr[bound] opt_filter  {
        $$ = wm_make_named_stmt(ps, WM_ST_INDEX, @n, @$);
        $$->bound = $bound;
        $$->where = $opt_filter;
    }
  | INDEX name[n] IN expr opt_filter    {
        $$ = wm_make_named_stmt(ps, WM_ST_INDEX, @n, @$);
        $$->expr = $expr;
        $$->where = $opt_filter;
        if ($expr->kind == WM_EX_NAME && wm_str_eq($expr->s, WM_STR("keys")))
            $expr->kind = WM_EX_KEYS;
    }
  | INDEX name[n] "=" "(" names ")"     {
        $$ = wm_make_named_stmt(ps, WM_ST_INDEX, @n, @$);
        $$->component = wm_nodes_values(ps, $names, sizeof(*$$->component), &$$->ncomponent);
    }
  | INDEX name[n] "<" expr[bound] "=" "(" names ")" {
        $$ = wm_make_named_stmt(ps, WM_ST_INDEX, @n, @$);
        $$->bound = $bound;
        $$->component = wm_nodes_values(ps, $names, sizeof(*$$->component), &$$->ncomponent);
    }
  ;

opt_filter:
    %empty                              { $$ = NULL; }
  | WHERE expr                          { $$ = $2; }
  ;

if_chain:
    arms                                {
        $$ = wm_make_stmt(ps, WM_ST_IF, @$);
        $$->arm = wm_nodes_values(ps, $arms, sizeof(*$$->arm), &$$->narm);
    }
  | arms ELSE "{"[b] stmts "}"          {
        $$ = wm_make_stmt(ps, WM_ST_IF, @$);
        wm_nodes_add(ps, $arms, wm_make_arm(ps, NULL, $stmts, @b, wm_span_join(@ELSE, @5)));
        $$->arm = wm_nodes_values(ps, $arms, sizeof(*$$->arm), &$$->narm);
    }
  ;

arms:
    arm                                 { $$ = wm_nodes_add(ps, wm_nodes_new(ps), $1); }
  | arms ELSE arm                       { $$ = wm_nodes_add(ps, $1, $3); }
  ;

arm:
    IF expr "{"[b] stmts "}"            { $$ = wm_make_arm(ps, $expr, $stmts, @b, @$); }
  ;

/* ---- rules ---- */

rule:
    rule_head clauses                   { $$ = $1; wm_rule_clauses(ps, $$, $2); }
  ;

rule_head:
    terms[a] arrow terms[b]             {
        $$ = wm_make_rule(ps, @arrow);
        wm_rule_side(ps, $$, 0, $a, NULL);
        wm_rule_side(ps, $$, 1, $b, NULL);
    }
  | terms[a] arrow[first] ops arrow[second] terms[b] {
        $$ = wm_make_rule(ps, @first);
        wm_rule_side(ps, $$, 0, $a, NULL);
        wm_rule_ops(ps, $$, $ops, @second);
        wm_rule_side(ps, $$, 1, $b, NULL);
    }
  | fill arrow terms[b]                 {
        $$ = wm_make_rule(ps, @arrow);
        wm_rule_side(ps, $$, 0, NULL, $fill);
        wm_rule_side(ps, $$, 1, $b, NULL);
    }
  | terms[a] arrow fill                 {
        $$ = wm_make_rule(ps, @arrow);
        wm_rule_side(ps, $$, 0, $a, NULL);
        wm_rule_side(ps, $$, 1, NULL, $fill);
    }
  ;

arrow:
    BOTH
  | FORWARD
  | BACKWARD
  ;

terms:
    term                                { $$ = wm_nodes_add(ps, wm_nodes_new(ps), $1); }
  | terms "," term                      { $$ = wm_nodes_add(ps, $1, $3); }
  ;

term:
    key                                 { $$ = wm_make_term(ps, $key, NULL, @$); }
  | key pattern                         { $$ = wm_make_term(ps, $key, $pattern, @$); }
  ;

key:
    STRING                              { $$ = wm_make_key(ps, @$); }
  ;

literal:
    STRING                              { $$ = wm_make_literal(ps, @$); }
  ;

fill:
    FILL expr NAME[dtype]               { $$ = wm_make_fill(ps, $expr, @dtype, @$); }
  ;

ops:
    op                                  { $$ = wm_nodes_add(ps, wm_nodes_new(ps), $1); }
  | ops "|" op                          { $$ = wm_nodes_add(ps, $1, $3); }
  ;

op:
    word[n]                             { $$ = wm_make_opcall(ps, false, @n, NULL, @$); }
  | word[n] "(" args ")"                { $$ = wm_make_opcall(ps, false, @n, $args, @$); }
  | LOSSY word[n]                       { $$ = wm_make_opcall(ps, true, @n, NULL, @$); }
  | LOSSY word[n] "(" args ")"          { $$ = wm_make_opcall(ps, true, @n, $args, @$); }
  ;

clauses:
    %empty                              { $$ = wm_nodes_new(ps); }
  | clauses clause                      { $$ = wm_nodes_add(ps, $1, $2); }
  ;

clause:
    WHERE bindings                      {
        $$ = wm_make_clause(ps, WM_CL_WHERE, NULL, $bindings, @$);
    }
  | WHEN expr                           { $$ = wm_make_clause(ps, WM_CL_WHEN, $expr, NULL, @$); }
  | OPTIONAL                            { $$ = wm_make_clause(ps, WM_CL_OPTIONAL, NULL, NULL, @$); }
  | OPTIONAL "(" expr ")"               {
        $$ = wm_make_clause(ps, WM_CL_OPTIONAL, $expr, NULL, @$);
    }
  | BROADCAST names_comma               {
        $$ = wm_make_clause(ps, WM_CL_BROADCAST, NULL, $names_comma, @$);
    }
  | PICK bindings                       {
        $$ = wm_make_clause(ps, WM_CL_PICK, NULL, $bindings, @$);
    }
  | PAD bindings                        { $$ = wm_make_clause(ps, WM_CL_PAD, NULL, $bindings, @$); }
  ;

bindings:
    binding                             { $$ = wm_nodes_add(ps, wm_nodes_new(ps), $1); }
  | bindings "," binding                { $$ = wm_nodes_add(ps, $1, $3); }
  ;

binding:
    name "=" expr                       { $$ = wm_make_binding(ps, $name, $expr, @$); }
  ;

names:
    name                                {
        $$ = wm_nodes_add(ps, wm_nodes_new(ps), wm_make_binding(ps, $1, NULL, @1));
    }
  | names name                          {
        $$ = wm_nodes_add(ps, $1, wm_make_binding(ps, $2, NULL, @2));
    }
  ;

names_comma:
    name                                {
        $$ = wm_nodes_add(ps, wm_nodes_new(ps), wm_make_binding(ps, $1, NULL, @1));
    }
  | names_comma "," name                {
        $$ = wm_nodes_add(ps, $1, wm_make_binding(ps, $3, NULL, @3));
    }
  ;

/* ---- patterns: the builders tell sums and products apart, and what is wrong with a mixture ---- */

pattern:
    "[" "]"                             { $$ = wm_make_pattern(ps, NULL, @$); }
  | "[" pat_items "]"                   { $$ = wm_make_pattern(ps, $pat_items, @$); }
  ;

pat_items:
    pat_item                            { $$ = wm_pat_add(ps, wm_nodes_new(ps), $1, NULL); }
  | pat_items pat_item                  { $$ = wm_pat_add(ps, $1, $2, NULL); }
  | pat_items "+" pat_item              { $$ = wm_pat_add(ps, $1, $3, &@2); }
  ;

pat_item:
    name                                { $$ = wm_make_pat(ps, WM_PT_AXIS, @$); $$->name = $name; }
  | INT                                 { $$ = wm_make_pat_int(ps, @$); }
  | REST                                { $$ = wm_make_pat(ps, WM_PT_REST, @$); }
  | "(" ")"                             { $$ = wm_make_pat_group(ps, NULL, @$); }
  | "(" pat_items ")"                   { $$ = wm_make_pat_group(ps, $pat_items, @$); }
  ;

/* ---- sides ---- */

items:
    %empty                              { $$ = wm_nodes_new(ps); }
  | items item                          { $$ = wm_nodes_add(ps, $1, $2); }
  | items error                         { $$ = $1; RESUME; }
  ;

item:
    FORMAT name                         {
        $$ = wm_make_item(ps, WM_SI_FORMAT, NULL, @$);
        $$->name = $name;
    }
  | file_item                           { $$ = $1; $$->span = @$; wm_check_file_item(ps, $$); }
  | ALIAS key[x] "=" key[y] opt_when    {
        struct wm_nodes *n = wm_nodes_add(ps, wm_nodes_add(ps, wm_nodes_new(ps), $x), $y);

        $$ = wm_make_item(ps, WM_SI_ALIAS, n, @$);
        $$->when = $opt_when;
    }
  | IGNORE keys opt_when                {
        $$ = wm_make_item(ps, WM_SI_IGNORE, $keys, @$);
        $$->when = $opt_when;
    }
  | CARRY literals opt_when             {
        $$ = wm_make_item(ps, WM_SI_CARRY, $literals, @$);
        $$->when = $opt_when;
    }
  | EMIT key value opt_checked opt_when {
        $$ = wm_make_item(ps, WM_SI_EMIT, wm_nodes_add(ps, wm_nodes_new(ps), $key), @$);
        $$->value = $value;
        $$->checked = $opt_checked;
        $$->when = $opt_when;
    }
  | LORA term[a] "," term[b] INTO term[w] SCALE expr opt_when {
        struct wm_nodes *n = wm_nodes_add(ps, wm_nodes_add(ps, wm_nodes_new(ps), $a), $b);

        $$ = wm_make_item(ps, WM_SI_LORA, NULL, @$);
        $$->term = wm_nodes_values(ps, wm_nodes_add(ps, n, $w), sizeof(*$$->term), &$$->nterm);
        $$->scale = $expr;
        $$->when = $opt_when;
    }
  | LORA term[a] "," term[b] INTO term[w] SCALE expr ROUNDING STEPWISE opt_when {
        struct wm_nodes *n = wm_nodes_add(ps, wm_nodes_add(ps, wm_nodes_new(ps), $a), $b);

        $$ = wm_make_item(ps, WM_SI_LORA, NULL, @$);
        $$->term = wm_nodes_values(ps, wm_nodes_add(ps, n, $w), sizeof(*$$->term), &$$->nterm);
        $$->scale = $expr;
        $$->when = $opt_when;
        $$->stepwise = true;
    }
  | SCALES key[s] OF key[w] BLOCKS expr opt_dequant opt_when {
        struct wm_nodes *n = wm_nodes_add(ps, wm_nodes_add(ps, wm_nodes_new(ps), $s), $w);

        $$ = wm_make_item(ps, WM_SI_SCALES, n, @$);
        $$->blocks = $expr;
        $$->dequant = $opt_dequant;
        $$->when = $opt_when;
    }
  ;

file_item:
    FILE key                            {
        $$ = wm_make_item(ps, WM_SI_FILE, wm_nodes_add(ps, wm_nodes_new(ps), $key), @$);
    }
  | file_item HOLDS key                 { $$ = $1; wm_set_template(ps, &$$->holds, $key, @HOLDS); }
  | file_item AS key                    { $$ = $1; wm_set_template(ps, &$$->as, $key, @AS); }
  | file_item ROOT string               { $$ = $1; wm_set_expr(ps, &$$->root, $string, @ROOT); }
  ;

string:
    STRING                              { $$ = wm_make_string(ps, @$); }
  ;

opt_dequant:
    %empty                              { $$ = NULL; }
  | DEQUANT expr                        { $$ = $2; }
  ;

opt_when:
    %empty                              { $$ = NULL; }
  | WHEN expr                           { $$ = $2; }
  ;

opt_checked:
    %empty                              { $$ = false; }
  | CHECKED                             { $$ = true; }
  ;

keys:
    key                                 { $$ = wm_nodes_add(ps, wm_nodes_new(ps), $1); }
  | keys "," key                        { $$ = wm_nodes_add(ps, $1, $3); }
  ;

literals:
    literal                             { $$ = wm_nodes_add(ps, wm_nodes_new(ps), $1); }
  | literals "," literal                { $$ = wm_nodes_add(ps, $1, $3); }
  ;

/* An object can stand where nothing is reckoned with it. */
value:
    expr
  | object
  ;

/* Fields may be separated by commas. */
object:
    "{" fields "}"                      { $$ = wm_make_list(ps, WM_EX_OBJECT, @$, $fields); }
  ;

fields:
    %empty                              { $$ = wm_nodes_new(ps); }
  | fields field opt_comma              { $$ = wm_nodes_add(ps, $1, $2); }
  | fields error                        { $$ = $1; RESUME; }
  ;

opt_comma:
    %empty
  | ","
  ;

field:
    path "=" value                      { $$ = wm_make_member(ps, @path, NULL, $value, @$); }
  | key "=" value                       { $$ = wm_make_member(ps, @key, $key, $value, @$); }
  | EACH name opt_filter ":" object     { $$ = wm_make_each(ps, $name, $opt_filter, $object, @$); }
  ;

path:
    name
  | path "." NAME
  ;

/* ---- shard blocks ---- */

lines:
    %empty                              { $$ = wm_nodes_new(ps); }
  | lines line                          { $$ = wm_nodes_add(ps, $1, $2); }
  | lines error                         { $$ = $1; RESUME; }
  ;

line:
    plain_line
  | plain_line WHEN expr                { $$ = $1; $$->when = $3; }
  ;

plain_line:
    split_line                          { $$ = $1; $$->span = @$; wm_check_line(ps, $$); }
  | key AT expr                         { $$ = wm_make_line(ps, WM_SH_AT, $key, $expr, @$); }
  | key REPLICATE                       { $$ = wm_make_line(ps, WM_SH_REPLICATE, $key, NULL, @$); }
  ;

split_line:
    key SPLIT expr                      { $$ = wm_make_line(ps, WM_SH_SPLIT, $key, $expr, @$); }
  | split_line GROUPS expr              { $$ = $1; wm_set_expr(ps, &$$->groups, $3, @2); }
  | split_line UNIT expr                { $$ = $1; wm_set_expr(ps, &$$->unit, $3, @2); }
  | split_line SIZE expr                { $$ = $1; wm_set_expr(ps, &$$->size, $3, @2); }
  | split_line PAD expr                 { $$ = $1; wm_set_expr(ps, &$$->pad, $3, @2); }
  | split_line FILL expr                { $$ = $1; wm_set_expr(ps, &$$->fill, $3, @2); }
  | split_line UNEVEN                   { $$ = $1; wm_set_flag(ps, &$$->uneven, @2); }
  | split_line WIDTH expr               { $$ = $1; wm_set_expr(ps, &$$->width, $3, @2); }
  | split_line PARTS counted            { $$ = $1; wm_line_parts(ps, $$, $3, NULL, @2); }
  | split_line PARTS "[" part_list "]"  { $$ = $1; wm_line_parts(ps, $$, NULL, $4, @2); }
  ;

part_list:
    part                                { $$ = wm_nodes_add(ps, wm_nodes_new(ps), $1); }
  | part_list "," part                  { $$ = wm_nodes_add(ps, $1, $3); }
  ;

part:
    expr                                { $$ = wm_make_part(ps, $1, NULL, NULL, @$); }
  | expr GROUPS expr[g]                 { $$ = wm_make_part(ps, $1, $g, NULL, @$); }
  | expr WIDTH expr[w]                  { $$ = wm_make_part(ps, $1, NULL, $w, @$); }
  ;

/* ---- map expressions ---- */

mapx:
    mapx_unary
  | mapx ">>" mapx_unary                { $$ = wm_make_mapx(ps, WM_MX_COMPOSE, @$, $1, $3, NULL); }
  ;

mapx_unary:
    mapx_post
  | "~" mapx_unary                      {
        $$ = wm_make_mapx(ps, WM_MX_INVERSE, @$, $2, NULL, NULL);
    }
  ;

mapx_post:
    path                                { $$ = wm_make_mapx_name(ps, @$); }
  | PATH                                { $$ = wm_make_mapx_name(ps, @$); }
  | STRING                              { $$ = wm_make_mapx_name(ps, @$); }
  | "(" mapx ")"                        { $$ = $2; $$->span = @$; }
  | mapx_post "(" bindings ")"          {
        $$ = wm_make_mapx(ps, WM_MX_CALL, @$, $1, NULL, $bindings);
    }
  ;

/* ---- expressions ---- */

expr:
    postfix
  | "-" expr %prec UNARY                { $$ = wm_make_op(ps, WM_EX_NEG, @$, $2, NULL, NULL); }
  | "!" expr                            { $$ = wm_make_op(ps, WM_EX_NOT, @$, $2, NULL, NULL); }
  | expr "*" expr                       { $$ = wm_make_op(ps, WM_EX_MUL, @$, $1, $3, NULL); }
  | expr "/" expr                       { $$ = wm_make_op(ps, WM_EX_DIV, @$, $1, $3, NULL); }
  | expr "%" expr                       { $$ = wm_make_op(ps, WM_EX_MOD, @$, $1, $3, NULL); }
  | expr "+" expr                       { $$ = wm_make_op(ps, WM_EX_ADD, @$, $1, $3, NULL); }
  | expr "-" expr                       { $$ = wm_make_op(ps, WM_EX_SUB, @$, $1, $3, NULL); }
  | expr "??" expr                      { $$ = wm_make_op(ps, WM_EX_ELSE, @$, $1, $3, NULL); }
  | expr ".." expr                      { $$ = wm_make_op(ps, WM_EX_RANGE, @$, $1, $3, NULL); }
  | expr "==" expr                      { $$ = wm_make_op(ps, WM_EX_EQ, @$, $1, $3, NULL); }
  | expr "!=" expr                      { $$ = wm_make_op(ps, WM_EX_NE, @$, $1, $3, NULL); }
  | expr "<" expr                       { $$ = wm_make_op(ps, WM_EX_LT, @$, $1, $3, NULL); }
  | expr "<=" expr                      { $$ = wm_make_op(ps, WM_EX_LE, @$, $1, $3, NULL); }
  | expr ">" expr                       { $$ = wm_make_op(ps, WM_EX_GT, @$, $1, $3, NULL); }
  | expr ">=" expr                      { $$ = wm_make_op(ps, WM_EX_GE, @$, $1, $3, NULL); }
  | expr "in" expr                      { $$ = wm_make_op(ps, WM_EX_IN, @$, $1, $3, NULL); }
  | expr "&&" expr                      { $$ = wm_make_op(ps, WM_EX_AND, @$, $1, $3, NULL); }
  | expr "||" expr                      { $$ = wm_make_op(ps, WM_EX_OR, @$, $1, $3, NULL); }
  | expr "?" expr ":" expr              { $$ = wm_make_op(ps, WM_EX_COND, @$, $1, $3, $5); }
  ;

postfix:
    counted
  | listed
  ;

/* Everything that does not begin with a list: `parts` takes a count or a list of its own kind. */
counted:
    primary
  | counted "." NAME                    { $$ = wm_make_field(ps, $1, @NAME, @$); }
  | counted "[" expr "]"                { $$ = wm_make_op(ps, WM_EX_ITEM, @$, $1, $3, NULL); }
  ;

listed:
    list
  | listed "[" expr "]"                 { $$ = wm_make_op(ps, WM_EX_ITEM, @$, $1, $3, NULL); }
  ;

primary:
    INT                                 { $$ = wm_make_int(ps, @$); }
  | FLOAT                               { $$ = wm_make_float(ps, @$); }
  | string
  | TRUE                                { $$ = wm_make_atom(ps, WM_EX_BOOL, @$); $$->b = true; }
  | FALSE                               { $$ = wm_make_atom(ps, WM_EX_BOOL, @$); }
  | NONE                                { $$ = wm_make_atom(ps, WM_EX_NULL, @$); }
  | CONFIG                              { $$ = wm_make_atom(ps, WM_EX_CONFIG, @$); }
  | name                                { $$ = wm_make_named(ps, WM_EX_NAME, $name, @$); }
  | name "(" args ")"                   { $$ = wm_make_call(ps, $name, $args, @$); }
  | "(" expr ")"                        { $$ = wm_make_parens($2, @$); }
  ;

args:
    %empty                              { $$ = wm_nodes_new(ps); }
  | list_items
  ;

list:
    "[" "]"                             { $$ = wm_make_list(ps, WM_EX_LIST, @$, wm_nodes_new(ps)); }
  | "[" list_items opt_comma "]"        { $$ = wm_make_list(ps, WM_EX_LIST, @$, $2); }
  ;

list_items:
    list_item                           { $$ = wm_nodes_add(ps, wm_nodes_new(ps), $1); }
  | list_items "," list_item            { $$ = wm_nodes_add(ps, $1, $3); }
  ;

list_item:
    value
  | EACH name opt_filter ":" list       { $$ = wm_make_each(ps, $name, $opt_filter, $list, @$); }
  ;

/* ---- names ---- */

name:
    word
  | LOSSY                               { $$ = wm_make_name(ps, @$); }
  ;

word:
    any_word                            { $$ = wm_make_name(ps, @$); }
  ;

any_word:
    NAME | WMAP | MAP | PARAM | LET | INDEX | SOURCE | TARGET | SHARD | OVERRIDE | WITHIN | IMPORT
  | USE | FORMAT | FILE | ALIAS | IGNORE | CARRY | EMIT | LORA | SCALES | ELSE | WHERE | WHEN | OPTIONAL
  | BROADCAST | PICK | PAD | HOLDS | AS | ROOT | INTO | SCALE | ROUNDING | STEPWISE | OF | BLOCKS | DEQUANT | ON | SPLIT
  | AT | REPLICATE | PARTS | GROUPS | UNIT | SIZE | EACH | CHECKED | UNEVEN | WIDTH
  ;

%%

/* Tokens are numbered in the order of their declarations, and so are their symbols. */
#define KIND_OF(token) \
    ((yysymbol_kind_t)((token) == TOK_END ? 0 : (token) - TOK_NAME + YYSYMBOL_NAME))
#define TOKEN_OF(kind) \
    ((kind) == YYSYMBOL_YYEOF ? (int)TOK_END : (int)(kind) - YYSYMBOL_NAME + TOK_NAME)

const char *
wm_token_text(int kind)
{
    return yysymbol_name(KIND_OF(kind));
}

bool
wm_token_is_soft(int kind)
{
    return kind >= TOK_WMAP && kind <= TOK_LOSSY;
}

int
wm_token_of_word(const char *p, size_t n)
{
    for (int k = TOK_IN; k <= TOK_LOSSY; k++) {
        const char *word = wm_token_text(k);

        if (word[0] == p[0] && strncmp(word, p, n) == 0 && word[n] == '\0')
            return k;
    }
    return TOK_NAME;
}

static int
yyreport_syntax_error(const yypcontext_t *context, struct wm_syntax *ps)
{
    yysymbol_kind_t kind[YYNTOKENS];
    int want[YYNTOKENS], n = yypcontext_expected_tokens(context, kind, YYNTOKENS);

    if (n < 0)
        n = 0;
    for (int k = 0; k < n; k++)
        want[k] = TOKEN_OF(kind[k]);
    wm_syntax_unexpected(ps, want, n);
    return 0;
}

/* Only called when the stack is full: syntax errors are reported above. */
static void
wm_yyerror(struct wm_span *span, struct wm_syntax *ps, const char *what)
{
    (void)what;
    wm_syntax_too_deep(ps, *span);
}
