-- translate.lua [FILE.tsv] [options]: learns to translate from pairs of sentences.
--
--   lstm scripts/translate.lua --out dates
--   lstm scripts/translate.lua --load dates --text "the third of may 1999"
--   lstm scripts/translate.lua pairs.tsv --epochs 10 --out french
--   lstm scripts/translate.lua pairs.tsv --load french --sentences 20 --beam 5
--
-- Without a file it learns a task of its own: dates as people write them, in many forms, to ISO dates, 1999-05-03.
-- No day of the test was ever learned in any form.
--
-- A line of a file is a sentence, a tab and its translation, with words and punctuation apart by spaces. A first
-- column may say what a line is for: train, val or test; without it the last tenth of the lines is tested on, and the
-- tenth before it measured on. One LSTM reads the sentence, another one writes the translation from the state in which
-- the first one ends: Sutskever, Vinyals and Le, 2014. stdout gets the losses of each epoch, test sentences with what
-- the network makes of them and, last, the line `test X nats/word`, or for dates `test accuracy X %`; with --text only
-- the translation. Everything else goes to stderr.

local lstm = require "lstm"
local programs = require "lstm.program"

local opt, given = lstm.args(programs.with({
  about = "Learn to translate from pairs of sentences, or dates in words to ISO dates where there is no file.",
  examples = {
    {"--out dates", "learns dates, from pairs of its own"},
    {'--load dates --text "the third of may 1999"', "translates one"},
    {"pairs.tsv --out french", "learns from your own pairs"},
  },
  {"file", optional = true,
    help = "TSV file: sentence, tab, translation; before them train, val or test, where there is such a column"},
  {"--pairs", default = 10000, min = 100, max = 70000, help = "without FILE: how many dates are made up"},
  {"--symbols", type = "string", choices = {"words", "characters"},
    help = "what a sentence is made of; not given: words, but dates of characters. ISO dates always are"},
  {"--epochs", default = 10, min = 1, help = "times the pairs are gone through; with --resume, the total"},
  {"--embedding", type = "integer", min = 1, alias = "--embed",
    help = "numbers for each symbol (default 128; dates 32)"},
  {"--hidden", type = "integer", min = 1, help = "cells of each of the two networks (default 256; dates 128)"},
  {"--dropout", type = "number", min = 0, below = 1,
    help = "share of values dropped while training (default 0.2; dates 0)"},
  {"--least", default = 2, min = 1, help = "how often a word must occur to be learned"},
  {"--lr", default = 2e-3, above = 0, help = "learning rate"},
  {"--batch", default = 32, min = 1, help = "sentences for each training step"},
  {"--clip", type = "number", default = 5, min = 0, help = "largest gradient norm, 0 = any"},
  {"--beam", default = 1, min = 1, help = "beginnings of a translation that are followed at once"},
  {"--best", default = 1, min = 1,
    help = "with --text: so many translations, with the mean logarithm of the probabilities of their symbols"},
  {"--sentences", default = 10, min = 0, help = "test sentences to show at the end"},
  {"--text", type = "string", value = "SENTENCE", help = "with --load: translate this sentence; needs no FILE"},
  {"--out", type = "string", value = "PATH", help = "save the best networks as PATH.encoder and PATH.decoder"},
  {"--load", type = "string", value = "PATH", help = "do not train: translate with networks that --out saved"},
  {"--checkpoint", type = "string", value = "PATH", help = "save the run as PATH.encoder and PATH.decoder"},
  {"--resume", type = "string", value = "PATH",
    help = "go on exactly where a checkpoint stopped, with the options it was made with; the run goes on being saved" ..
      " there unless --checkpoint names another path"},
  {"--loss-plot", type = "string", value = "FILE", alias = "--plot", help = "draw the loss here, as in loss.svg"},
}, "patience", "seed", "report", "verbose"))

-- What shapes the networks and the run: kept in the decoder's file, so that --resume needs none of it again.
local kept = {"epochs", "embedding", "hidden", "dropout", "least", "lr", "batch", "clip", "patience", "seed", "pairs",
  "symbols", "dates"}

-- What a resumed run is to be told again.
local unkept = {"sentences", "beam", "out", "loss_plot", "report", "verbose"}

local stop = lstm.args.stop

local program = programs(opt, given, unkept)
local need, position_of = program.need, program.position_of

-- [Dates]

local MONTHS = {"january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
  "november", "december"}
local WEEKDAYS = {"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}
local NUMBERS = {"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
  "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"}
local ORDINALS = {"first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
  "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth",
  "nineteenth", "twentieth", [30] = "thirtieth"}
local TENS = {[2] = "twenty", [3] = "thirty", [4] = "forty", [5] = "fifty", [6] = "sixty", [7] = "seventy",
  [8] = "eighty", [9] = "ninety"}
local FORMS = {"the D of M Y", "the D of M , Y", "D M Y", "D of M Y", "D of M in Y", "M D Y", "M D , Y", "M the D , Y",
  "W D M Y", "W , M D , Y", "W the D of M Y", "on W , the D of M Y"}
local FIRST_DAY, DAYS = -25567, 73049                -- 1 January 1900 in days since 1970; how many until 2100

-- 42 -> "forty two"; below 100.
local function in_words(n)
  if n < 20 then return NUMBERS[n] end
  local tens, ones = math.floor(n / 10), n % 10
  return TENS[tens] .. (ones > 0 and " " .. NUMBERS[ones] or "")
end

local function day_in_words(d) return ORDINALS[d] or TENS[math.floor(d / 10)] .. " " .. ORDINALS[d % 10] end

local function day_with_ending(d)
  local ending = ({"st", "nd", "rd"})[d % 10] or "th"
  return d .. (d > 10 and d < 14 and "th" or ending)
end

-- 1905 -> "nineteen oh five", 2005 -> "two thousand five".
local function year_in_words(y)
  local century, rest = math.floor(y / 100), y % 100
  if y >= 2000 and y < 2010 then return "two thousand" .. (rest > 0 and " " .. NUMBERS[rest] or "") end
  return in_words(century) .. " " .. (rest == 0 and "hundred" or rest < 10 and "oh " .. NUMBERS[rest] or
    in_words(rest))
end

-- Year, month and day of a day that is counted from 1 January 1970. Years begin in March here: February is last.
local function calendar(day)
  local n = day + 719468
  local era = math.floor(n / 146097)                 -- of 400 years
  local of_era = n - era * 146097
  local year = math.floor((of_era - math.floor(of_era / 1460) + math.floor(of_era / 36524)
    - math.floor(of_era / 146096)) / 365)
  local of_year = of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local month = math.floor((5 * of_year + 2) / 153)
  local m = month < 10 and month + 3 or month - 9
  return year + era * 400 + (m <= 2 and 1 or 0), m, of_year - math.floor((153 * month + 2) / 5) + 1
end

-- A day as somebody may write it, and as an ISO date.
local function write_date(day, rng)
  local y, m, d = calendar(day)
  local iso = ("%04d-%02d-%02d"):format(y, m, d)
  local kind = rng:uniform()
  if kind < 0.1 then return ("%d.%d.%d"):format(d, m, y), iso end
  local function short(name) return rng:uniform() < 0.3 and name:sub(1, 3) or name end
  local days = {tostring(d), day_with_ending(d), day_in_words(d)}
  local parts = {
    D = days[rng:index(3)], M = short(MONTHS[m]), W = short(WEEKDAYS[(day + 4) % 7 + 1]),
    Y = rng:uniform() < 0.3 and year_in_words(y) or tostring(y),
  }
  return (FORMS[rng:index(#FORMS)]:gsub("%u", parts)), iso
end

-- Sets to learn from, to measure on and to test on; no day is in two of them.
local function make_dates()
  local rng = lstm.rng(opt.seed, 2 ^ 40)
  local days = {}
  for i = 1, DAYS do days[i] = FIRST_DAY + i - 1 end
  days = rng:shuffle(lstm.array(days, "int32"))
  local x, y = {}, {}
  for i = 1, opt.pairs do x[i], y[i] = write_date(days[i], rng) end
  return lstm.sequences{x = x, y = y}:split(0.8, 0.1)
end

-- [Pairs of a file]

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
  local text, number = need(lstm.readfile(path)), 0
  program:check_data(path, "pairs of sentences")
  if not text:find("%S") then
    stop(path .. " is empty: lines with a sentence, a tab and its translation were expected")
  end
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do
    number = number + 1
    line = line:gsub("\r$", "")
    if number == 1 then line = line:gsub("^\239\187\191", "") end               -- a byte order mark
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

-- [The networks]

-- The vocabulary of sentences: of words, those that occur often enough; of characters, all.
local function vocab_of(sets, field, symbols)
  local texts = {}
  for _, set in ipairs(sets) do texts[#texts + 1] = table.concat(set[field], "\n") end
  local text = table.concat(texts, "\n") .. "\n"
  if symbols == "words" then return lstm.vocab(text, "words", {least = opt.least}) end
  local fine, vocab = pcall(lstm.vocab, text, "utf8")
  return fine and vocab or lstm.vocab(text, "bytes")
end

-- Two networks of one size: the first one's output is not used, only the state in which it ends. Words are those of
-- the learned pairs, characters those of all.
local function new_translator(train, ...)
  local function defaults(name, usual, of_dates) opt[name] = opt[name] or opt.dates and of_dates or usual end
  defaults("symbols", "words", "characters")
  defaults("embedding", 128, 32)
  defaults("hidden", 256, 128)
  defaults("dropout", 0.2, 0)
  local sets = opt.symbols == "words" and {train} or {train, ...}
  local from = vocab_of(sets, "x", opt.symbols)
  local to = vocab_of({train, ...}, "y", opt.dates and "characters" or opt.symbols)
  if opt.symbols == "words" and not opt.dates then to = vocab_of({train}, "y", "words") end
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

local function is_file(path) return lstm.readfile(path) ~= nil end

local function load_translator(path)
  if is_file(path) and not is_file(path .. ".encoder") then program:open(path, "translate") end
  local encoder, decoder = need(lstm.load(path .. ".encoder")), need(lstm.load(path .. ".decoder"))
  program:check_maker(path, encoder.vocab and decoder.meta, "translate")
  return lstm.seq2seq{encoder = encoder, decoder = decoder}
end

-- --resume: the networks, and the options of their run for all that the command line leaves open.
local function resume_translator()
  local path = opt.resume
  local translator = load_translator(path)
  local decoder = translator.decoder
  if not position_of(decoder) then
    stop(path .. " is a pair of networks, not a checkpoint of a run, which --checkpoint makes")
  end
  program:check_conflict(path, decoder.meta.translate, {"epochs", "patience"})
  lstm.args.recall(opt, given, decoder.meta.translate)
  return translator
end

-- What a symbol of a translation is called.
local function unit() return opt.symbols == "words" and not opt.dates and "word" or "character" end

-- What the network makes of a few sentences, for the report.
local function look(translator, set)
  local lines = {}
  for i = 1, math.min(5, #set) do lines[i] = set.x[i] .. "\n  " .. translator:translate(set.x[i]) end
  return table.concat(lines, "\n")
end

local function learn(translator, train, validation)
  translator.decoder.meta.translate = lstm.args.keep(opt, kept)
  program:say("%d pairs to learn from, %d to measure on; %d %s and %d %ss; %d parameters", #train, #validation,
    #translator.encoder.vocab, opt.symbols, #translator.decoder.vocab, unit(), translator:parameters())
  program:warn_unsaved()
  local samples = {}
  local history = program:fit(translator, train, {
    validation = validation, epochs = opt.epochs, batch = opt.batch, lr = opt.lr, clip = opt.clip, seed = opt.seed,
    patience = opt.patience, checkpoint = opt.checkpoint or opt.resume, resume = opt.resume, verbose = opt.verbose,
    on_epoch = function(row)
      io.write(("epoch %d: loss %.4f, validation %.4f nats/%s, %.1f %% of %ss right\n"):format(row.epoch, row.loss,
        row.val_loss, unit(), 100 * row.accuracy, unit()))
      io.flush()
      if opt.report then samples[#samples + 1] = {step = row.step, text = look(translator, validation)} end
    end,
  }, {y = "nats per " .. unit()})
  program:draw{title = opt.dates and "Dates" or opt.file:match("[^/\\]+$"), model = translator, history = history,
    samples = samples}
end

-- Test sentences from all over the set, with the translation that is in the file and the network's own.
local function show(translator, test)
  local count = math.min(opt.sentences, #test)
  for i = 1, count do
    local k = math.floor((i - 1) * #test / count) + 1
    io.write(("\n%s\n  given:   %s\n  network: %s\n"):format(test.x[k], test.y[k],
      translator:translate(test.x[k], {beam = opt.beam})))
  end
end

-- How many sentences are translated exactly as they are in the set.
local function count_right(translator, test)
  local right = 0
  for i = 1, #test do
    if translator:translate(test.x[i], {beam = opt.beam}) == test.y[i] then right = right + 1 end
  end
  return right
end

local function print_test(translator, test)
  show(translator, test)
  if opt.dates then
    program:say("%d dates that were never seen", #test)
    print(("\ntest accuracy %.1f %%"):format(100 * count_right(translator, test) / #test))
  else
    print(("\ntest %.4f nats/%s"):format(translator:evaluate(test).loss, unit()))
  end
end

-- --text: one sentence of the user's own.
local function translate_and_exit(translator)
  local vocab = translator.encoder.vocab
  local text = opt.dates and opt.text:lower() or opt.text
  if not text:find("%S") then stop("--text is empty") end
  if vocab.kind == "words" then
    for word in text:gmatch("%S+") do
      if not vocab:id(word) then program:say('"%s" is no word that was learned', word) end
    end
  else
    for c in text:gmatch(vocab.kind == "utf8" and "[%z\1-\127\192-\255][\128-\191]*" or ".") do
      if not vocab:id(c) then stop(('--text: "%s" is no character that was learned'):format(c)) end
    end
  end
  if opt.best == 1 then
    print((translator:translate(text, {beam = opt.beam})))
  else
    local best, scores = translator:translate(text, {beam = math.max(opt.beam, opt.best), n = opt.best})
    for i, one in ipairs(best) do print(("%s\t%.3f"):format(one, scores[i])) end
  end
  os.exit(0, true)
end

-- [The program]

opt.load, opt.resume = stem(opt.load), stem(opt.resume)
opt.dates = not opt.file
local translator
if opt.load then
  program:check_load_options{"file", "load", "text", "sentences", "beam", "best", "seed", "verbose"}
  if opt.text and (given.file or given.sentences) then
    stop((given.file and "FILE" or "--sentences") .. " has no effect with --text, which translates one sentence")
  end
  translator = load_translator(opt.load)
  opt.dates = false
  lstm.args.recall(opt, given, translator.decoder.meta.translate)
  if opt.text then translate_and_exit(translator) end
  if opt.file and opt.dates then stop(opt.load .. " was learned from dates of its own: leave FILE out") end
elseif opt.text then
  stop("--text needs --load PATH, the networks to translate with", 2)
elseif opt.resume then
  opt.dates = false
  translator = resume_translator()
  if opt.file and opt.dates then stop(opt.resume .. " was learned from dates of its own: leave FILE out") end
end
if not opt.file and not opt.dates then stop("FILE is missing", 2) end
if given.pairs and not opt.dates then stop("--pairs has no effect with FILE, which has its own", 2) end
if not opt.load then program:check_writable{"out", "checkpoint", "loss_plot", "report"} end
local train, validation, test
if opt.dates then train, validation, test = make_dates() else train, validation, test = read_pairs(opt.file) end
if opt.resume then program:check_epochs(translator.decoder, #train) end
translator = translator or new_translator(train, validation, test)
if not opt.load then learn(translator, train, validation) end
print_test(translator, test)
