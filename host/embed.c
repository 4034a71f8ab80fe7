/* embed.c: embed FILE.lua ... > embedded.c
   Turns Lua files into C arrays that the host loads at start. Numbers instead of strings: C99 promises no string
   literal longer than 4,095 characters. */
#include <stdio.h>
#include <string.h>

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static int embed(const char *path, int number) {
  FILE *file = fopen(path, "rb");
  int c, column = 0;
  if (!file) {
    perror(path);
    return 0;
  }
  printf("static const unsigned char file_%d[] = {\n", number);
  while ((c = getc(file)) != EOF) {
    printf("%d,", c);
    if (++column % 32 == 0) putchar('\n');
  }
  printf("0};\n\n");
  fclose(file);
  return 1;
}

int main(int argc, char **argv) {
  int i;
  printf("/* Made from host/lua by host/embed.c. */\n#include \"host.h\"\n\n");
  for (i = 1; i < argc; i++) {
    if (!embed(argv[i], i)) return 1;
  }
  printf("const host_file host_files[] = {\n");
  for (i = 1; i < argc; i++) {
    const char *name = base_name(argv[i]);
    printf("  {\"%.*s\", file_%d, sizeof file_%d - 1},\n", (int)strcspn(name, "."), name, i, i);
  }
  printf("  {NULL, NULL, 0}};\n");
  return 0;
}
