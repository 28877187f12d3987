/* Problems from the list and from lines of text. */
#include "problems.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char bench_problem_help[] =
    "A problem is a line  OPS m n k [batch [lda ldb ldc [stride_a stride_b stride_c]]]\n"
    "  OPS         NN, NT, TN or TT, column-major as cuBLAS has it; row:NN ... reads the shape row-major, as PyTorch\n"
    "              has it: C[m,n] = op(A) op(B)\n"
    "  m n k batch a number, or a sweep from:to:step or from:to:xFACTOR; '=' repeats m (k of a square sweep)\n"
    "  lda ...     elements; default or 0: packed\n"
    "  # starts a comment\n"
    "or a line that FASTGEMM_LOG=bench wrote, with its own contract; other lines of that log are passed over.\n";

static void add(struct bench_list *list, const struct bench_problem *problem) {
    struct bench_problem *grown = realloc(list->at, sizeof *grown * (size_t)(list->count + 1));
    if (!grown) abort();
    list->at = grown;
    list->at[list->count++] = *problem;
}

/* Packed leading dimensions and strides wherever none is given. */
static void complete(struct gemm_problem *p) {
    if (!p->lda) p->lda = p->op_a == GEMM_OP_N ? p->m : p->k;
    if (!p->ldb) p->ldb = p->op_b == GEMM_OP_N ? p->k : p->n;
    if (!p->ldc) p->ldc = p->m;
    if (!p->stride_a) p->stride_a = p->lda * (p->op_a == GEMM_OP_N ? p->k : p->m);
    if (!p->stride_b) p->stride_b = p->ldb * (p->op_b == GEMM_OP_N ? p->n : p->k);
    if (!p->stride_c) p->stride_c = p->ldc * p->n;
    p->ldd = p->ldc;
    p->stride_d = p->stride_c;
    p->align_a = p->align_b = 16;
    p->alpha = SCALAR_ONE;
    p->beta = SCALAR_ZERO;
}

/* Row-major C = op(A) op(B) is column-major C' = op(B)' op(A)'. */
static void swap_operands(struct gemm_problem *p) {
    struct gemm_problem row = *p;
    p->op_a = row.op_b, p->op_b = row.op_a;
    p->m = row.n, p->n = row.m;
    p->lda = row.ldb, p->ldb = row.lda;
    p->stride_a = row.stride_b, p->stride_b = row.stride_a;
}

static struct gemm_problem describe(const char *ops, bool row_major, const int64_t *value,
                                    enum gemm_contract contract) {
    struct gemm_problem p = {
        .op_a = ops[0] == 'T' ? GEMM_OP_T : GEMM_OP_N,
        .op_b = ops[1] == 'T' ? GEMM_OP_T : GEMM_OP_N,
        .m = value[0],
        .n = value[1],
        .k = value[2],
        .batch = value[3],
        .lda = value[4],
        .ldb = value[5],
        .ldc = value[6],
        .stride_a = value[7],
        .stride_b = value[8],
        .stride_c = value[9],
        .contract = contract,
        .cublas_tf32 = contract == CONTRACT_TF32,
    };
    if (row_major) swap_operands(&p);
    complete(&p);
    return p;
}

void bench_list_profiles(struct bench_list *list, enum gemm_contract contract, const char *only) {
    static const struct {
        const char *name, *ops;
        int64_t value[4];
        double bar[3];
    } rows[] = {
#define PROBLEM(name, ops, m, n, k, batch, ieee, fp32, tf32) {name, ops, {m, n, k, batch}, {ieee, fp32, tf32}},
        BENCH_PROBLEMS(PROBLEM)
#undef PROBLEM
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t value[10] = {0};
        struct bench_problem problem = {.bar = rows[i].bar[contract]};
        if (problem.bar == 0 || (only && !strstr(rows[i].name, only))) continue;
        memcpy(value, rows[i].value, sizeof rows[i].value);
        snprintf(problem.name, sizeof problem.name, "%s", rows[i].name);
        problem.gemm = describe(rows[i].ops, true, value, contract);
        add(list, &problem);
    }
}

struct range {
    int64_t from, to, step;
    bool factor, same; /* same: repeats m */
};

static bool read_range(const char *word, struct range *r) {
    char *end = NULL;
    *r = (struct range){.same = strcmp(word, "=") == 0, .step = 1};
    if (r->same) return true;
    r->from = r->to = strtoll(word, &end, 10);
    if (end == word || r->from < 0) return false;
    if (*end != ':') return *end == 0;
    word = end + 1;
    r->to = strtoll(word, &end, 10);
    if (end == word || *end != ':') return false;
    word = end + 1;
    r->factor = *word == 'x';
    if (r->factor) word++;
    r->step = strtoll(word, &end, 10);
    return end != word && *end == 0 && r->step >= (r->factor ? 2 : 1) && (!r->factor || r->from > 0);
}

static int64_t next(const struct range *r, int64_t at) {
    return r->factor ? at * r->step : at + r->step;
}

static const char *add_one(struct bench_list *list, const char *ops, bool row_major, const int64_t *value,
                           enum gemm_contract contract) {
    struct bench_problem problem = {.gemm = describe(ops, row_major, value, contract)};
    int length = snprintf(problem.name, sizeof problem.name, "%s%s %lldx%lldx%lld", row_major ? "row:" : "", ops,
                          (long long)value[0], (long long)value[1], (long long)value[2]);
    if (value[3] > 1 && length < (int)sizeof problem.name)
        snprintf(problem.name + length, sizeof problem.name - (size_t)length, "*%lld", (long long)value[3]);
    struct gemm_problem *p = &problem.gemm;
    bool valid = p->m > 0 && p->n > 0 && p->k > 0 && p->batch > 0 && p->lda >= (p->op_a == GEMM_OP_N ? p->m : p->k) &&
                 p->ldb >= (p->op_b == GEMM_OP_N ? p->k : p->n) && p->ldc >= p->m;
    if (!valid) return "a size is 0 or a leading dimension is too small";
    add(list, &problem);
    return NULL;
}

/* The problem of a line of the library's log: name=value pairs, names as in struct gemm_problem. */
static const char *add_logged(struct bench_list *list, char *words) {
    static const char *const names[] = {"m",   "n",   "k",        "batch",    "lda",
                                        "ldb", "ldc", "stride_a", "stride_b", "stride_c"};
    static const char *const contracts[] = {"ieee", "fp32", "tf32"};
    int64_t value[10] = {0};
    char ops[3] = "";
    enum gemm_contract contract = CONTRACT_FP32;
    for (char *save = NULL, *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        char *equals = strchr(word, '=');
        if (!equals) continue;
        *equals = 0;
        if (strcmp(word, "ops") == 0) snprintf(ops, sizeof ops, "%s", equals + 1);
        for (int i = 0; i < 10; i++)
            if (strcmp(word, names[i]) == 0) value[i] = strtoll(equals + 1, NULL, 10);
        for (int i = 0; i < 3; i++)
            if (strcmp(word, "contract") == 0 && strcmp(equals + 1, contracts[i]) == 0)
                contract = (enum gemm_contract)i;
    }
    if (strlen(ops) != 2 || strspn(ops, "NT") != 2) return "a logged line has ops=NN, NT, TN or TT";
    int before = list->count;
    const char *wrong = add_one(list, ops, false, value, contract);
    if (wrong) return wrong;
    struct gemm_problem *p = &list->at[before].gemm;
    if (p->batch > 1) p->stride_a = value[7], p->stride_b = value[8]; /* 0: one operand for all */
    for (int i = 0; i < before; i++) /* a list is read once for each contract asked for */
        if (memcmp(&list->at[i].gemm, p, sizeof *p) == 0) {
            list->count = before;
            break;
        }
    return NULL;
}

const char *bench_list_line(struct bench_list *list, enum gemm_contract contract, const char *line) {
    static const char prefix[] = "fastgemm: ", logged[] = "bench entry=";
    char text[1024], *save = NULL;
    snprintf(text, sizeof text, "%s", line);
    bool from_log = strncmp(text, prefix, sizeof prefix - 1) == 0;
    char *body = from_log ? text + sizeof prefix - 1 : text;
    if (strncmp(body, logged, sizeof logged - 1) == 0) return add_logged(list, body);
    if (from_log) return NULL;
    text[strcspn(text, "#\r\n")] = 0;
    char *ops = strtok_r(text, " \t,", &save);
    if (!ops) return NULL;
    bool row_major = strncmp(ops, "row:", 4) == 0;
    if (row_major) ops += 4;
    if (strlen(ops) != 2 || strspn(ops, "NT") != 2)
        return "the first word is NN, NT, TN or TT, with row: before it or not";
    struct range range[10];
    int words = 0;
    for (char *word; (word = strtok_r(NULL, " \t,", &save)); words++)
        if (words == 10 || !read_range(word, &range[words])) return "a number, a sweep or '=' was expected";
    if (words < 3 || range[0].same) return "m, n and k are needed";
    if (words == 3) range[words++] = (struct range){.from = 1, .to = 1, .step = 1};
    int64_t value[10] = {0};
    for (int i = 4; i < words; i++) value[i] = range[i].from;
    const char *wrong = NULL;
    for (value[0] = range[0].from; !wrong && value[0] <= range[0].to; value[0] = next(&range[0], value[0])) {
        /* A repeated m is one step of its loop. */
        struct range fixed[4] = {range[0], range[1], range[2], range[3]};
        for (int i = 1; i < 4; i++)
            if (range[i].same) fixed[i] = (struct range){.from = value[0], .to = value[0], .step = 1};
        for (value[1] = fixed[1].from; !wrong && value[1] <= fixed[1].to; value[1] = next(&fixed[1], value[1]))
            for (value[2] = fixed[2].from; !wrong && value[2] <= fixed[2].to; value[2] = next(&fixed[2], value[2]))
                for (value[3] = fixed[3].from; !wrong && value[3] <= fixed[3].to; value[3] = next(&fixed[3], value[3]))
                    wrong = add_one(list, ops, row_major, value, contract);
    }
    return wrong;
}

void bench_problem_line(const struct bench_problem *problem, char *out, size_t size) {
    const struct gemm_problem *p = &problem->gemm;
    snprintf(out, size, "%c%c %lld %lld %lld %lld %lld %lld %lld %lld %lld %lld # %s", "NT"[p->op_a], "NT"[p->op_b],
             (long long)p -> m, (long long)p -> n, (long long)p -> k, (long long)p -> batch, (long long)p -> lda,
             (long long)p -> ldb, (long long)p -> ldc, (long long)p -> stride_a, (long long)p -> stride_b,
             (long long)p -> stride_c, problem -> name);
}
