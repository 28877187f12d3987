/* For tests of scripts: a command's output and status, and a folder that goes away. */
#ifndef FASTGEMM_TEST_SHELL_H
#define FASTGEMM_TEST_SHELL_H

struct outcome {
    int status;       /* exit status, 128 + signal */
    int lines;        /* of output */
    char text[65536]; /* standard output and standard error together */
};

/* Runs a command line with sh, standard input empty, no FASTGEMM settings and no preload of ours. */
__attribute__((format(printf, 1, 2))) const struct outcome *shell(const char *format, ...);

/* A folder of its own for a test, with a space in its name; removed at exit. */
const char *own_folder(void);

#define assert_says(outcome, part)                                                                                     \
    assert_true_or_print((outcome), strstr((outcome)->text, part), part, __FILE__, __LINE__)
void assert_true_or_print(const struct outcome *outcome, const char *found, const char *part, const char *file,
                          int line);
void assert_status(const struct outcome *outcome, int status);

#endif
