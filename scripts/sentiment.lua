-- sentiment.lua POSITIVE NEGATIVE [options]: learns to tell two kinds of sentences apart.
--
--   lstm scripts/sentiment.lua good.txt bad.txt --out mood.safetensors
--   lstm scripts/sentiment.lua --load mood.safetensors --text "a film that warms the heart"
--
-- A line of either file is a sentence, its words apart by spaces; any bytes are fine. One of each ten
-- sentences is tested on (--fold), the others are learned. Words become rows of an embedding, an LSTM reads them one
-- after the other, and what it holds after the last word decides; shorter sentences are masked, so that nothing follows
-- their end. stdout gets the line `test accuracy X % loss Y nats`, and with --text the answer and how sure it is;
-- everything else goes to stderr.

local lstm = require "lstm"
local programs = require "lstm.program"

local opt, given = lstm.args(programs.with({
  about = "Learn to tell two kinds of sentences apart, such as praise and blame.",
  examples = {
    {"good.txt bad.txt --out mood.safetensors --plot test.svg", "learns what tells the sentences of the files apart"},
    {'--load mood.safetensors --text "a film that warms the heart"', "says which kind a sentence is"},
  },
  {"positive", optional = true, help = "text file with one sentence a line; not needed with --load"},
  {"negative", optional = true, help = "text file with sentences of the other kind"},
  {"--labels", default = "positive,negative", help = "what to call the two kinds"},
  {"--text", type = "string", value = "SENTENCE", help = "which kind this sentence is; with --load needs no files"},
  {"--epochs", default = 4, min = 1, help = "times the sentences are gone through; with --resume, the total"},
  {"--embed", default = 64, min = 1, alias = "--embedding", help = "numbers for each word"},
  {"--hidden", default = 64, min = 1, help = "cells"},
  {"--bidirectional", flag = true, help = "a second LSTM reads the sentence from its end"},
  {"--dropout", type = "number", default = 0.3, min = 0, below = 1, help = "share of values dropped while training"},
  {"--least", default = 2, min = 1, help = "how often a word must occur to be learned"},
  {"--words", default = 50, min = 1, help = "the first words of a sentence that are read"},
  {"--lr", default = 2e-3, above = 0, help = "learning rate"},
  {"--batch", default = 64, min = 1, help = "sentences for each training step"},
  {"--clip", type = "number", default = 5, min = 0, help = "largest gradient norm, 0 = any"},
  {"--init", default = "pytorch", choices = {"default", "pytorch"}, help = "how weights begin"},
  {"--fold", default = 10, min = 1, max = 10, help = "which sentence of each ten is tested on"},
  {"--val", type = "number", default = 0, min = 0, below = 1,
    help = "share of the learned sentences to choose the best epoch by; 0 = the last epoch counts"},
  {"--plot", type = "string", value = "FILE", help = "draw the confusion matrix of the test here, as in test.svg"},
}, "patience", "seed", "out", "load", "checkpoint", "resume", "loss_plot", "report", "verbose"))

-- What shapes the model and the run: kept in the model file, so that --load and --resume need none of it again.
local kept = {"epochs", "embed", "hidden", "bidirectional", "dropout", "least", "words", "lr", "batch", "clip", "fold",
  "val", "patience", "init", "seed"}

-- What a resumed run is to be told again.
local unkept = {"labels", "text", "out", "plot", "loss_plot", "report", "verbose"}

local stop = lstm.args.stop
local program = programs(opt, given, unkept, {"positive", "negative"})
local need = program.need
local TENTH = 10                                     -- one of so many sentences is tested on

-- [Sentences]

-- A line as it is read: in lower case, no more than --words words; nil where it has none.
local function tidy(line)
  local words = {}
  for word in line:lower():gmatch("%S+") do
    if #words < opt.words then words[#words + 1] = word end
  end
  return words[1] and table.concat(words, " ")
end

local function read_lines(path)
  local text, lines = need(lstm.readfile(path)), {}
  if text:find("^.......%z{") then program:check_data(path, "a text") end        -- a model
  if text:find("%z") then stop(path .. " is not a text file: it has zero bytes") end
  for line in text:gmatch("[^\r\n]+") do lines[#lines + 1] = tidy(line) end
  if #lines == 0 then stop(path .. " is empty: one sentence a line was expected") end
  if #lines < TENTH then
    stop(("%s has %d sentence%s, too few: every tenth is tested on, so 10 are needed"):format(path, #lines,
      #lines == 1 and "" or "s"))
  end
  return lines
end

-- Both kinds, mixed evenly, as sets to learn from and to test on: any part of a set has its share of both.
local function read_sets(labels)
  local all = {}
  for kind, path in ipairs{opt.positive, opt.negative} do
    local lines = read_lines(path)
    for i, line in ipairs(lines) do
      local test = (i - opt.fold) % TENTH == 0
      all[#all + 1] = {line = line, label = labels[kind], place = (i - 0.5) / #lines, test = test}
    end
  end
  table.sort(all, function(a, b)
    if a.place ~= b.place then return a.place < b.place end
    return a.label < b.label
  end)
  local parts = {[true] = {x = {}, y = {}}, [false] = {x = {}, y = {}}}
  for _, one in ipairs(all) do
    local part = parts[one.test]
    part.x[#part.x + 1], part.y[#part.y + 1] = one.line, one.label
  end
  return lstm.sequences(parts[false]), lstm.sequences(parts[true])
end

local function read_labels()
  local labels = {}
  for label in opt.labels:gmatch("[^,]+") do labels[#labels + 1] = label end
  if #labels ~= 2 or labels[1] == labels[2] then
    stop(('--labels wants two names with a comma between them, got "%s"'):format(opt.labels))
  end
  return labels
end

-- [The model]

local function new_model(train, labels)
  local layers = {lstm.embedding(opt.embed)}
  local function drop()
    if opt.dropout > 0 then layers[#layers + 1] = lstm.dropout(opt.dropout) end
  end
  drop()
  layers[#layers + 1] = lstm.lstm{opt.hidden, bidirectional = opt.bidirectional or nil}
  drop()
  layers.input = lstm.vocab(table.concat(train.x, "\n"), "words", {least = opt.least})
  layers.output, layers.init, layers.seed = labels, opt.init, opt.seed
  local model = lstm.model(layers)
  -- small rows to begin with: most words are rare, and a row that is hardly trained should say little
  model:tensor("embed.weight", model:tensor("embed.weight") * (0.1 / math.sqrt(3)))
  return model
end

-- The share of sentences that counting words puts right: naive Bayes over the words that were learned.
local function naive_bayes(vocab, labels, train, test)
  local counts, total = {{}, {}}, {0, 0}
  for i, line in ipairs(train.x) do
    local kind = train.y[i] == labels[1] and 1 or 2
    for word in line:gmatch("%S+") do
      if vocab:id(word) then
        counts[kind][word] = (counts[kind][word] or 0) + 1
        total[kind] = total[kind] + 1
      end
    end
  end
  local right, size = 0, vocab:size()
  for i, line in ipairs(test.x) do
    local score = 0
    for word in line:gmatch("%S+") do
      if vocab:id(word) then
        score = score + math.log(((counts[1][word] or 0) + 1) / (total[1] + size)) -
          math.log(((counts[2][word] or 0) + 1) / (total[2] + size))
      end
    end
    if (score > 0) == (test.y[i] == labels[1]) then right = right + 1 end
  end
  return right / #test.x
end

local function learn(model, train)
  model.meta.sentiment = lstm.args.keep(opt, kept)
  local learned, validation = train, nil
  if opt.val > 0 then learned, validation = train:split(1 - opt.val) end
  if opt.resume then program:check_epochs(model, #learned) end
  program:say("%d sentences to learn from; %d words; %d parameters", #learned, model.vocab:size(), model:parameters())
  program:warn_unsaved()
  return program:fit(model, learned, {
    validation = validation, epochs = opt.epochs, batch = opt.batch, lr = opt.lr, clip = opt.clip, seed = opt.seed,
    patience = opt.patience, checkpoint = opt.checkpoint or opt.resume, resume = opt.resume, verbose = opt.verbose,
    on_epoch = not validation and program.keep_last or nil,
  }, {y = "nats per sentence"})
end

-- [What it says]

-- --text: one sentence of the user's own.
local function print_answer(model)
  local line = tidy(opt.text)
  if not line then stop("--text is empty") end
  for word in line:gmatch("%S+") do
    if not model.vocab:id(word) then program:say('"%s" is no word that was learned', word) end
  end
  local share, place = 0, 1
  local shares = model:predict(lstm.sequences{x = {line}})[1]
  for i = 1, #shares do
    if shares[i] > share then share, place = shares[i], i end
  end
  print(("%s %.1f %%"):format(model:label(place), 100 * share))
end

local function print_test(model, history, train, test)
  local labels = model.labels
  local result = model:evaluate(test)
  program:draw{title = ("%d test sentences"):format(#test), model = model, history = history,
    confusion = model:confusion(test), data = test}
  program:say("naive Bayes, which counts words and forgets their order: %.1f %% of the test sentences right",
    100 * naive_bayes(model.vocab, labels, train, test))
  print(("test accuracy %.1f %% loss %.4f nats"):format(100 * result.accuracy, result.loss))
end

-- [The program]

local model, history
if opt.load then
  program:check_load_options{"positive", "negative", "load", "text", "plot", "report", "words", "verbose"}
  model = program:open(opt.load, "sentiment")
  program:check_conflict(opt.load, model.meta.sentiment)
  lstm.args.recall(opt, given, model.meta.sentiment)
  if opt.text then print_answer(model) end
  if opt.text and not opt.positive then os.exit(0, true) end
end
if not opt.negative then stop(not opt.positive and "POSITIVE is missing" or "NEGATIVE is missing", 2) end
program:check_writable{"out", "checkpoint", "plot", "loss_plot", "report"}
model = model or opt.resume and program:reopen("sentiment", {"epochs", "patience"})
local train, test = read_sets(model and model.labels or read_labels())
if not opt.load then
  model = model or new_model(train, read_labels())
  history = learn(model, train)
end
print_test(model, history, train, test)
if opt.text and not opt.load then print_answer(model) end
