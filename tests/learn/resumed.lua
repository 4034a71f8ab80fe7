-- resumed.lua KIND FOLDER STEPS [KILL]: a run that is meant to be killed, for tests/lua/resume.lua and kill.sh.
--
-- KIND is "text" (carried streams), "windows" (shuffled) or "pair" (an encoder-decoder, ragged, in buckets); dropout, a
-- schedule, plateau, accumulate, a CSV file and samples with seeds that nobody gave are all on. It resumes
-- FOLDER/run.safetensors where that is there, and ends itself with SIGKILL after step KILL. When it comes to its end it
-- writes FOLDER/result: what must be equal however often it was killed. FOLDER/samples has a line for each sample that
-- was drawn, by step.
local lstm = require "lstm"
local core = require "lstm.core"

local kind, folder, steps, kill = arg[1], arg[2], tonumber(arg[3]), tonumber(arg[4])
local size = tonumber(os.getenv "HIDDEN") or 12

lstm.seed(5)
local model, train, validation, sample

local function text()
  local words, pieces, rng = {"the ", "quick ", "brown ", "fox ", "jumps ", "over ", "a ", "dog. "}, {}, lstm.rng(9)
  for i = 1, 1200 do pieces[i] = words[rng:index(#words)] end
  local whole = table.concat(pieces)
  local vocab = lstm.vocab(whole)
  train, validation = vocab:encode(whole):split(0.8)
  model = lstm.model{input = vocab, lstm.embedding(8), lstm.lstm(size), lstm.dropout(0.2), lstm.lstm(size),
    output = vocab}
  function sample() return model:sample{prime = "the ", length = 12} end
end

local function windows()
  local values, rng = {}, lstm.rng(9)
  for i = 1, 400 do values[i] = {math.sin(i / 7) + 0.2 * rng:uniform(), math.cos(i / 5)} end
  train, validation = lstm.table(lstm.array(values), {"a", "b"}):windows{look_back = 8, target = "a"}:split(0.8)
  model = lstm.model{input = 2, lstm.lstm(size), lstm.dropout(0.3), lstm.lstm(size), output = 1}
  function sample()
    local i = lstm.rng(require "lstm.seeds".next()):index(lstm.len(validation))
    return ("%.9g"):format(model:predict(validation)[i][1])
  end
end

local function pair()
  local rng, list = lstm.rng(9), {x = {}, y = {}}
  for i = 1, 60 do
    local word = {}
    for k = 1, 1 + rng:index(7) do word[k] = ("abc"):sub(rng:index(3)):sub(1, 1) end
    list.x[i], list.y[i] = table.concat(word), table.concat(word):reverse()
  end
  local vocab = lstm.vocab "abc\n"
  local function network(output)
    return lstm.model{input = vocab, lstm.embedding(6), lstm.dropout(0.1), lstm.lstm(size), output = output}
  end
  model = lstm.seq2seq{encoder = network(), decoder = network(vocab)}
  train, validation = lstm.sequences(list):split(0.8)
  function sample() return model:translate("abcab", {temperature = 1}) end
end

local kinds = {text = text, windows = windows, pair = pair}
kinds[kind]()

local samples = assert(io.open(folder .. "/samples", "a"))
local checkpoint = folder .. "/run.safetensors"
local classes = kind ~= "windows"
local history = assert(model:fit(train, {
  validation = validation, seq = kind == "text" and 6 or nil, batch = 4, steps = steps, validate_every = 7, lr = 0.02,
  schedule = "cosine", schedule_steps = steps, warmup = 5, accumulate = 3, clip = 1,
  min_delta = classes and 0.2 or 0.1, plateau = {factor = 0.7, patience = 2},
  metrics = {classes and "perplexity" or "rmse"}, bucket = kind == "pair" or nil,
  csv = folder .. "/history.csv", checkpoint = checkpoint, resume = true, verbose = 0,
  on_epoch = function(row)
    samples:write(row.step, "\t", (sample():gsub("%c", "?")), "\n")
    samples:flush()
  end,
  on_step = function(info)
    if kill and info.step >= kill then os.execute "kill -KILL $PPID" end
  end,
}))

-- Everything but the seconds, which are the last column.
local function without_seconds(csv) return (csv:gsub(",[^,\n]*\n", "\n")) end
assert(without_seconds(history:csv()) == without_seconds(assert(lstm.readfile(folder .. "/history.csv"))))

local lines = {without_seconds(history:csv()), "best " .. history.best, history.stopped}
for _, part in ipairs(kind == "pair" and {model.encoder, model.decoder} or {model}) do
  for _, name in ipairs(part:tensors()) do lines[#lines + 1] = name .. " " .. core.hash(part:tensor(name)) end
end
for i = 1, 3 do lines[#lines + 1] = ("sample %d %s"):format(i, sample()) end
assert(lstm.writefile(folder .. "/result", table.concat(lines, "\n") .. "\n"))
