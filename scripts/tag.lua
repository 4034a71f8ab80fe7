-- tag.lua TRAIN.tsv [TEST.tsv] [options]: learns one tag for each word of a sentence.
--
--   lstm scripts/tag.lua train.tsv test.tsv --out tagger.safetensors --plot confusion.svg
--   lstm scripts/tag.lua --load tagger.safetensors --text "the dog barks"
--
-- A line of the files is a word, a tab and its tag; an empty line ends a sentence; lines that begin with # and a space
-- between sentences are skipped. Without TEST every tenth sentence is tested on. Two LSTMs read the words, one from
-- each end, and both decide at every word. stdout gets the line `test accuracy X % most frequent tag Y %`, or with
-- --text a line for each word; everything else goes to stderr.

local lstm = require "lstm"
local programs = require "lstm.program"

local opt, given = lstm.args(programs.with({
  about = "Learn one tag for each word, such as its part of speech.",
  examples = {
    {"train.tsv test.tsv --out tagger.safetensors --plot tags.svg", "learns tags and draws which are taken for which"},
    {'--load tagger.safetensors --text "the dog barks"', "tags a sentence"},
  },
  {"train", optional = true, help = "TSV file: word, tab, tag; an empty line ends a sentence; not needed with --load"},
  {"test", optional = true, help = "the same to test on; without it every tenth sentence of TRAIN"},
  {"--text", type = "string", value = "SENTENCE", help = "tag this sentence; with --load needs no files"},
  {"--epochs", default = 3, min = 1, help = "times the sentences are gone through; with --resume, the total"},
  {"--embed", default = 64, min = 1, alias = "--embedding", help = "numbers for each word"},
  {"--hidden", default = 64, min = 1, help = "cells of each of the two directions"},
  {"--dropout", type = "number", default = 0, min = 0, below = 1, help = "share of values dropped while training"},
  {"--least", default = 2, min = 1, help = "how often a word must occur to be learned"},
  {"--lr", default = 2e-3, above = 0, help = "learning rate"},
  {"--batch", default = 32, min = 1, help = "sentences for each training step"},
  {"--clip", type = "number", default = 5, min = 0, help = "largest gradient norm, 0 = any"},
  {"--init", default = "pytorch", choices = {"default", "pytorch"}, help = "how weights begin"},
  {"--val", type = "number", default = 0, min = 0, below = 1,
    help = "share of the learned sentences, at their end, to choose the best epoch by; 0 = the last epoch counts"},
  {"--plot", type = "string", value = "FILE", help = "draw the confusion matrix of the test here, as in tags.svg"},
}, "patience", "seed", "out", "load", "checkpoint", "resume", "loss_plot", "report", "verbose"))

-- What shapes the model and the run: kept in the model file, so that --load and --resume need none of it again.
local kept = {"epochs", "embed", "hidden", "dropout", "least", "lr", "batch", "clip", "val", "patience", "init", "seed"}

-- What a resumed run is to be told again.
local unkept = {"text", "out", "plot", "loss_plot", "report", "verbose"}

local stop = lstm.args.stop
local program = programs(opt, given, unkept, {"train", "test"})
local need = program.need
local TENTH = 10

-- [Sentences]

-- The sentences of a file: a list of {words = "the dog", tags = {"DET", "NOUN"}}.
local function read_sentences(path)
  local list, words, tags, number = {}, {}, {}, 0
  program:check_data(path, "a text with tags")
  local function close()
    if #words > 0 then list[#list + 1] = {words = table.concat(words, " "), tags = tags} end
    words, tags = {}, {}
  end
  for line in (need(lstm.readfile(path)) .. "\n"):gmatch("([^\n]*)\n") do
    number = number + 1
    line = line:gsub("\r$", "")
    local word, tag = line:match("^([^\t]+)\t([^\t]+)$")
    if line == "" then
      close()
    elseif word and not word:find("%s") then
      words[#words + 1], tags[#tags + 1] = word:lower(), tag
    elseif word or #words > 0 or not line:find("^# ") then
      stop(("%s:%d: a word, a tab and its tag expected, or an empty line between sentences"):format(path, number))
    end
  end
  close()
  if #list == 0 then stop(path .. " is empty: lines with a word, a tab and its tag were expected") end
  return list
end

local function set_of(list)
  local x, y = {}, {}
  for i, one in ipairs(list) do x[i], y[i] = one.words, one.tags end
  return lstm.sequences{x = x, y = y}
end

-- What is learned, and what is tested on.
local function read_lists()
  local all = read_sentences(opt.train)
  if opt.test then return all, read_sentences(opt.test) end
  if #all < TENTH then
    stop(("%s has %d sentence%s, too few: without TEST every tenth is tested on, so 10 are needed"):format(opt.train,
      #all, #all == 1 and "" or "s"))
  end
  local train, test = {}, {}
  for i, one in ipairs(all) do
    local list = i % TENTH == 0 and test or train
    list[#list + 1] = one
  end
  return train, test
end

local function labels_of(list)
  local seen, labels = {}, {}
  for _, one in ipairs(list) do
    for _, tag in ipairs(one.tags) do
      if not seen[tag] then
        seen[tag] = true
        labels[#labels + 1] = tag
      end
    end
  end
  table.sort(labels)
  if #labels < 2 then stop(("%s has only one tag, %s: nothing can be learned from it"):format(opt.train, labels[1])) end
  return labels
end

-- Tags that the model does not know cannot be right or wrong: such words have no target.
local function forget_unknown(model, list)
  local unknown = 0
  for _, one in ipairs(list) do
    for i, tag in ipairs(one.tags) do
      if not model:index(tag) then one.tags[i], unknown = false, unknown + 1 end
    end
  end
  if unknown > 0 then
    program:say(unknown == 1 and "%d word of the test has a tag that was not learned, and does not count" or
      "%d words of the test have tags that were not learned, and do not count", unknown)
  end
end

-- [The model]

local function new_model(list, labels)
  local words, layers = {}, {lstm.embedding(opt.embed)}
  for i, one in ipairs(list) do words[i] = one.words end
  local function drop()
    if opt.dropout > 0 then layers[#layers + 1] = lstm.dropout(opt.dropout) end
  end
  drop()
  layers[#layers + 1] = lstm.lstm{opt.hidden, bidirectional = true}
  drop()
  layers.input = lstm.vocab(table.concat(words, "\n"), "words", {least = opt.least})
  layers.output, layers.read, layers.init, layers.seed = labels, "all", opt.init, opt.seed
  return lstm.model(layers)
end

-- The share of words that are right where each gets the tag it has most often, and unknown ones the commonest tag.
local function most_frequent(train, test)
  local counts, all = {}, {}
  local function each(list, visit)
    for _, one in ipairs(list) do
      local i = 0
      for word in one.words:gmatch("%S+") do
        i = i + 1
        if one.tags[i] then visit(word, one.tags[i]) end
      end
    end
  end
  local function commonest(tags)
    local best
    for tag, n in pairs(tags) do
      if not best or n > tags[best] or n == tags[best] and tag < best then best = tag end
    end
    return best
  end
  each(train, function(word, tag)
    counts[word] = counts[word] or {}
    counts[word][tag], all[tag] = (counts[word][tag] or 0) + 1, (all[tag] or 0) + 1
  end)
  local best, other = {}, commonest(all)
  for word, tags in pairs(counts) do best[word] = commonest(tags) end
  local right, total = 0, 0
  each(test, function(word, tag)
    total = total + 1
    if (best[word] or other) == tag then right = right + 1 end
  end)
  return right / total
end

local function learn(model, list)
  model.meta.tag = lstm.args.keep(opt, kept)
  local train, validation = set_of(list), nil
  if opt.val > 0 then train, validation = train:split(1 - opt.val) end
  if opt.resume then program:check_epochs(model, #train) end
  program:say("%d sentences to learn from; %d words, %d tags; %d parameters", #train, model.vocab:size(),
    #model.labels, model:parameters())
  program:warn_unsaved()
  return program:fit(model, train, {
    validation = validation, epochs = opt.epochs, batch = opt.batch, lr = opt.lr, clip = opt.clip, seed = opt.seed,
    patience = opt.patience, checkpoint = opt.checkpoint or opt.resume, resume = opt.resume, verbose = opt.verbose,
    on_epoch = not validation and program.keep_last or nil,
  }, {y = "nats per word"})
end

-- [What it says]

-- --text: one sentence of the user's own, a line for each word.
local function print_tags(model)
  local words = {}
  for word in opt.text:gmatch("%S+") do words[#words + 1] = word end
  if #words == 0 then stop("--text is empty") end
  local tags = model:classify(lstm.sequences{x = {table.concat(words, " "):lower()}})[1]
  for i, word in ipairs(words) do print(word .. "\t" .. tags[i]) end
end

local function print_test(model, history, train, test)
  local set = set_of(test)
  local share = model:evaluate(set).accuracy
  program:draw{title = ("%d test sentences: tags of words"):format(#set), model = model, history = history,
    confusion = model:confusion(set), data = set}
  print(("test accuracy %.1f %% most frequent tag %.1f %%"):format(100 * share, 100 * most_frequent(train, test)))
end

-- [The program]

local model, history
if opt.load then
  program:check_load_options{"train", "test", "load", "text", "plot", "report", "verbose"}
  model = program:open(opt.load, "tag")
  lstm.args.recall(opt, given, model.meta.tag)
  if opt.text then print_tags(model) end
  if opt.text and not opt.train then os.exit(0, true) end
end
if not opt.train then stop("TRAIN is missing", 2) end
program:check_writable{"out", "checkpoint", "plot", "loss_plot", "report"}
model = model or opt.resume and program:reopen("tag", {"epochs", "patience"})
local train, test = read_lists()
if not opt.load then
  model = model or new_model(train, labels_of(train))
  history = learn(model, train)
end
forget_unknown(model, test)
print_test(model, history, train, test)
if opt.text and not opt.load then print_tags(model) end
