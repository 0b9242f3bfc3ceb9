/* transcribe.h - `pinna transcribe FILE...`: recordings to text on the command line. */
#ifndef PN_CLI_TRANSCRIBE_H
#define PN_CLI_TRANSCRIBE_H

/* argv[0] is "transcribe". Returns the exit status: 0; 1 (a file failed, the others are done); 2 (usage or
 * configuration); 3 (the model cannot be had, or cannot do what is wanted); 128 + N (ended by signal N). */
int pn_cmd_transcribe(int argc, char **argv);

#endif
