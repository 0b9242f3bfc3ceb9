/* hubs.h - the caches of the Whisper reference, the Hugging Face hub and ModelScope: which file or folder of
 * theirs is a model. Part of caches.c. */
#ifndef PN_MODEL_HUBS_H
#define PN_MODEL_HUBS_H

#include "model/caches.h"

/* Formats a path; false when it does not fit. */
bool pn_path_printf(char path[PN_MODEL_PATH_MAX], const char *fmt, ...) PN_PRINTF(2, 3);
/* A regular file that is not empty. */
bool pn_is_model_file(const char *path);
/* A folder with weights and their configuration: Hugging Face's or FunASR's layout. */
bool pn_is_model_folder(const char *path);
/* Write the path of a complete copy and return true, or leave nothing to rely on in `path`. `repository` is
 * "OWNER/NAME"; `revision` "" takes any, else only a copy that is known to be of this one. */
bool pn_whisper_cache_find(const char *name, char path[PN_MODEL_PATH_MAX]);
bool pn_hugging_face_find(const char *repository, const char *revision, char path[PN_MODEL_PATH_MAX]);
bool pn_modelscope_find(const char *repository, const char *revision, char path[PN_MODEL_PATH_MAX]);

#endif
