/*
 * Runs a program with a few settings in its environment and keeps what it says.
 */
#ifndef FASTGEMM_TEST_SPAWN_H
#define FASTGEMM_TEST_SPAWN_H

struct run {
    int status; /* as waitpid gives it; 0: ended well */
    long pid;
    char out[1 << 16], err[1 << 20];
};

/* Words separated by blanks: "NAME=value ..." on top of this process's environment, and the command line. */
void run_program(struct run *run, const char *settings, const char *command);

/* How often `part` stands in `text`. */
int occurrences(const char *text, const char *part);

#endif
