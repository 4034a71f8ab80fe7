/* Runs a fuzz target over files, without a fuzzer: PROGRAM FILE|FOLDER... A folder that is missing is an empty one. */
#define _POSIX_C_SOURCE 200809L
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int files;

/* The data are in a block of exactly their size, so that a sanitizer sees what is read beyond them. */
static int replay_file(const char *path) {
  FILE *file = fopen(path, "rb");
  long size = -1;
  uint8_t *data = NULL;
  int good;
  if (file && fseek(file, 0, SEEK_END) == 0) size = ftell(file);
  if (size >= 0) data = (uint8_t *)malloc(size ? (size_t)size : 1);
  good = data && fseek(file, 0, SEEK_SET) == 0 && fread(data, 1, (size_t)size, file) == (size_t)size;
  if (good) (void)LLVMFuzzerTestOneInput(data, (size_t)size);
  else (void)fprintf(stderr, "cannot read %s\n", path);
  if (file) (void)fclose(file);
  free(data);
  ++files;
  return !good;
}

static int replay(const char *path) {
  DIR *folder = opendir(path);
  struct dirent *entry;
  int failures = 0;
  if (!folder) {
    FILE *file = fopen(path, "rb");
    if (!file) return 0;
    (void)fclose(file);
    return replay_file(path);
  }
  while ((entry = readdir(folder)) != NULL) {
    char name[4096];
    if (entry->d_name[0] == '.') continue;
    (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
    failures += replay_file(name);
  }
  (void)closedir(folder);
  return failures;
}

int main(int argc, char **argv) {
  const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
  int failures = 0, i;
  for (i = 1; i < argc; ++i) failures += replay(argv[i]);
  printf("%s %s: %d files\n", failures ? "not ok" : "ok", name, files);
  return failures != 0;
}
