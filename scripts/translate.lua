-- translate.lua FILE.tsv [options]: learns to translate from pairs of sentences.
--
--   lstm scripts/translate.lua pairs.tsv --epochs 10 --out french
--   lstm scripts/translate.lua pairs.tsv --load french --sentences 20
--   lstm scripts/translate.lua --load french --text "good day"
--
-- A line of the file is a sentence, a tab and its translation, with words and punctuation apart by spaces. A first
-- column may say what a line is for: train, val or test; without it the last tenth of the lines is tested on, and the
-- tenth before it measured on. One LSTM reads the sentence, another one writes the translation from the state in which
-- the first one ends: Sutskever, Vinyals and Le, 2014. stdout gets the losses of each epoch, test sentences with what
-- the network makes of them and, last, the line `test X nats/word`; with --text only the translation. Everything else
-- goes to stderr.

local lstm = require "lstm"

local opt, given = lstm.args{
  about = "Learn to translate from pairs of sentences, then translate some that were not learned.",
  {"file", optional = true,
    help = "TSV file: sentence, tab, translation; before them train, val or test, where there is such a column"},
  {"--epochs", default = 10, min = 1, help = "times the pairs are gone through; with --resume, the total"},
  {"--embedding", default = 128, min = 1, help = "numbers for each word"},
  {"--hidden", default = 256, min = 1, help = "cells of each of the two networks"},
  {"--dropout", type = "number", default = 0.2, min = 0, below = 1, help = "share of values dropped while training"},
  {"--least", default = 2, min = 1, help = "how often a word must occur to be learned"},
  {"--lr", default = 2e-3, above = 0, help = "learning rate"},
  {"--batch", default = 32, min = 1, help = "sentences for each training step"},
  {"--clip", type = "number", default = 5, min = 0, help = "largest gradient norm, 0 = any"},
  {"--patience", type = "integer", min = 1, help = "stop after so many epochs without an improvement"},
  {"--seed", default = 1, min = 0, help = "where random numbers begin"},
  {"--sentences", default = 10, min = 0, help = "test sentences to translate at the end"},
  {"--out", type = "string", value = "PATH", help = "save the best networks as PATH.encoder and PATH.decoder"},
  {"--load", type = "string", value = "PATH", help = "do not train: translate with networks that --out saved"},
  {"--text", type = "string", value = "SENTENCE", help = "with --load: translate this sentence; needs no FILE"},
  {"--checkpoint", type = "string", value = "PATH", help = "save the run as PATH.encoder and PATH.decoder"},
  {"--resume", type = "string", value = "PATH",
    help = "go on exactly where a checkpoint stopped, with the options it was made with; the run goes on being saved" ..
      " there unless --checkpoint names another path"},
  {"--loss-plot", type = "string", value = "FILE", help = "draw the loss here, as in loss.svg"},
  {"--verbose", default = 1, min = 0, max = 2, help = "0 no progress, 1 a line, 2 a line for each epoch"},
}

-- What shapes the networks and the run: kept in the decoder's file, so that --resume needs none of it again.
local kept = {"epochs", "embedding", "hidden", "dropout", "least", "lr", "batch", "clip", "patience", "seed"}

-- What a resumed run is to be told again.
local unkept = {"sentences", "out", "loss_plot", "verbose"}

local stop = lstm.args.stop

local program = require "lstm.program"(opt, given, unkept)
local need, position_of = program.need, program.position_of

-- Every part needs a pair.
local function check_parts(path, parts, without)
  local train, val, test = #parts.train.x, #parts.val.x, #parts.test.x
  if train > 0 and val > 0 and test > 0 then return end
  if train + val + test == without then
    stop(("%s has %d pair%s, too few: without a first column that says train, val or test, the last tenth is tested " ..
      "on and the tenth before it measured on, so 10 are needed"):format(path, without, without == 1 and "" or "s"))
  end
  stop(("%s has no pairs for %s: there are %d for train, %d for val and %d for test"):format(path,
    train == 0 and "train" or val == 0 and "val" or "test", train, val, test))
end

-- The pairs of a file as {train = {x =, y =}, val =, test =}.
local function read_pairs(path)
  local parts, all = {train = {x = {}, y = {}}, val = {x = {}, y = {}}, test = {x = {}, y = {}}}, {}
  local function add(part, x, y) part.x[#part.x + 1], part.y[#part.y + 1] = x, y end
  local number = 0
  for line in (need(lstm.readfile(path)) .. "\n"):gmatch("([^\n]*)\n") do
    number = number + 1
    line = line:gsub("\r$", "")
    local fields = {}
    for field in (line .. "\t"):gmatch("([^\t]*)\t") do fields[#fields + 1] = field end
    local part, x, y = parts.train, fields[1], fields[2]
    if fields[3] then part, x, y = parts[fields[1]], fields[2], fields[3] end
    if line ~= "" then
      if not part or not y or not x:find("%S") or not y:find("%S") then
        stop(("%s:%d: a sentence, a tab and its translation expected, before them train, val or test"):format(path,
          number))
      end
      if fields[3] then add(part, x, y) else all[#all + 1] = {x, y} end
    end
  end
  for i, pair in ipairs(all) do                      -- the last tenths
    local share = (i - 1) / #all
    add(share < 0.8 and parts.train or share < 0.9 and parts.val or parts.test, pair[1], pair[2])
  end
  check_parts(path, parts, #all)
  return lstm.sequences(parts.train), lstm.sequences(parts.val), lstm.sequences(parts.test)
end

-- Two networks of one size: the first one's output is not used, only the state in which it ends.
local function new_translator(train)
  local from = lstm.vocab(table.concat(train.x, "\n"), "words", {least = opt.least})
  local to = lstm.vocab(table.concat(train.y, "\n"), "words", {least = opt.least})
  local function network(layers)
    layers[1], layers[2] = lstm.embedding(opt.embedding), lstm.lstm{opt.hidden, dropout = opt.dropout}
    return lstm.model(layers)
  end
  return lstm.seq2seq{
    encoder = network{input = from, seed = opt.seed}, decoder = network{input = to, output = to, seed = opt.seed + 1},
  }
end

-- PATH, where PATH.encoder or PATH.decoder was given.
local function stem(path) return path and (path:gsub("%.encoder$", ""):gsub("%.decoder$", "")) end

local function load_translator(path)
  local encoder, decoder = need(lstm.load(path .. ".encoder")), need(lstm.load(path .. ".decoder"))
  if not encoder.vocab or not decoder.meta.translate then stop(path .. " was not made by this script") end
  return lstm.seq2seq{encoder = encoder, decoder = decoder}
end

-- --resume: the networks, and the options of their run for all that the command line leaves open.
local function resume_translator(count)
  local path = opt.resume
  local translator = load_translator(path)
  local decoder = translator.decoder
  local done, due = position_of(decoder)
  if not done then stop(path .. " is a pair of networks, not a checkpoint of a run, which --checkpoint makes") end
  program:check_conflict(path, decoder.meta.translate, {"epochs", "patience"})
  lstm.args.recall(opt, given, decoder.meta.translate)
  local per_epoch = math.ceil(count / opt.batch)
  if opt.epochs * per_epoch < done or opt.epochs * per_epoch == done and not due then
    stop(("%s is already at epoch %d; --epochs counts from the beginning, so %d leaves nothing to do"):format(path,
      math.floor(done / per_epoch), opt.epochs))
  end
  return translator
end

local function learn(translator, train, validation)
  translator.decoder.meta.translate = lstm.args.keep(opt, kept)
  program:say("%d pairs to learn from, %d to measure on; %d and %d words; %d parameters", #train, #validation,
    #translator.encoder.vocab, #translator.decoder.vocab, translator:parameters())
  program:warn_unsaved()
  program:fit(translator, train, {
    validation = validation, epochs = opt.epochs, batch = opt.batch, lr = opt.lr, clip = opt.clip, seed = opt.seed,
    patience = opt.patience, checkpoint = opt.checkpoint or opt.resume, resume = opt.resume, verbose = opt.verbose,
    on_epoch = function(row)
      io.write(("epoch %d: loss %.4f, validation %.4f nats/word, %.1f %% of words right\n"):format(row.epoch, row.loss,
        row.val_loss, 100 * row.accuracy))
      io.flush()
    end,
  }, {y = "nats per word"})
end

-- Test sentences from all over the set, with the translation that is in the file and the network's own.
local function show(translator, test)
  local count = math.min(opt.sentences, #test)
  for i = 1, count do
    local k = math.floor((i - 1) * #test / count) + 1
    io.write(("\n%s\n  given:   %s\n  network: %s\n"):format(test.x[k], test.y[k], translator:translate(test.x[k])))
  end
end

-- --text: one sentence of the user's own.
local function translate_and_exit(translator)
  if not opt.text:find("%S") then stop("--text is empty") end
  for word in opt.text:gmatch("%S+") do
    if not translator.encoder.vocab:id(word) then program:say('"%s" is no word that was learned', word) end
  end
  print(translator:translate(opt.text))
  os.exit(0, true)
end

opt.load, opt.resume = stem(opt.load), stem(opt.resume)
local translator
if opt.load then
  program:check_load_options{"file", "load", "text", "sentences", "verbose"}
  if opt.text and (given.file or given.sentences) then
    stop((given.file and "FILE" or "--sentences") .. " has no effect with --text, which translates one sentence")
  end
  translator = load_translator(opt.load)
  if opt.text then translate_and_exit(translator) end
elseif opt.text then
  stop("--text needs --load PATH, the networks to translate with", 2)
end
if not opt.file then stop("FILE is missing", 2) end
if not opt.load then program:check_writable{"out", "checkpoint", "loss_plot"} end
local train, validation, test = read_pairs(opt.file)
translator = translator or opt.resume and resume_translator(#train) or new_translator(train)
if not opt.load then learn(translator, train, validation) end
show(translator, test)
io.write(("\ntest %.4f nats/word\n"):format(translator:evaluate(test).loss))
