-- audio.lua DRY.wav WET.wav [options]: learns an amplifier or effect from what goes in and what comes out.
--
--   lstm scripts/audio.lua dry.wav wet.wav --out amp.safetensors
--   lstm scripts/audio.lua guitar.wav --load amp.safetensors --out played.wav
--   lstm scripts/audio.lua dry.wav wet.wav --load amp.safetensors
--
-- DRY and WET are the same performance before and behind the device, sample by sample: of one rate, without a delay
-- between them; of several channels the first one counts. The network is an LSTM, a linear layer and a connection
-- around both (Wright, Damskagg and Valimaki, 2019), trained on windows of the error-to-signal ratio behind a
-- pre-emphasis; the first samples of each window only warm up the state. The ends of the recordings are kept for
-- choosing the best epoch and for the test. The last line on stdout is `test ESR X (Y dB) dry Z`: of the model, without
-- pre-emphasis, on what it has not heard, and of leaving the sound as it is.

local lstm = require "lstm"
local programs = require "lstm.program"

local opt, given = lstm.args(programs.with({
  about = "Learn an amplifier or effect from recordings before and behind it, and play through it. The last line is" ..
    " the error on the test part (ESR, error to signal): of the model, and after `dry` of the sound as it is." ..
    " Playing begins at rest, as if silence had been played before.",
  examples = {
    {"dry.wav wet.wav --out amp.safetensors", "learns the device between two recordings"},
    {"guitar.wav --load amp.safetensors --out played.wav", "plays a recording through what was learned"},
    {"dry.wav wet.wav --load amp.safetensors", "measures a model on other recordings"},
  },
  {"dry", optional = true, help = "WAV file of what goes into the device"},
  {"wet", optional = true, help = "WAV file of what comes out of it, as long, at the same rate"},
  {"--epochs", type = "integer", min = 1,
    help = "times the windows are gone through; with --resume, the total (default 100, fewer where they are many)"},
  {"--hidden", default = 16, min = 1, help = "cells: 8 to 40 run in real time on any computer"},
  {"--cell", default = "lstm", choices = {"lstm", "gru"}, help = "what the layer is made of"},
  {"--plain", flag = true, help = "without the connection around the network"},
  {"--window", default = 512, min = 1, help = "samples of each window that count"},
  {"--warm", default = 500, min = 0, help = "samples before them that only warm up the state"},
  {"--pre-emphasis", type = "number", default = 0.95, min = 0, max = 1,
    help = "how far the loss favours high notes, 0 = not at all"},
  {"--lr", default = 8e-3, above = 0, help = "learning rate; it is halved where nothing improves"},
  {"--batch", default = 8, min = 1, help = "windows for each training step"},
  {"--clip", type = "number", default = 5, min = 0, help = "largest gradient norm, 0 = any"},
  {"--val", default = 0.1, above = 0, below = 1, help = "share of the recordings to choose the best epoch by"},
  {"--test", default = 0.1, above = 0, below = 1, help = "share of the recordings, at their end, to test on"},
  {"--bits", default = 24, choices = {8, 16, 24, 32}, help = "of a WAV file that is written; 32 = float"},
  {"--loss-plot", type = "string", value = "FILE", alias = "--plot", help = "draw the loss here, as in loss.svg"},
}, "patience", "init", "seed", "out", "load", "checkpoint", "resume", "verbose"))

-- What shapes the model and the run: kept in the model file, so that --resume needs none of it again.
local kept = {"epochs", "hidden", "cell", "plain", "window", "warm", "pre_emphasis", "lr", "batch", "clip", "val",
  "test", "patience", "init", "seed"}

local stop = lstm.args.stop
local program = programs(opt, given, {"out", "loss_plot", "verbose", "bits"}, {"dry", "wet"})
local need = program.need

-- [Sound]

local function read_sound(path)
  local sound, rate = lstm.wav(path)
  if not sound then stop(rate) end
  if #sound == 0 then stop(path .. " is empty") end
  if not sound:finite() then stop(path .. " has samples that are no numbers") end
  return sound, rate
end

-- The first channel, [frames][1].
local function first_channel(path, sound)
  local channels = select(2, sound:shape())
  if channels > 1 then program:say("%s has %d channels: the first one counts", path, channels) end
  return sound:column(1):reshape{#sound, 1}
end

-- Both recordings: {dry =, wet =, count =, rate =}.
local function read_pair()
  local dry, rate = read_sound(opt.dry)
  local wet, other = read_sound(opt.wet)
  if rate ~= other then
    stop(("%s has %d samples per second, %s has %d: they must be the same"):format(opt.dry, rate, opt.wet, other))
  end
  local count = math.min(#dry, #wet)
  if #dry ~= #wet then
    program:say("%s has %d samples, %s has %d: the first %d count", opt.dry, #dry, opt.wet, #wet, count)
  end
  return {dry = first_channel(opt.dry, dry), wet = first_channel(opt.wet, wet), count = count, rate = rate}
end

-- Windows of the samples from..to, each with its warm-up before it: {x = [N][warm + window][1], y =}.
local function windows(pair, from, to)
  local length = opt.warm + opt.window
  local n = math.floor((to - from + 1 - opt.warm) / opt.window)
  if n < 1 then
    stop(("%d samples are left to learn from or to choose by, too few: --warm %d and --window %d need %d"):format(
      math.max(0, to - from + 1), opt.warm, opt.window, length))
  end
  local x, y = lstm.zeros{n, length}, lstm.zeros{n, length}
  for i = 1, n do
    local first = from + (i - 1) * opt.window
    x[i] = pair.dry:slice(first, first + length - 1):reshape{length}
    y[i] = pair.wet:slice(first, first + length - 1):reshape{length}
  end
  if y:max() == 0 and y:min() == 0 then stop(opt.wet .. " is silent where the model is to learn") end
  return {x = x:reshape{n, length, 1}, y = y:reshape{n, length, 1}}, n
end

-- [The model]

local function new_model()
  return lstm.model{input = 1, lstm[opt.cell](opt.hidden), lstm.dense{1, residual = not opt.plain or nil},
    loss = "esr", read = "all", init = opt.init, seed = opt.seed}
end

local function learn(model, pair)
  local known = math.floor(pair.count * (1 - opt.test))
  local learned = math.floor(known * (1 - opt.val))
  local train, count = windows(pair, 1, learned)
  local validation = windows(pair, learned + 1, known)
  program:choose_epochs(count, 100, 1500, 40000)
  model.meta.audio, model.meta.rate = lstm.args.keep(opt, kept), pair.rate
  if opt.resume then program:check_epochs(model, count) end
  program:say("%.1f s at %d samples per second; %d windows to learn from; %d parameters, %d epoch%s",
    pair.count / pair.rate, pair.rate, count, model:parameters(), opt.epochs, opt.epochs == 1 and "" or "s")
  program:warn_unsaved()
  program:fit(model, train, {
    validation = validation, burn_in = opt.warm, epochs = opt.epochs, batch = opt.batch, lr = opt.lr, clip = opt.clip,
    pre_emphasis = opt.pre_emphasis, plateau = {factor = 0.5, patience = 5}, metrics = {"esr"}, seed = opt.seed,
    patience = opt.patience, checkpoint = opt.checkpoint or opt.resume, resume = opt.resume, verbose = opt.verbose,
  }, {y = "error to signal", log = true})
  return known + 1                                   -- where the test begins
end

-- A state at rest: silence is played until the output stays where it is, ten seconds at most. From zero it would pop.
local function resting(model, lanes, rate)
  local silence, y = lstm.zeros{1024, lanes, 1}, lstm.zeros{1024, lanes, 1}
  local state = model:state(lanes)
  for _ = 1, math.ceil(10 * rate / 1024) do
    state:forward(silence, y)
    if y:max() - y:min() < 1e-6 then break end
  end
  return state
end

-- Plays [frames][lanes] through the model. note: what to say of the sound.
local function play(model, sound, rate, note)
  local frames, lanes = sound:shape()
  local state, began = resting(model, lanes, rate), os.clock()
  local played = state:forward(sound:reshape{frames, lanes, 1}):reshape{frames, lanes}
  local seconds = math.max(os.clock() - began, 1e-6)
  program:say("%.1f s of sound%s in %.2f s: %.0f times real time", frames / rate, note or "", seconds,
    frames / rate / seconds)
  return played
end

-- [Results]

-- Measured from sample `from` to the end; what is before it warms up the state.
local function print_test(model, pair, from)
  local first = math.max(1, from - pair.rate)
  local function part(sound, start) return sound:slice(start, pair.count) end
  local note = from > 1 and (" (%.1f s of test, and what is before it)"):format((pair.count - from + 1) / pair.rate)
  local played = play(model, part(pair.dry, first), pair.rate, note)
  local truth = part(pair.wet, from)
  local ratio = lstm.metrics.esr(truth, played:slice(from - first + 1, #played))
  print(("test ESR %.4g (%.1f dB) dry %.4g"):format(ratio, 10 * math.log(ratio) / math.log(10),
    lstm.metrics.esr(truth, part(pair.dry, from))))
end

local function render(model)
  local sound, rate = read_sound(opt.dry)
  local learned = model.meta.rate
  if learned and rate ~= learned then
    stop(("%s has %d samples per second, the model was learned at %d: it would be another device"):format(opt.dry,
      rate, learned))
  end
  local played = play(model, sound, rate)
  local beyond = math.max(played:max(), -played:min())
  if beyond > 1 and opt.bits < 32 then
    program:say("it is cut off at 1, its peak is %.2f: --bits 32 keeps it", beyond)
  end
  need(lstm.writewav(opt.out, played, rate, {bits = opt.bits}))
  program:say("sound: %s", opt.out)
end

local function load_and_exit()
  program:check_load_options{"dry", "wet", "load", "out", "bits", "verbose"}
  local model = program:open(opt.load, "audio")
  if not opt.out and not opt.wet then
    stop("--load needs --out FILE.wav, to play DRY, or WET, to measure the model on", 2)
  end
  if opt.out then render(model) end
  if opt.wet then print_test(model, read_pair(), 1) end
  os.exit(0, true)
end

-- [The program]

program:check_writable{"out", "checkpoint", "loss_plot"}
if not opt.dry then stop("DRY is missing, a WAV file", 2) end
if opt.load then load_and_exit() end
if not opt.wet then stop("WET is missing, a WAV file; or --load MODEL, to play DRY through it", 2) end
if given.bits then stop("--bits needs --load MODEL", 2) end
local model = opt.resume and program:reopen("audio", {"epochs", "patience"})
local pair = read_pair()
model = model or new_model()
print_test(model, pair, learn(model, pair))
