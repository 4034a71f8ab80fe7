-- scripts/export.lua as a user runs it: headers that compile as C99 and C++11 without a warning, run to the same bits
-- as the model, and state what they need. What a compiler has to say is skipped where there is none.
local lu = require "luaunit"
local lstm = require "lstm"
local programs = dofile "tests/lua/support/programs.lua"

local path, run = programs.path, programs.run

-- A folder of this test's own; its files go at the end.
local folder = path()
os.execute("mkdir " .. folder)
local function inside(name) return programs.remove_later(folder .. "/" .. name) end

local function has(compiler)
  return (os.execute(compiler .. " --version >/dev/null 2>&1"))
end

local WARN = "-Wall -Wextra -pedantic -Wconversion -Wsign-conversion -Wshadow -Wcast-qual -Wundef -Werror" ..
  " -Wdouble-promotion -O0 -DLSTM_NO_SIMD -DLSTM_NO_TRAINING"

-- Compiles and runs a program beside the headers; returns what it printed.
local function compiled(program, compiler, flags)
  local source, binary = inside "use.c", inside "use"
  assert(lstm.writefile(source, program))
  local command = ("%s %s %s -I. -I%s %s -o %s 2>&1 && %s"):format(compiler, WARN, flags or "", folder, source, binary,
    binary)
  local pipe = assert(io.popen(command))
  local out = pipe:read "a"
  local _, _, code = pipe:close()
  lu.assertEquals({code or 0, out:find("warning") or out:find("error")}, {0, nil}, out)
  return out
end

local compilers = {"gcc -std=c99", "clang -std=c99", "g++ -x c++ -std=c++11", "clang++ -x c++ -std=c++11"}

-- Different in what they need to run: (no) table of tokens, learned states, directions, options.
local models = {
  plain = {input = 3, lstm.lstm(8), lstm.dense(2)},
  every_option = {input = 3, lstm.dense{20, activation = "relu"}, lstm.lstm{9, peephole = true, layer_norm = true,
    projection = 4, cell_clip = 0.5, zoneout = 0.125, dropout = 0.25, recurrent_dropout = 0.5, learned_state = true,
    activation = "softsign", gate_activation = "hard_sigmoid"}, lstm.dropout(0.5), lstm.gru{5, learned_state = true},
    output = {"a", "b", "c"}, numerics = "portable"},
  noisy = {input = 2, lstm.lstm{6, forget = "noise", noise = 0.25}, lstm.lstm{3, coupled = true, read = "last"}},
  tokens = {input = lstm.vocab "hello world", lstm.embedding(5), lstm.lstm{7, learned_state = true},
    output = lstm.vocab "hello world"},
  tied = {input = lstm.vocab "hello", lstm.embedding{5, tied = true}, lstm.dense(6), lstm.lstm(5),
    output = lstm.vocab "hello"},
  both = {input = 2, lstm.lstm{5, bidirectional = true, merge = "sum", read = "max", learned_state = true},
    lstm.dense(2)},
  ids_both = {input = lstm.vocab "hello", lstm.embedding(4), lstm.gru{5, bidirectional = true}, lstm.dense(2)},
  amplifier = {input = 1, lstm.lstm(4), lstm.dense{1, residual = true}},
}

-- A state begins where the learned one says, and is full of other numbers than 0: else they would not be looked at.
local function stirred(options)
  local model = lstm.model(options)
  for _, name in ipairs(model:tensors()) do
    local tensor = model:tensor(name)
    if name:find("%.[hc]0_l") then
      for i = 1, #tensor do tensor[i] = i / 7 - 0.3 end
      model:tensor(name, tensor)
    end
  end
  return model
end

-- What it takes to compare the constants with the file, in C; the sizes must be exact where pointers have 64 bits.
local COMPARE = [[
#define LSTM_IMPLEMENTATION
#include "lstm.h"
#include <stdio.h>
enum { STEPS = 5, FLOATS = STEPS * 64 };
static size_t run(const lstm_model *model, lstm_state *state, float *y) {
  static float x[FLOATS];
  static int32_t ids[STEPS];
  int inputs = lstm_model_input_size(model), ids_in = lstm_model_takes_ids(model);
  for (int i = 0; i < STEPS * inputs; i++) x[i] = (float)(i % 7 - 3) / 4;
  for (int i = 0; i < STEPS; i++) ids[i] = i % inputs;
  if ((ids_in ? lstm_forward_ids(model, state, ids, STEPS, y) : lstm_forward(model, state, x, STEPS, y)) != LSTM_OK)
    return 0;
  return (size_t)(lstm_model_reads_last(model) ? 1 : STEPS) * (size_t)lstm_model_output_size(model) * sizeof *y;
}
static int compare(const char *path, const lstm_static_model *constants, void *memory, size_t bytes,
                   void *state_memory, size_t state_bytes) {
  static float wanted[FLOATS], got[FLOATS];
  lstm_state_desc desc = {1, 0, {NULL, NULL, NULL}, NULL, STEPS};
  lstm_model *file, *model;
  lstm_state *state, *other;
  size_t size, count;
  if (lstm_load_file(path, NULL, &file) != LSTM_OK || lstm_state_create(file, &desc, &state) != LSTM_OK) return 1;
  count = run(file, state, wanted);
  if (lstm_model_static_size(constants, &size) != LSTM_OK || (sizeof(void *) == 8 ? size != bytes : size > bytes))
    return 2;
  if (lstm_model_from_static(constants, memory, bytes, &model) != LSTM_OK) return 3;
  if (lstm_state_size(model, &desc, &size) != LSTM_OK) return 7;
  if (sizeof(void *) == 8 ? size != state_bytes : size > state_bytes) return 4;
  if (lstm_state_create_in(model, &desc, state_memory, state_bytes, &other) != LSTM_OK) return 5;
  if (run(model, other, got) != count || !count || memcmp(got, wanted, count) != 0) return 6;
  lstm_state_destroy(state);
  lstm_model_destroy(file);
  return 0;
}
]]

-- Exports all models; returns a program that compares each, and prints its name and 0.
local function comparison()
  local includes, calls = {COMPARE}, {"int main(void) {"}
  for name, options in pairs(models) do
    options.seed = 1
    local file, header = inside(name .. ".safetensors"), inside(name .. ".h")
    assert(stirred(options):save(file))
    local out, err, code = run(("export --c %s -o %s --seq 5"):format(file, header))
    lu.assertEquals({err, code}, {"", 0})
    lu.assertStrMatches(out, header:gsub("%p", "%%%0") .. ": " .. name ..
      ", [%d,]+ bytes of flash; RAM: [%d,]+ bytes for the model, [%d,]+ for a state\n")
    includes[#includes + 1] = ('#include "%s.h"'):format(name)
    calls[#calls + 1] = ([[
  LSTM_ALIGNED static unsigned char NAME_memory[UPPER_MODEL_BYTES], NAME_state[UPPER_STATE_BYTES];
  printf("NAME %d\n", compare("PATH", &NAME, NAME_memory, UPPER_MODEL_BYTES, NAME_state, UPPER_STATE_BYTES));]])
      :gsub("NAME", name):gsub("UPPER", name:upper()):gsub("PATH", file)
  end
  calls[#calls + 1] = "  return 0;\n}\n"
  return table.concat(includes, "\n") .. "\n" .. table.concat(calls, "\n")
end

local TestExport = {}

function TestExport.testTheConstantsAreTheFile()
  local program, found = comparison(), 0
  for _, compiler in ipairs{compilers[1], compilers[3]} do
    if has(compiler) then
      found = found + 1
      local out = compiled(program, compiler)
      for name in pairs(models) do lu.assertStrContains(out, name .. " 0\n") end
      if found == 1 and pcall(compiled, "#include <errno.h>\nint main(void) { return 0; }\n", compiler, "-m32") then
        out = compiled(program, compiler, "-m32 -msse2 -mfpmath=sse")
        for name in pairs(models) do lu.assertStrContains(out, name .. " 0\n") end
      end
    end
  end
  lu.skipIf(found == 0, "there is no C compiler")
end

-- The code in the header's comment, for a device: no files, no heap, the smallest kernels.
function TestExport.testTheExampleInTheHeaderRuns()
  local found = 0
  for _, name in ipairs{"plain", "tokens", "both"} do
    local options = models[name]
    options.seed = 1
    local file, header = inside(name .. ".safetensors"), inside(name .. ".h")
    assert(lstm.model(options):save(file))
    lu.assertEquals({select(2, run(("export --c %s --out %s"):format(file, header)))}, {"", 0})
    local program = assert(lstm.readfile(header)):match("\n   ```\n(.-)\n   ```\n")
    for i, compiler in ipairs(compilers) do
      if has(compiler) and (name == "plain" or i == 3) then
        found = found + 1
        lu.assertEquals(compiled(program .. "\n", compiler,
          "-DLSTM_NO_FILES -DLSTM_SMALL -DLSTM_NO_PORTABLE -DLSTM_ONLY_ISA=SCALAR"), "")
      end
    end
  end
  lu.skipIf(found == 0, "there is no C compiler")
end

function TestExport.testStdoutAndNames()
  local file, model = inside "my model-2.safetensors", lstm.model(models.plain)
  assert(model:save(file))
  local out, err, code = run(("export --c '%s'"):format(file))
  lu.assertEquals({err, code}, {"", 0})
  lu.assertStrContains(out, "static const lstm_static_model my_model_2 = {\n")
  lu.assertStrContains(out, "\n#define MY_MODEL_2_INPUTS 3\n#define MY_MODEL_2_OUTPUTS 2\n")
  lu.assertStrContains(out, "     lstm hidden=8 read=last: 3 -> 8, 384 parameters\n")
  for line in out:gmatch "[^\n]+" do lu.assertTrue(#line <= 120, line) end
  lu.assertStrContains((run(("export '%s' --name wave"):format(file))), "lstm_static_model wave = {\n")
  local starts = inside "3d.safetensors"
  assert(model:save(starts))
  lu.assertStrContains((run("export " .. starts)), "lstm_static_model model_3d = {\n")
end

-- What belongs to the model is in the comment, and cannot end it.
function TestExport.testLabels()
  local file = inside "labels.safetensors"
  assert(lstm.model{input = 2, hidden = 3, output = {"up */ int x;", "down"}, seed = 1}:save(file))
  lu.assertStrContains((run("export " .. file)), "     outputs: up * / int x;, down\n")
end

-- What a program needs to know of numbers, as tables: whether it reads them or not, no compiler warns.
local ODD = {'a"b', "c\\n", "??/", "*/ d", "\195\1691", "\t2"}
local USE = [[
#define LSTM_IMPLEMENTATION
#include "lstm.h"
#include "labels.h"
#include "bytes.h"
#include "words.h"
#include "rows.h"
#include <stdio.h>
static int is_used(void) { return labels.version + bytes.version + words.version + rows.version; }
#ifdef READ
#define COUNT(table) (int)(sizeof(table) / sizeof *(table))
static void show(float offset, float factor) { printf("|%g %g", (double)offset, (double)factor); }
int main(void) {
  for (int i = 0; i < COUNT(labels_labels); i++) printf("%s|", labels_labels[i]);
  for (int i = 0; i < COUNT(bytes_symbols); i++) printf("%02x", bytes_symbols[i]);
  for (int i = 0; i < COUNT(words_symbols); i++) printf("|%s", words_symbols[i]);
  for (int i = 0; i < COUNT(words_output_symbols); i++) printf("|%s", words_output_symbols[i]);
  for (int i = 0; i < ROWS_INPUTS; i++) show(rows_input_offset[i], rows_input_factor[i]);
  for (int i = 0; i < ROWS_OUTPUTS; i++) show(rows_output_offset[i], rows_output_factor[i]);
  return !is_used();
}
#else
int main(void) { return !is_used(); }
#endif
]]

function TestExport.testTables()
  local bytes, list = lstm.vocab '?"\\\n\200a7', {}
  for i = 1, 40 do list[i] = {i / 4, 100 - i / 2} end
  local rows = lstm.table(lstm.array(list), {"a", "b*/"})
  local made = {
    labels = lstm.model{input = 2, hidden = 3, output = ODD},
    bytes = lstm.model{input = bytes, lstm.embedding(2), lstm.lstm(3), output = bytes},
    words = lstm.model{input = lstm.vocab("one two", "words"), lstm.embedding(2), lstm.lstm(3),
      output = lstm.vocab("\195\169a?", "utf8")},
    rows = lstm.model{input = 2, hidden = 3, output = 2},
  }
  made.rows:fit(lstm.minmax(rows):apply(rows):windows{look_back = 5, target = "b*/", steps = 2},
    {epochs = 1, verbose = 0})
  local text = {}
  for name, model in pairs(made) do
    assert(model:save(inside(name .. ".safetensors")))
    lu.assertEquals({select(2, run(("export %s/%s.safetensors -o %s"):format(folder, name, inside(name .. ".h"))))},
      {"", 0})
    text[name] = assert(lstm.readfile(inside(name .. ".h")))
    for line in text[name]:gmatch "[^\n]+" do lu.assertTrue(#line <= 120, line) end
  end
  lu.assertStrContains(text.rows, "     looks back 5 steps (from a state that is reset), foretells b* /, 1 ahead and" ..
    " the 1 after\n     input a: (value - 0.25) / 9.75\n     input b* /: (value - 80) / 19.5\n" ..
    "     output b* /: y * 19.5 + 80\n")
  lu.assertStrContains(text.words, "/* The word of each id; 1 stands for all others */\n")
  lu.assertStrContains(text.labels, '"a\\042b"')
  local found = 0
  for _, compiler in ipairs(compilers) do
    if has(compiler) then
      found = found + 1
      local flags = "-Wunused -Wunused-const-variable -DLSTM_NO_FILES"
      lu.assertEquals(compiled(USE, compiler, flags), "")
      if found == 1 then
        lu.assertEquals(compiled(USE, compiler, flags .. " -DREAD"), table.concat(ODD, "|") .. "|0a22373f5c61c8" ..
          "|\n|<unknown>|one|two|?|a|\195\169|0.25 9.75|80 19.5|80 19.5|80 19.5")
      end
    end
  end
  lu.skipIf(found == 0, "there is no C compiler")
end

-- The example is right for names that its variables would have, too; both parts of a pair have names of their own.
function TestExport.testNamesOfTheExample()
  local file = inside "state.safetensors"
  assert(lstm.model{input = 1, hidden = 2, output = {"a??/", "*/b"}, seed = 1}:save(file))
  local out = run("export " .. file)
  lu.assertStrContains(out, "lstm_state *my_state;")
  lu.assertStrContains(out, "lstm_model_from_static(&state, model_memory,")
  lu.assertStrContains(out, "state_memory, sizeof state_memory, &my_state)")
  lu.assertStrContains(out, "outputs: a? ?/, * /b\n")
  assert(lstm.load(file):save(inside "state.encoder"))
  lu.assertStrContains((run("export " .. folder .. "/state.encoder")), "lstm_static_model state_encoder = {\n")
end

function TestExport.testHelp() programs.check_help("scripts/export.lua", {"c", "name", "seq"}) end

local TestWrongUses = {}

-- Whole stderr and exit code.
function TestWrongUses.testCommandLine()
  local good, text, nan = inside "good.safetensors", inside "text.txt", inside "nan.safetensors"
  local model = lstm.model(models.plain)
  assert(model:save(good))
  assert(lstm.writefile(text, "hello"))
  local bias = model:tensor "head.bias"
  bias[1] = 0 / 0
  model:tensor("head.bias", bias)
  assert(model:save(nan))
  local words = lstm.vocab("a\nb", "words")
  local part = {input = words, lstm.embedding(2), lstm.lstm(2)}
  assert(lstm.seq2seq{encoder = lstm.model(part), decoder = lstm.model{input = words, lstm.embedding(2), lstm.lstm(2),
    output = words}}:save(folder .. "/pair"))
  programs.remove_later(folder .. "/pair.encoder")
  programs.remove_later(folder .. "/pair.decoder")
  local no_name = "a name in C has letters, digits and _, begins with a letter, and is no word of C or C++ nor lstm_..."
  local cases = {
    {"export", 2, "lstm export: MODEL is missing"},
    {"export none.safetensors", 1, "lstm export: cannot read none.safetensors: No such file or directory"},
    {"export " .. text, 1,
      ("lstm export: %s: this is not a safetensors file but a text; a model is a file that --out saved"):format(text)},
    {"export " .. nan, 1, ("lstm export: %s: tensor head.bias: a value is NaN or infinite"):format(nan)},
    {("export %s -o %s/none/a.h"):format(good, folder), 1,
      ("lstm export: cannot write %s/none/a.h: No such file or directory"):format(folder)},
    {("export %s -o %s"):format(good, folder), 1,
      ("lstm export: --out %s is a folder: give the name of a file"):format(folder)},
    {("export %s -o %s"):format(good, good), 2,
      ("lstm export: --out %s would be written over the file that is read: give it another name"):format(good)},
    {("export %s --name 3d"):format(good), 2, "lstm export: --name 3d: " .. no_name},
    {("export %s --name double"):format(good), 2, "lstm export: --name double: " .. no_name},
    {("export %s --name a-b"):format(good), 2, "lstm export: --name a-b: " .. no_name},
    {("export %s/pair"):format(folder), 1, ("lstm export: %s/pair: two models: export %s/pair.encoder and " ..
      "%s/pair.decoder, each as a header"):format(folder, folder, folder)},
    {("export %s --name lstm_x"):format(good), 2, "lstm export: --name lstm_x: " .. no_name},
    {("export %s --seq 0"):format(good), 2, 'lstm export: --seq must be a whole number from 1 to 1048576, got "0"'},
  }
  for _, case in ipairs(cases) do
    local out, err, code = run(case[1])
    lu.assertEquals({out, err, code}, {"", case[3] .. "\n", case[2]}, case[1])
  end
end

programs.finish{TestExport = TestExport, TestWrongUses = TestWrongUses}
