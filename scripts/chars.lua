-- chars.lua FILE [options]: learns a text character by character, then writes more of it.
--
--   lstm scripts/chars.lua shakespeare.txt --steps 2000 --out shakespeare.safetensors
--
-- The first 90 % of the text are learned, the last 10 % measured. stdout gets a sample and, last, the line
-- `validation X nats/char` of the model that is saved; everything else goes to stderr.

local lstm = require "lstm"

local opt, given = lstm.args{
  about = "Learn the style of a text, character by character, then write more of it.",
  {"file", help = "text to learn from"},
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
  {"--checkpoint", type = "string", value = "FILE", help = "save the run here, to resume it"},
  {"--resume", type = "string", value = "FILE", alias = "-init_from",
    help = "go on exactly where a checkpoint stopped, with the options it was made with"},
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

local function stop(message, code)
  io.stderr:write("chars.lua: ", message, "\n")
  os.exit(code or 1, true)
end

-- The value, or the program ends with the sentence that came instead.
local function need(value, message)
  if not value then stop(message) end
  return value
end

local function say(...)
  if opt.verbose > 0 then io.stderr:write(string.format(...), "\n") end
end

-- After Ctrl-C: what is saved, and how to go on.
local function stop_interrupted(message)
  message = message:gsub(", resume with.*", "")
  local path = opt.checkpoint or opt.resume
  stop(message .. (path and "; go on with --resume " .. path or ""), 130)
end

-- Hours of work must not end at a folder that does not exist.
local function check_place(path)
  if not path then return end
  local probe = path .. ".probe"
  local fine, message = lstm.writefile(probe, "")
  if not fine then stop((message:gsub("%.probe", ""))) end
  os.remove(probe)
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

check_place(opt.out)
check_place(opt.loss_plot)
local text = need(lstm.readfile(opt.file))
if text == "" then stop(opt.file .. " is empty, there is nothing to learn from") end

local model
if opt.resume then
  model = need(lstm.load(opt.resume))
  if not model.meta.chars then stop(opt.resume .. " was not made by this script") end
  lstm.args.recall(opt, given, model.meta.chars)
end

local fine, vocab = pcall(lstm.vocab, text, opt.vocab)
if not fine then stop(opt.file .. ": " .. tostring(vocab)) end
if model and model.vocab ~= vocab then stop(opt.file .. " is not the text that " .. opt.resume .. " was learning") end
local tokens = vocab:encode(text)
local least = opt.batch * (opt.seq + 1)
if math.floor(#tokens * (1 - opt.val)) < least or math.floor(#tokens * opt.val) < 2 then
  stop(("%s has %d characters, too few: --batch %d and --seq %d need %d to learn from and some to measure on"):format(
    opt.file, #tokens, opt.batch, opt.seq, least))
end
local train, validation = tokens:split(1 - opt.val)

model = model or new_model(vocab)
model.meta.chars = lstm.args.keep(opt, kept)
say("%s: %d characters, %d different; %d parameters", opt.file, #tokens, vocab:size(), model:parameters())

local checkpoint = opt.checkpoint or opt.resume
local history, message, status = model:fit(train, {
  validation = validation, seq = opt.seq, batch = opt.batch, steps = opt.steps, validate_every = opt.validate_every,
  optimizer = opt.optimizer, lr = opt.lr, clip = opt.clip, seed = opt.seed, patience = opt.patience,
  checkpoint = checkpoint, resume = opt.resume, verbose = opt.verbose,
})
if not history and status ~= "interrupted" then stop(message) end
if opt.out then
  need(model:save(opt.out))
  say("model: %s", opt.out)
end
if not history then stop_interrupted(message) end
if opt.loss_plot then need(lstm.plot.history(history, opt.loss_plot, {y = "nats per character"})) end

if opt.sample > 0 then
  for piece in model:generate{prime = opt.prime, length = opt.sample, temperature = opt.temperature, seed = opt.seed} do
    io.write(piece)
    io.flush()
  end
  io.write("\n")
end
io.write(("validation %.4f nats/char\n"):format(history.best_value))
