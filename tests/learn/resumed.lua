-- resumed.lua KIND FOLDER STEPS [KILL]: a run that is meant to be killed, for tests/lua/resume.lua and kill.sh.
--
-- KIND is "text" (carried streams) or "windows" (shuffled); dropout, a schedule, plateau, accumulate, a CSV file and
-- samples with seeds that nobody gave are all on. It resumes FOLDER/run.safetensors where that is there, and ends
-- itself with SIGKILL after step KILL. When it comes to its end it writes FOLDER/result: what must be equal however
-- often it was killed. FOLDER/samples has a line for each sample that was drawn, by step.
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
    local i = lstm.rng(require "lstm.seeds".next()):index(#validation)
    return ("%.9g"):format(model:predict(validation)[i][1])
  end
end

if kind == "text" then text() else windows() end

local samples = assert(io.open(folder .. "/samples", "a"))
local checkpoint = folder .. "/run.safetensors"
local history = assert(model:fit(train, {
  validation = validation, seq = kind == "text" and 6 or nil, batch = 4, steps = steps, validate_every = 7, lr = 0.02,
  schedule = "cosine", schedule_steps = steps, warmup = 5, accumulate = 3, clip = 1,
  min_delta = kind == "text" and 0.2 or 0.1, plateau = {factor = 0.7, patience = 2},
  metrics = {kind == "text" and "perplexity" or "rmse"},
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
for _, name in ipairs(model:tensors()) do lines[#lines + 1] = name .. " " .. core.hash(model:tensor(name)) end
for i = 1, 3 do lines[#lines + 1] = ("sample %d %s"):format(i, sample()) end
assert(lstm.writefile(folder .. "/result", table.concat(lines, "\n") .. "\n"))
