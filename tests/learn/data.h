/* Readers of the data sets that are not part of the project. Each gives 0, and nothing to free, where the file is
   missing or has nothing in it. */
#ifndef LSTM_TESTS_DATA_H
#define LSTM_TESTS_DATA_H

/* The whole file with a 0 behind it, or NULL. */
static inline char *read_data(const char *name) {
  FILE *file = open_data(name);
  char *text = NULL;
  long size;
  if (!file) return NULL;
  if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) > 0 && fseek(file, 0, SEEK_SET) == 0) {
    text = (char *)make_array((size_t)size + 1, 1);
    text[fread(text, 1, (size_t)size, file)] = 0;
  }
  fclose(file);
  return text;
}

/* Cuts the next line off *rest, without its end; NULL at the end of the text. */
static inline char *next_line(char **rest) {
  char *line = *rest, *end = line + strcspn(line, "\n");
  if (!*line) return NULL;
  *rest = end + (*end != 0);
  *end = 0;
  if (end > line && end[-1] == '\r') end[-1] = 0;
  return line;
}

/* --- series with a class (.ts) ------------------------------------------------------------------------------------ */

typedef struct series_set {
  int cases, channels, longest;
  int *lengths, *labels; /* [cases]; labels from 0 */
  float *x;              /* [cases][longest][channels], 0 behind a case's end */
} series_set;

/* Reads one case into x [.][channels], or only counts where x is NULL: returns its steps, and its label. */
static inline int parse_series(const char *line, int channels, float *x, int *label) {
  int channel, t = 0;
  char *end;
  for (channel = 0; channel < channels; channel++) {
    for (t = 0;; t++) {
      float value = strtof(line, &end);
      if (end == line) return 0;
      if (x) x[t * channels + channel] = value;
      line = end + 1;
      if (*end != ',') break;
    }
    if (*end != ':') return 0;
    t++;
  }
  *label = (int)strtol(line, NULL, 10) - 1;
  return t;
}

/* A file of the UCR/UEA archive: after @data one case a line, channels separated by ':', values by ',', and the class,
   a number from 1, at the end. All channels of a case have one length. */
static inline int read_series(const char *name, int channels, series_set *out) {
  series_set set = {0};
  char *text = read_data(name), *rest = text, *line, **lines;
  int capacity = 0, i;
  if (!text) return 0;
  while ((line = next_line(&rest)) && strcmp(line, "@data") != 0) {
  }
  for (line = rest; *line; line++) capacity += *line == '\n';
  lines = (char **)make_array((size_t)capacity + 1, sizeof *lines);
  set.lengths = (int *)make_array((size_t)capacity + 1, sizeof *set.lengths);
  set.labels = (int *)make_array((size_t)capacity + 1, sizeof *set.labels);
  while ((line = next_line(&rest))) {
    int steps = parse_series(line, channels, NULL, &set.labels[set.cases]);
    if (steps == 0) continue;
    if (steps > set.longest) set.longest = steps;
    set.lengths[set.cases] = steps, lines[set.cases++] = line;
  }
  set.channels = channels;
  set.x = make_floats((size_t)set.cases * (size_t)(set.longest * channels));
  for (i = 0; i < set.cases; i++)
    parse_series(lines[i], channels, set.x + (size_t)i * (size_t)(set.longest * channels), &set.labels[i]);
  free(lines), free(text);
  *out = set;
  return 1;
}

static inline void free_series(series_set *set) { free(set->lengths), free(set->labels), free(set->x); }

/* --- tagged words ------------------------------------------------------------------------------------------------- */

/* One word and its tag a line, a tab between, an empty line behind each sentence. The words are lower-cased (ASCII). */
typedef struct tagged_text {
  char *text;           /* what `words` and `tags` point into */
  char **words, **tags; /* [count] */
  int count, sentences;
  int *starts; /* [sentences + 1]: each sentence's first word; at the end the count */
} tagged_text;

static inline int read_tagged(const char *name, tagged_text *out) {
  tagged_text t = {0};
  char *rest = t.text = read_data(name), *line, *p;
  size_t capacity = 2;
  if (!t.text) return 0;
  for (p = t.text; *p; p++) capacity += *p == '\n';
  t.words = (char **)make_array(capacity, sizeof *t.words);
  t.tags = (char **)make_array(capacity, sizeof *t.tags);
  t.starts = (int *)make_array(capacity, sizeof *t.starts);
  while ((line = next_line(&rest))) {
    char *tab = strchr(line, '\t');
    if (tab) {
      *tab = 0;
      for (p = line; *p; p++)
        if (*p >= 'A' && *p <= 'Z') *p = (char)(*p - 'A' + 'a');
      t.words[t.count] = line, t.tags[t.count++] = tab + 1;
    }
    if ((!tab || !*rest) && t.count > t.starts[t.sentences]) t.starts[++t.sentences] = t.count;
  }
  *out = t;
  return 1;
}

static inline void free_tagged(tagged_text *t) { free(t->text), free(t->words), free(t->tags), free(t->starts); }

#endif
