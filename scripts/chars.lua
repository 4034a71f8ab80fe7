-- chars.lua FILE [options]: learns a text character by character, or word by word, then writes more of it.
--
--   lstm scripts/chars.lua shakespeare.txt --steps 2000 --out shakespeare.safetensors
--   lstm scripts/chars.lua --load shakespeare.safetensors --sample 1000
--   lstm scripts/chars.lua --tutorial
--
-- The first 90 % of the text are learned, the last 10 % measured. stdout gets a sample and, last, the line
-- `validation X nats/char` of the model that is saved; everything else goes to stderr.
--
-- --tutorial is the classic one: every 10 characters of a sentence foretell the next one, with an embedding of 128, an
-- LSTM of 128, softmax, Adam, batches of 1 and 50 epochs; stdout gets loss and accuracy, and what comes next.
--
-- The options of char-rnn (Karpathy, 2015) are understood, as -rnn_size 128; what has no meaning here is said.

local core = require "lstm.core"
local lstm = require "lstm"
local programs = require "lstm.program"

local stop = lstm.args.stop

-- [Options of char-rnn]

-- What char-rnn has and this program does not need: how many words it takes, and why.
local needless = {
  gpuid = "there is one build for all machines", opencl = "there is one build for all machines",
  accurate_gpu_timing = "there is one build for all machines", print_every = "the progress line follows the clock",
  learning_rate_decay_after = "--lr-decay begins with the second epoch",
}

-- The command line with options of char-rnn in this program's words.
local function translated(argv)
  local words, folder, name = {[0] = argv[0]}, nil, nil
  local i = 1
  local function add(...)
    for _, word in ipairs{...} do words[#words + 1] = word end
  end
  while argv[i] do
    local option, value = argv[i]:match("^%-([%l_]+)$"), argv[i + 1]
    if option and needless[option] then
      io.stderr:write(("-%s has no effect: %s\n"):format(option, needless[option]))
    elseif option == "data_dir" and value then
      add(value .. "/input.txt")
    elseif option == "checkpoint_dir" and value then
      folder = value
    elseif option == "savefile" and value then
      name = value
    elseif option == "train_frac" and tonumber(value) then
      add("--val", ("%.10g"):format(1 - tonumber(value)))
    elseif option == "sample" and (value == "0" or value == "1") then          -- char-rnn: whether to draw at random
      if value == "0" then add("--temperature", "0") end
    else
      add(argv[i])
      i = i - 1
    end
    i = i + 2
  end
  if folder then add("--checkpoint", ("%s/%s.safetensors"):format(folder, name or "lstm")) end
  if name and not folder then add("--checkpoint", name .. ".safetensors") end
  return words
end

local opt, given = lstm.args(programs.with({
  about = "Learn the style of a text, character by character, then write more of it.",
  examples = {
    {"poems.txt --out poems.safetensors", "learns a text and writes in its manner"},
    {"--load poems.safetensors --prime 'The ' --temperature 0.7", "writes more"},
    {"poems.txt --epochs 20 --hidden 256 --report poems.html", "a larger model, and a page about what its cells do"},
    {"--tutorial", "the classic lesson: what comes after the quick brown fox?"},
  },
  {"file", optional = true, help = "text to learn from; not needed with --load and --tutorial"},
  {"--steps", default = 2000, min = 1, help = "training steps; with --resume, the total"},
  {"--epochs", type = "integer", min = 1, alias = "-max_epochs",
    help = "times the text is gone through, instead of --steps; with --resume, the total"},
  {"--seq", default = 64, min = 1, alias = "-seq_length", help = "characters the gradient reaches back"},
  {"--batch", default = 32, min = 1, alias = "-batch_size", help = "places in the text that are read in parallel"},
  {"--embed", default = 64, min = 0, alias = "--embedding",
    help = "width of the embedding; 0: none, an input for each character (one-hot)"},
  {"--hidden", default = 128, min = 1, alias = "-rnn_size", help = "cells per layer"},
  {"--layers", default = 1, min = 1, max = 16, alias = "-num_layers", help = "layers of cells"},
  {"--cell", default = "lstm", choices = {"lstm", "gru"}, alias = "-model", help = "what they are"},
  {"--dropout", type = "number", default = 0, min = 0, below = 1,
    help = "share of values dropped after each layer while training"},
  {"--lr", default = 2e-3, above = 0, alias = "-learning_rate", help = "learning rate"},
  {"--lr-decay", type = "number", above = 0, max = 1, alias = "-learning_rate_decay",
    help = "what the learning rate is multiplied by after each epoch"},
  {"--optimizer", default = "adam", choices = {"adam", "adamw", "rmsprop", "sgd"}, help = "how weights are updated"},
  {"--alpha", type = "number", min = 0, below = 1, alias = "-decay_rate",
    help = "memory of rmsprop, 0.99 if not given"},
  {"--clip", type = "number", default = 5, min = 0, alias = "-grad_clip", help = "largest gradient norm, 0 = any"},
  {"--vocab", default = "bytes", choices = {"bytes", "utf8", "words"},
    help = "what a character is; where it is not given, a text in UTF-8 with at most 400 different ones is read as" ..
      " utf8"},
  {"--words", flag = true, help = "the same as --vocab words"},
  {"--least", type = "integer", min = 1, help = "how often a character must occur to be learned (default 1; words 2)"},
  {"--unknown", type = "string", help = "what stands for all others, and for what is no UTF-8: error, skip, or a" ..
    " symbol (default error; words <unknown>)"},
  {"--val", default = 0.1, above = 0, below = 1, alias = "-val_frac",
    help = "share of the text, at its end, to measure on"},
  {"--validate-every", default = 100, min = 1, alias = "-eval_val_every",
    help = "steps between two looks at that share"},
  {"--resume", type = "string", value = "FILE", alias = "-init_from",
    help = "go on exactly where a checkpoint stopped, with the options it was made with; the run goes on being saved" ..
      " there unless --checkpoint names another file"},
  {"--sample", default = 500, min = 0, alias = {"--length", "-length"},
    help = "characters to write at the end, 0 = none"},
  {"--temperature", type = "number", default = 0.8, min = 0,
    help = "daring of the sample: 0 always the likeliest character, 1 as the model thinks"},
  {"--top-k", type = "integer", min = 1, help = "draw from so many of the likeliest characters only"},
  {"--top-p", type = "number", above = 0, max = 1,
    help = "draw from the likeliest ones only that together have this probability"},
  {"--stop", type = "string", value = "TEXT", many = true,
    help = "writing ends before this text; may be given several times"},
  {"--prime", default = "", alias = "-primetext", help = "how the sample begins; a new line if not given"},
  {"--tutorial", flag = true, help = "learn which character follows 10 others, from one sentence (or FILE)"},
  {"--loss-plot", type = "string", value = "FILE", alias = "--plot", help = "draw the loss here, as in loss.svg"},
}, "init", "patience", "seed", "out", "load", "checkpoint", "report", "verbose"), translated(arg))

-- What shapes the model and the run: kept in the model file, so that --resume needs none of it again.
local kept = {"steps", "epochs", "seq", "batch", "embed", "hidden", "layers", "cell", "dropout", "lr", "lr_decay",
  "optimizer", "alpha", "clip", "init", "seed", "vocab", "least", "unknown", "val", "validate_every",
  "patience"}

-- What a resumed run is to be told again.
local unkept = {"out", "sample", "temperature", "top_k", "top_p", "stop", "prime", "loss_plot", "report", "verbose"}

local program = programs(opt, given, unkept)
local need, position_of = program.need, program.position_of

local function say(...) program:say(...) end

-- What a symbol is called.
local function unit() return opt.vocab == "words" and "word" or "char" end

-- [Writing]

-- Every character of the beginning must be one that the model knows.
local function check_prime(vocab, where)
  if vocab.kind == "words" then
    for word in opt.prime:gmatch("%S+") do
      if not vocab:id(word) then say('--prime: "%s" does not occur in %s', word, where) end
    end
    return
  end
  for c in opt.prime:gmatch("[%z\1-\127\192-\255]?[\128-\191]*") do
    for symbol in c:gmatch(vocab.kind == "utf8" and ".+" or ".") do
      if not vocab:id(symbol) then stop(('--prime: "%s" does not occur in %s'):format(c, where)) end
    end
  end
end

local function write_sample(model)
  for piece in model:generate{
    prime = opt.prime, length = opt.sample, temperature = opt.temperature, top_k = opt.top_k, top_p = opt.top_p,
    stop = opt.stop, seed = opt.seed,
  } do
    io.write(piece)
    io.flush()
  end
  io.write("\n")
  io.flush()                                                -- before anything goes to stderr
end

-- --load: writes with a finished model, and that is all.
local function write_and_exit()
  program:check_load_options{"load", "sample", "temperature", "top_k", "top_p", "stop", "prime", "seed", "verbose"}
  local model = program:open(opt.load, "chars")
  check_prime(model.vocab, "the text that " .. opt.load .. " has learned")
  write_sample(model)
  os.exit(0, true)
end

-- [The model]

-- An embedding that gives each symbol an input of its own; it is not trained.
local function set_one_hot(model, size)
  local rows = lstm.zeros{size, size}
  for i = 1, size do rows[i][i] = 1 end
  model:tensor("embed.weight", rows)
end

local function new_model(vocab)
  local size = vocab:size()
  if opt.embed == 0 and size > 1024 then
    stop(("--embed 0 gives each of the %d symbols an input of its own, too many: at most 1024 make sense"):format(size))
  end
  local layers = {lstm.embedding(opt.embed == 0 and size or opt.embed)}
  for _ = 1, opt.layers do
    layers[#layers + 1] = lstm[opt.cell](opt.hidden)
    if opt.dropout > 0 then layers[#layers + 1] = lstm.dropout(opt.dropout) end
  end
  layers.input, layers.output, layers.init, layers.seed = vocab, vocab, opt.init, opt.seed
  local model = lstm.model(layers)
  if opt.embed == 0 then set_one_hot(model, size) end
  return model
end

-- How many numbers are trained.
local function count_parameters(model)
  local size = model.vocab:size()
  return model:parameters() - (opt.embed == 0 and size * size or 0)
end

-- --steps or --epochs: what was given last holds.
local function settle_length()
  if given.steps and given.epochs then
    stop("--steps and --epochs are two ways to say how long: give one of them", 2)
  end
  if opt.epochs and not given.steps then opt.steps = nil else opt.epochs = nil end
end

-- --resume: the model, and the options of its run for all that the command line leaves open.
local function resume_model()
  local model = program:reopen("chars", {"steps", "epochs", "validate_every", "patience"})
  settle_length()
  return model
end

-- A run that is resumed needs something left to do. windows: steps of an epoch.
local function check_left(model, windows)
  local done, due = position_of(model)
  local total = opt.steps or opt.epochs * windows
  if total > done or total == done and due then return end
  stop(("%s is already at step %d; --%s counts from the beginning, so %d leaves nothing to do"):format(opt.resume, done,
    opt.steps and "steps" or "epochs", opt.steps or opt.epochs))
end

-- [The text]

local MOST_CHARACTERS = 400                                 -- of a vocabulary that nobody asked for

-- A text in UTF-8 with more than ASCII, of which bytes were read: its characters, unless they are very many.
local function as_characters(vocab, tokens)
  if not table.concat(vocab:pieces()):find("[\128-\255]") then return vocab, tokens end
  local finer, characters = lstm.text(opt.file, "utf8")
  if not finer then return vocab, tokens end                -- some other encoding
  if finer:size() > MOST_CHARACTERS then
    say("%s has %d different characters, so bytes are learned (--vocab utf8 takes characters)", opt.file, finer:size())
    return vocab, tokens
  end
  opt.vocab = "utf8"
  say("%s has characters beyond ASCII: read as UTF-8 (--vocab bytes takes bytes)", opt.file)
  return finer, characters
end

-- The vocabulary of the file and its ids; the text itself is never held.
local function read_text()
  if not (given.vocab or opt.words or opt.resume) then program:check_data(opt.file, "a text") end
  local vocab, tokens = lstm.text(opt.file, opt.vocab, {least = opt.least or opt.vocab == "words" and 2 or nil,
    unknown = opt.unknown})
  local open = not (given.vocab or given.least or given.unknown or opt.words or opt.resume) and
    core.file_size(opt.file)                                -- a pipe cannot be read twice
  if vocab and open then return as_characters(vocab, tokens) end
  if vocab then return vocab, tokens end
  local empty = tokens:find("there is no text in it", 1, true)
  return stop(empty and opt.file .. " is empty, there is nothing to learn from" or tokens)
end

local function check_length(tokens)
  local least, kind = opt.batch * (opt.seq + 1), unit() == "word" and "words" or "characters"
  local learned, measured = math.floor(#tokens * (1 - opt.val)), math.floor(#tokens * opt.val)
  if learned < least and #tokens * 0.9 >= least or measured < 2 and #tokens >= least + 2 then
    stop(("--val %g leaves %d of %d %s to learn from and %d to measure on, too few: %d and 2 are needed"):format(
      opt.val, learned, #tokens, kind, measured, least))
  elseif learned < least or measured < 2 then
    stop(("%s has %d %s, too few: --batch %d and --seq %d need %d to learn from and some to measure on"):format(
      opt.file, #tokens, kind, opt.batch, opt.seq, least))
  end
end

-- [The tutorial]

local SENTENCE, BEGINNING, WINDOW = "the quick brown fox jumps over the lazy dog", "the quick brown fox", 10

-- Windows of 10 characters, and the character after each of them.
local function tutorial_set(tokens)
  local count = #tokens - WINDOW
  local x, y = lstm.zeros({count, WINDOW}, "int32"), {}
  for i = 1, count do
    x[i] = tokens.ids:slice(i, i + WINDOW - 1)
    y[i] = tokens.vocab:symbol(tokens.ids[i + WINDOW])
  end
  return {x = x, y = y}
end

-- What the tutorial has where nothing else is asked for.
local function tutorial_options()
  local lesson = {epochs = 50, batch = 1, embed = 128, hidden = 128, lr = 1e-3, clip = 0}
  for name, value in pairs(lesson) do
    if not given[name] then opt[name] = value end
  end
  for _, name in ipairs{"steps", "seq", "layers", "cell", "words", "vocab", "val", "load", "resume", "checkpoint",
    "report", "lr_decay", "alpha", "least", "unknown"} do
    if given[name] then stop(("--%s has no effect with --tutorial"):format((name:gsub("_", "-"))), 2) end
  end
end

-- The likeliest character after a beginning.
local function print_next(model, beginning)
  local ids = model.vocab:encode(beginning:sub(-WINDOW)).ids
  local symbol, share = model:classify(ids)
  if type(symbol) == "table" then symbol, share = symbol[1], share[1] end
  print(('after "%s" comes "%s" (%.1f %%)'):format(beginning, symbol, 100 * share))
end

local function run_tutorial()
  tutorial_options()
  program:check_writable{"out", "loss_plot"}
  local text = opt.file and need(lstm.readfile(opt.file)) or SENTENCE
  if #text <= WINDOW then
    stop(("%s has %d characters, too few: more than %d are needed"):format(opt.file, #text, WINDOW))
  end
  local vocab = lstm.vocab(text)
  local beginning = opt.prime ~= "" and opt.prime or opt.file and text:sub(1, WINDOW) or BEGINNING
  opt.prime = beginning
  check_prime(vocab, "the text")
  local set = tutorial_set(vocab:encode(text))
  local model = lstm.model{input = vocab, lstm.embedding(opt.embed == 0 and vocab:size() or opt.embed),
    lstm.lstm(opt.hidden), output = vocab, read = "last", init = opt.init, seed = opt.seed}
  if opt.embed == 0 then set_one_hot(model, vocab:size()) end
  model.meta.chars = lstm.args.keep(opt, kept)
  say("%d windows of %d characters, %d different; %d parameters", #set.y, WINDOW, vocab:size(), count_parameters(model))
  program:fit(model, set, {
    validation = set, epochs = opt.epochs, batch = opt.batch, optimizer = opt.optimizer, lr = opt.lr, clip = opt.clip,
    seed = opt.seed, patience = opt.patience, freeze = opt.embed == 0 and {1} or nil, verbose = opt.verbose,
    on_epoch = function(row, _, trainer)
      trainer:keep_best()                            -- there is nothing to choose by: the last epoch counts
      print(("epoch %d: loss %.4f accuracy %.4f"):format(row.epoch, row.loss, row.accuracy))
    end,
  }, {y = "nats per character"})
  print_next(model, beginning)
  os.exit(0, true)
end

-- [The program]

-- What to make of a loss that is no better than guessing, and which weights count.
local function tell_result(history, vocab)
  local guessing = math.log(vocab:size())
  local row = history[history.best]
  if row and history.best == #history then                    -- else fit has told
    say("kept: the weights of the last step, %d, the best of %d look%s", row.step, #history,
      #history == 1 and "" or "s")
  end
  if not row or history.best_value >= guessing then
    say("this is no better than guessing (%.4f nats/%s): lower --lr, now %g", guessing, unit(), opt.lr)
  end
end

if opt.words then opt.vocab = "words" end
if opt.words and given.vocab then stop("--words is --vocab words: give one of them", 2) end
if opt.alpha and opt.optimizer ~= "rmsprop" then
  stop(("--alpha (-decay_rate) belongs to --optimizer rmsprop, the optimizer is %s"):format(opt.optimizer), 2)
end
if given.least and opt.vocab ~= "words" and (opt.unknown or "error") == "error" then
  stop("--least leaves characters out: --unknown says what becomes of them, skip or one that stands for all", 2)
end
if opt.tutorial then run_tutorial() end
if opt.load then write_and_exit() end
if not opt.file then stop("FILE is missing", 2) end
settle_length()
program:check_writable{"out", "checkpoint", "loss_plot", "report"}

local model = opt.resume and resume_model()
local vocab, tokens = read_text()
if model and model.vocab ~= vocab then stop(opt.file .. " is not the text that " .. opt.resume .. " was learning") end
check_prime(vocab, "the text")
check_length(tokens)
local train, validation = tokens:split(1 - opt.val)
local windows = math.floor((math.floor(#train / opt.batch) - 1) / opt.seq)
if opt.resume then check_left(model, windows) end

model = model or new_model(vocab)
model.meta.chars = lstm.args.keep(opt, kept)
say("%s: %d %s, %d different; %d parameters", opt.file, #tokens, unit() == "word" and "words" or "characters",
  vocab:size(), count_parameters(model))
program:warn_unsaved()

-- What the model writes at each look, for the report.
local samples = {}
local function keep_sample(row)
  samples[#samples + 1] = {step = row.step, text = model:sample{prime = opt.prime, length = 200,
    temperature = opt.temperature, top_k = opt.top_k, top_p = opt.top_p, seed = opt.seed}}
end

local history = program:fit(model, train, {
  validation = validation, seq = opt.seq, batch = opt.batch, steps = opt.steps, epochs = opt.epochs,
  validate_every = opt.validate_every, optimizer = opt.optimizer, lr = opt.lr, alpha = opt.alpha, clip = opt.clip,
  schedule = opt.lr_decay and "step" or nil, schedule_steps = opt.lr_decay and windows or nil,
  schedule_factor = opt.lr_decay, freeze = opt.embed == 0 and {1} or nil, seed = opt.seed, patience = opt.patience,
  checkpoint = opt.checkpoint or opt.resume, resume = opt.resume, verbose = opt.verbose,
  on_epoch = opt.report and keep_sample or nil,
}, {y = "nats per " .. (unit() == "word" and "word" or "character")})
tell_result(history, vocab)

if opt.sample > 0 then write_sample(model) end
program:draw{title = opt.file:match("[^/\\]+$"), model = model, history = history, samples = samples, text = validation}
io.write(("validation %.4f nats/%s\n"):format(history.best_value or model:evaluate(validation).loss, unit()))
