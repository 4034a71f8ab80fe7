-- classify.lua DATA [TEST] [options]: learns which class a sequence belongs to: a name's language, a gesture, a speaker
--
--   lstm scripts/classify.lua names/ --out names.safetensors --plot confusion.svg     names/Irish.txt, names/Czech.txt
--   lstm scripts/classify.lua vowels_TRAIN.ts vowels_TEST.ts
--   lstm scripts/classify.lua digits/                                          digits/one/a.csv, digits/two/b.csv
--   lstm scripts/classify.lua --load names.safetensors --text O'Neill
--   lstm scripts/classify.lua --load digits.safetensors unknown.csv
--
-- DATA is a folder of text files, one for each class, with a sequence of characters on each line (doubles count once);
-- or a folder with a folder for each class, in which a .csv or .npy file is a sequence with a row for each step (spoken
-- digits as rows of MFCC, strokes of a pen); or a .ts file of the UEA and UCR archives. Sequences may differ in length.
-- Without TEST a share of each class, drawn at random, is tested on. stdout gets the confusion matrix of the test and,
-- last, the line `test accuracy X % F1 Y` (F1: the mean over the classes); everything else goes to stderr.

local lstm = require "lstm"
local classes = require "lstm.classes"
local programs = require "lstm.program"

local opt, given = lstm.args(programs.with({
  about = "Learn which class a sequence belongs to: names by language, gestures, spoken digits.",
  examples = {
    {"names/ --out names.safetensors --plot confusion.svg", "names/Irish.txt, names/Czech.txt: a name on each line"},
    {"TRAIN.ts TEST.ts --bidirectional", "files of the UEA and UCR archives"},
    {"--load names.safetensors --text O'Neill", "the three likeliest classes"},
  },
  {"data", optional = true,
    help = "a folder of .txt files, one for each class, a sequence on each line; a folder of folders of .csv or .npy" ..
      " files, a sequence each; or a .ts file. With --load: also one .csv or .npy file, or a text file of sequences"},
  {"test_data", optional = true, help = "the same kind of data, to test on (default: a share of DATA)"},
  {"--text", type = "string", value = "SEQUENCE", help = "with --load: classify this text; needs no DATA"},
  {"--top", default = 3, min = 1, help = "how many classes to name for a sequence"},
  {"--epochs", type = "integer", min = 1,
    help = "times the data are gone through; with --resume, the total (default 30, more where the data are few)"},
  {"--hidden", default = 100, min = 1, help = "cells per layer"},
  {"--layers", default = 1, min = 1, max = 16, help = "recurrent layers"},
  {"--cell", default = "lstm", choices = {"lstm", "gru"}, help = "what the layers are made of"},
  {"--bidirectional", flag = true, help = "a second layer reads the sequence from its end"},
  {"--read", default = "last", choices = {"last", "mean", "max"}, help = "what of the outputs decides"},
  {"--dropout", type = "number", default = 0, min = 0, below = 1, help = "share of values dropped while training"},
  {"--embed", type = "integer", min = 0,
    help = "texts: numbers for each character, 0 = one of its own for each (default 0 up to 200 characters, else 64)"},
  {"--scale", default = "zscore", choices = {"none", "minmax", "zscore"},
    help = "numbers: what is done to each column first, by what the learned part is like"},
  {"--lr", default = 2e-3, above = 0, help = "learning rate"},
  {"--batch", default = 32, min = 1, help = "sequences for each training step"},
  {"--clip", type = "number", default = 5, min = 0, help = "largest gradient norm, 0 = any"},
  {"--test", default = 0.2, above = 0, below = 1, help = "share of DATA to test on, where no TEST is given"},
  {"--val", type = "number", default = 0, min = 0, below = 1,
    help = "share of the rest to choose the best epoch by; 0 = the last epoch counts"},
  {"--plot", type = "string", value = "FILE", help = "draw the confusion matrix here, as in confusion.svg"},
}, "patience", "init", "seed", "out", "load", "checkpoint", "resume", "loss_plot", "report",
  "verbose"))

-- What shapes the model and the run: kept in the model file, so that --resume needs none of it again.
local kept = {"epochs", "hidden", "layers", "cell", "bidirectional", "read", "dropout", "embed", "scale", "lr", "batch",
  "clip", "test", "val", "patience", "init", "seed"}

-- What a resumed run is to be told again.
local unkept = {"top", "out", "plot", "loss_plot", "report", "verbose"}

local stop = lstm.args.stop
local program = programs(opt, given, unkept, {"data", "test_data"})
local need = program.need
local ONE_HOT = 200                                  -- so many characters may have an input of their own

-- [Data]

local function read_data(path)
  local set = need(classes.read(path))
  if #set.x == 0 then stop(path .. " has no sequences") end
  return set
end

-- How many there are of what, for the line that begins a run.
local function describe(set)
  local shortest, longest, total = math.huge, 0, 0
  for _, x in ipairs(set.x) do
    shortest, longest, total = math.min(shortest, #x), math.max(longest, #x), total + #x
  end
  local what = set.width == 0 and "characters" or ("steps of %d number%s"):format(set.width,
    set.width == 1 and "" or "s")
  return ("%d sequences of %s %s"):format(#set.x, shortest == longest and longest or shortest .. " to " .. longest,
    what)
end

-- Every class needs enough sequences for each part.
local function check_classes(path, labels, counts)
  if #labels < 2 then
    stop(("%s has one class only (%s): there is nothing to tell apart"):format(path, labels[1]))
  end
  for _, label in ipairs(labels) do
    if counts[label] < 2 and not opt.test_data then
      stop(('%s has one sequence of "%s": at least two are needed, one to learn from and one to test on'):format(path,
        label))
    end
  end
end

-- Test data have no classes that were not learned, and the same kind of sequences.
local function check_test(test, labels, width)
  local known = {}
  for _, label in ipairs(labels) do known[label] = true end
  for _, label in ipairs(test.y) do
    if not known[label] then
      stop(('%s has the class "%s", which %s does not have'):format(opt.test_data, label, opt.data))
    end
  end
  if test.width ~= width then
    stop(("%s has %d numbers for each step, %s has %d"):format(opt.test_data, test.width, opt.data, width))
  end
end

local function sequences(set) return lstm.sequences{x = set.x, y = set.y} end

-- The parts to learn from, to choose by (or nil), and to test on.
local function read_parts()
  local data = read_data(opt.data)
  local labels, counts = classes.count(data.y)
  check_classes(opt.data, labels, counts)
  local train, validation = sequences(data)
  local test
  if opt.test_data then
    local other = read_data(opt.test_data)
    check_test(other, labels, data.width)
    test = sequences(other)
  else
    train, test = train:split(1 - opt.test, {by = "stratified", seed = opt.seed})
  end
  if opt.val > 0 then train, validation = train:split(1 - opt.val, {by = "stratified", seed = opt.seed + 1}) end
  program:say("%s: %s; %d classes; %d to learn from, %d to test on", opt.data, describe(data), #labels, #train, #test)
  return {train = train, validation = validation, test = test, labels = labels, width = data.width}
end

local function scaled(parts)
  if parts.width == 0 or opt.scale == "none" then return end
  local scale = lstm[opt.scale](parts.train)         -- by the learned part only
  for _, name in ipairs{"train", "validation", "test"} do
    parts[name] = parts[name] and scale:apply(parts[name])
  end
end

-- A text without the characters that were not learned; nil where nothing is left.
local function known_part(vocab, text)
  local part = text:gsub("[%z\1-\127\194-\244][\128-\191]*", function(c) return vocab:id(c) and c or "" end)
  return part ~= "" and part or nil
end

-- Texts as a model can read them; those that have no character that it knows are left out.
local function readable(model, set)
  if not set or not model.vocab then return set end
  local x, y = {}, {}
  for i, text in ipairs(set.x) do
    local part = known_part(model.vocab, text)
    if part then x[#x + 1], y[#y + 1] = part, set.y[i] end
  end
  if #x < #set.x then
    program:say("%d sequences are left out: none of their characters was learned", #set.x - #x)
  end
  return #x > 0 and lstm.sequences{x = x, y = y} or stop("no character of the test data is one that was learned")
end

-- [The model]

-- A row of zeros with a single one for each symbol.
local function identity(n)
  local rows = lstm.zeros{n, n}
  for i = 1, n do rows[i][i] = 1 end
  return rows
end

-- Whether characters are fed as they are, without a table that is learned.
local function is_one_hot(model) return model.vocab ~= nil and model.meta.one_hot == true end

local function new_model(parts)
  local layers = {output = parts.labels, init = opt.init, seed = opt.seed, input = parts.width}
  local one_hot = false
  if parts.width == 0 then
    layers.input = lstm.vocab(table.concat(parts.train.x, "\n"), "utf8")
    local size = layers.input:size()
    one_hot = (opt.embed or size > ONE_HOT and 64 or 0) == 0
    layers[1] = lstm.embedding(one_hot and size or opt.embed or 64)
  end
  for i = 1, opt.layers do
    layers[#layers + 1] = lstm[opt.cell]{opt.hidden, bidirectional = opt.bidirectional or nil,
      read = i == opt.layers and opt.read or nil}
    if opt.dropout > 0 then layers[#layers + 1] = lstm.dropout(opt.dropout) end
  end
  local model = lstm.model(layers)
  if one_hot then
    model:tensor("embed.weight", identity(model.vocab:size()))
    model.meta.one_hot = true
  end
  return model
end

local function learn(model, parts)
  program:choose_epochs(#parts.train, 30, 500, 50000)
  model.meta.classify = lstm.args.keep(opt, kept)
  if opt.resume then program:check_epochs(model, #parts.train) end
  program:say("%d parameters, %d epoch%s", model:parameters(), opt.epochs, opt.epochs == 1 and "" or "s")
  program:warn_unsaved()
  scaled(parts)
  parts.validation, parts.test = readable(model, parts.validation), readable(model, parts.test)
  return program:fit(model, parts.train, {
    validation = parts.validation, epochs = opt.epochs, batch = opt.batch, lr = opt.lr, clip = opt.clip,
    seed = opt.seed, patience = opt.patience, checkpoint = opt.checkpoint or opt.resume, resume = opt.resume,
    verbose = opt.verbose, freeze = is_one_hot(model) and {1} or nil,
    on_epoch = not parts.validation and program.keep_last or nil,
  }, {y = "nats per sequence", log = true})
end

-- [Results]

local function print_test(model, test, history)
  local confusion = model:confusion(test)
  print(tostring(confusion))
  program:draw{title = opt.data:gsub("/+$", ""):match("[^/]+$") .. ", test", confusion = confusion, model = model,
    history = history, log = true, data = test}
  print(("test accuracy %.1f %% F1 %.3f"):format(100 * confusion:accuracy(), confusion:f1()))
end

-- "Irish 81.2 %, English 10.3 %"
local function words_of(list)
  local words = {}
  for i, one in ipairs(list) do words[i] = ("%s %.1f %%"):format(one.label, 100 * one.p) end
  return table.concat(words, ", ")
end

-- Prints the likeliest classes of each sequence, with its name where there are several.
local function print_classes(model, list, names)
  local results = model:classify(lstm.sequences{x = list}, {top = math.min(opt.top, #model.labels)})
  for i, result in ipairs(results) do
    print((names and names[i] .. "\t" or "") .. words_of(result))
  end
end

-- A sequence must have the columns that the model reads.
local function check_width(model, value, path)
  local width = type(value) == "string" and 0 or select(2, value:shape()) or 1
  local wanted = model.vocab and 0 or (model.core:sizes())
  if width == wanted then return end
  local function what(n) return n == 0 and "texts" or ("%d number%s for each step"):format(n, n == 1 and "" or "s") end
  stop(("%s has %s, the model reads %s"):format(path, what(width), what(wanted)))
end

-- The text, or the end where the model knows none of its characters.
local function known_text(model, text, path)
  return known_part(model.vocab, text) or
    stop(('%s: no character of "%s" is one that the model has learned'):format(path, text))
end

-- --load: one file without classes: a sequence of numbers, or lines of text.
local function classify_file(model)
  local value = need(classes.sequence(opt.data))
  check_width(model, value, opt.data)
  if type(value) ~= "string" then return print_classes(model, {value}) end
  local lines = {}
  for line in value:gmatch("[^\r\n]+") do
    line = line:match("^%s*(.-)%s*$")
    if line ~= "" then lines[#lines + 1] = line end
  end
  local known = {}
  for i, line in ipairs(lines) do known[i] = known_text(model, line, opt.data) end
  if #lines == 0 then stop(opt.data .. " is empty") end
  print_classes(model, known, lines)
end

local function load_and_exit()
  program:check_load_options{"data", "load", "text", "top", "plot", "report", "verbose"}
  local model = program:open(opt.load, "classify")
  if opt.text then
    if not model.vocab then stop(opt.load .. " reads numbers, not texts: give a .csv file with a row for each step") end
    if not opt.text:find("%S") then stop("--text is empty") end
    print_classes(model, {known_text(model, opt.text, "--text")})
  elseif not opt.data then
    stop("--load needs something to classify: a file, a folder of classes, or --text SEQUENCE", 2)
  elseif lstm.folder(opt.data) or opt.data:lower():find("%.ts$") then
    local set = read_data(opt.data)
    check_width(model, set.x[1], opt.data)
    for _, label in ipairs(set.y) do
      if not model:index(label) then stop(('%s has the class "%s", which the model does not know'):format(opt.data,
        label)) end
    end
    print_test(model, readable(model, sequences(set)))
  else
    classify_file(model)
  end
  os.exit(0, true)
end

-- [The program]

program:check_writable{"out", "checkpoint", "plot", "loss_plot", "report"}
if opt.load then load_and_exit() end
if opt.text then stop("--text needs --load MODEL, which is to classify it", 2) end
if not opt.data then stop("DATA is missing", 2) end
local model = opt.resume and program:reopen("classify", {"epochs", "patience"})
local parts = read_parts()
if model and table.concat(model.labels, "\n") ~= table.concat(parts.labels, "\n") then
  stop(("%s does not have the classes that %s was learning"):format(opt.data, opt.resume))
end
model = model or new_model(parts)
local history = learn(model, parts)
print_test(model, parts.test, history)
