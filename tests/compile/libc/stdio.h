/* see stdlib.h */
#include <stddef.h>
typedef struct FILE FILE;
#define SEEK_SET 0
#define SEEK_END 2
FILE *fopen(const char *path, const char *mode);
int fclose(FILE *file);
size_t fread(void *to, size_t size, size_t count, FILE *file);
size_t fwrite(const void *from, size_t size, size_t count, FILE *file);
int fflush(FILE *file);
int ferror(FILE *file);
int fseek(FILE *file, long offset, int from);
long ftell(FILE *file);
int rename(const char *from, const char *to);
int remove(const char *path);
#ifdef _WIN32
#include <stddef.h>
FILE *_wfopen(const wchar_t *path, const wchar_t *mode);
int _wrename(const wchar_t *from, const wchar_t *to);
int _wremove(const wchar_t *path);
#endif
