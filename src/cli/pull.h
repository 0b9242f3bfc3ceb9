/* pull.h - `pinna pull NAME...`: models by name, or one's own checkpoint, into MODEL_DIR. */
#ifndef PN_CLI_PULL_H
#define PN_CLI_PULL_H

/* argv[0] is "pull". Returns the exit status: 0; 1 (the disk, or a file that is no checkpoint); 2 (usage or
 * configuration); 3 (a model cannot be had); 128 + N (ended by signal N; what came is kept for the next try).
 */
int pn_cmd_pull(int argc, char **argv);

#endif
