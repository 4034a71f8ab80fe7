-- chars.lua FILE [options]: learns a text character by character, then writes more of it.
--
--   lstm scripts/chars.lua shakespeare.txt --steps 2000 --out shakespeare.safetensors
--   lstm scripts/chars.lua --load shakespeare.safetensors --sample 1000
--
-- The first 90 % of the text are learned, the last 10 % measured. stdout gets a sample and, last, the line
-- `validation X nats/char` of the model that is saved; everything else goes to stderr.

local lstm = require "lstm"

local opt, given = lstm.args{
  about = "Learn the style of a text, character by character, then write more of it.",
  {"file", optional = true, help = "text to learn from; not needed with --load"},
  {"--steps", default = 2000, min = 1, help = "training steps; with --resume, the total"},
  {"--seq", default = 64, min = 1, alias = "-seq_length", help = "characters the gradient reaches back"},
  {"--batch", default = 32, min = 1, alias = "-batch_size", help = "places in the text that are read in parallel"},
  {"--embed", default = 64, min = 1, help = "width of the embedding"},
  {"--hidden", default = 128, min = 1, alias = "-rnn_size", help = "cells per layer"},
  {"--layers", default = 1, min = 1, max = 16, alias = "-num_layers", help = "LSTM layers"},
  {"--dropout", type = "number", default = 0, min = 0, below = 1,
    help = "share of values dropped after each layer while training"},
  {"--lr", default = 2e-3, above = 0, alias = "-learning_rate", help = "learning rate"},
  {"--optimizer", default = "adam", choices = {"adam", "adamw", "rmsprop", "sgd"}, help = "how weights are updated"},
  {"--clip", type = "number", default = 5, min = 0, alias = "-grad_clip", help = "largest gradient norm, 0 = any"},
  {"--init", default = "default", choices = {"default", "pytorch"}, help = "how weights begin"},
  {"--seed", default = 1, min = 0, help = "where random numbers begin"},
  {"--vocab", default = "bytes", choices = {"bytes", "utf8"}, help = "what a character is"},
  {"--val", default = 0.1, above = 0, below = 1, help = "share of the text, at its end, to measure on"},
  {"--validate-every", default = 100, min = 1, help = "steps between two looks at that share"},
  {"--patience", type = "integer", min = 1, help = "stop after so many looks without an improvement"},
  {"--out", type = "string", value = "FILE", help = "save the best model here"},
  {"--load", type = "string", value = "MODEL", help = "do not train: write with a model that --out saved"},
  {"--checkpoint", type = "string", value = "FILE", help = "save the run here, to resume it"},
  {"--resume", type = "string", value = "FILE", alias = "-init_from",
    help = "go on exactly where a checkpoint stopped, with the options it was made with; the run goes on being saved" ..
      " there unless --checkpoint names another file"},
  {"--sample", default = 500, min = 0, alias = "-length", help = "characters to write at the end, 0 = none"},
  {"--temperature", type = "number", default = 0.8, min = 0,
    help = "daring of the sample: 0 always the likeliest character, 1 as the model thinks"},
  {"--prime", default = "", alias = "-primetext", help = "how the sample begins; a new line if not given"},
  {"--loss-plot", type = "string", value = "FILE", help = "draw the loss here, as in loss.svg"},
  {"--verbose", default = 1, min = 0, max = 2, help = "0 no progress, 1 a line, 2 a line for each look"},
}

-- What shapes the model and the run: kept in the model file, so that --resume needs none of it again.
local kept = {"steps", "seq", "batch", "embed", "hidden", "layers", "dropout", "lr", "optimizer", "clip", "init",
  "seed", "vocab", "val", "validate_every", "patience"}

-- What a resumed run is to be told again.
local unkept = {"out", "sample", "temperature", "prime", "loss_plot", "verbose"}

local stop = lstm.args.stop

local program = require "lstm.program"(opt, given, unkept)
local need, position_of = program.need, program.position_of

local function say(...) program:say(...) end

-- Every character of the beginning must be one that the model knows.
local function check_prime(vocab, where)
  for c in opt.prime:gmatch("[%z\1-\127\192-\255]?[\128-\191]*") do
    for symbol in c:gmatch(vocab.kind == "utf8" and ".+" or ".") do
      if not vocab:id(symbol) then stop(('--prime: "%s" does not occur in %s'):format(c, where)) end
    end
  end
end

local function write_sample(model)
  for piece in model:generate{prime = opt.prime, length = opt.sample, temperature = opt.temperature, seed = opt.seed} do
    io.write(piece)
    io.flush()
  end
  io.write("\n")
end

-- --load: writes with a finished model, and that is all.
local function write_and_exit()
  program:check_load_options{"load", "sample", "temperature", "prime", "seed", "verbose"}
  local model = need(lstm.load(opt.load))
  if not model.meta.chars or not model.vocab or not model.output_vocab then
    stop(opt.load .. " was not made by this script")
  end
  check_prime(model.vocab, "the text that " .. opt.load .. " has learned")
  write_sample(model)
  os.exit(0, true)
end

-- --resume: the model, and the options of its run for all that the command line leaves open.
local function resume_model()
  local model = need(lstm.load(opt.resume))
  if not model.meta.chars then stop(opt.resume .. " was not made by this script") end
  local done, due = position_of(model)
  if not done then
    stop(opt.resume .. " is a model, not a checkpoint of a run: --load writes with it, --checkpoint makes the other")
  end
  program:check_conflict(opt.resume, model.meta.chars, {"steps", "validate_every", "patience"})
  lstm.args.recall(opt, given, model.meta.chars)
  if opt.steps < done or opt.steps == done and not due then
    stop(("%s is already at step %d; --steps counts from the beginning, so %d leaves nothing to do"):format(opt.resume,
      done, opt.steps))
  end
  return model
end

-- What to make of a loss that is no better than guessing, and which weights count.
local function report(history, vocab)
  local guessing = math.log(vocab:size())
  local row = history[history.best]
  if row and history.best == #history then                    -- else fit has told
    say("kept: the weights of the last step, %d, the best of %d looks", row.step, #history)
  end
  if not row or history.best_value >= guessing then
    say("this is no better than guessing (%.4f nats/char): lower --lr, now %g", guessing, opt.lr)
  end
end

local function new_model(vocab)
  local layers = {lstm.embedding(opt.embed)}
  for _ = 1, opt.layers do
    layers[#layers + 1] = lstm.lstm(opt.hidden)
    if opt.dropout > 0 then layers[#layers + 1] = lstm.dropout(opt.dropout) end
  end
  layers.input, layers.output, layers.init, layers.seed = vocab, vocab, opt.init, opt.seed
  return lstm.model(layers)
end

if opt.load then write_and_exit() end
if not opt.file then stop("FILE is missing", 2) end
program:check_writable{"out", "checkpoint", "loss_plot"}
local text = need(lstm.readfile(opt.file))
if text == "" then stop(opt.file .. " is empty, there is nothing to learn from") end

local model = opt.resume and resume_model()
local fine, vocab = pcall(lstm.vocab, text, opt.vocab)
if not fine then stop(opt.file .. ": " .. tostring(vocab)) end
if model and model.vocab ~= vocab then stop(opt.file .. " is not the text that " .. opt.resume .. " was learning") end
check_prime(vocab, "the text")
local tokens = vocab:encode(text)
local least = opt.batch * (opt.seq + 1)
local learned, measured = math.floor(#tokens * (1 - opt.val)), math.floor(#tokens * opt.val)
if learned < least and #tokens * 0.9 >= least or measured < 2 and #tokens >= least + 2 then
  stop(("--val %g leaves %d of %d characters to learn from and %d to measure on, too few: %d and 2 are needed"):format(
    opt.val, learned, #tokens, measured, least))
elseif learned < least or measured < 2 then
  stop(("%s has %d characters, too few: --batch %d and --seq %d need %d to learn from and some to measure on"):format(
    opt.file, #tokens, opt.batch, opt.seq, least))
end
local train, validation = tokens:split(1 - opt.val)

model = model or new_model(vocab)
model.meta.chars = lstm.args.keep(opt, kept)
say("%s: %d characters, %d different; %d parameters", opt.file, #tokens, vocab:size(), model:parameters())
program:warn_unsaved()

local checkpoint = opt.checkpoint or opt.resume
local history = program:fit(model, train, {
  validation = validation, seq = opt.seq, batch = opt.batch, steps = opt.steps, validate_every = opt.validate_every,
  optimizer = opt.optimizer, lr = opt.lr, clip = opt.clip, seed = opt.seed, patience = opt.patience,
  checkpoint = checkpoint, resume = opt.resume, verbose = opt.verbose,
}, {y = "nats per character"})
report(history, vocab)

if opt.sample > 0 then write_sample(model) end
io.write(("validation %.4f nats/char\n"):format(history.best_value or model:evaluate(validation).loss))
