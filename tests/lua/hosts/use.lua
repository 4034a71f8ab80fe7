-- What a program that has a Lua of its own does with the module: load, step, train, write on, save.

local lstm = require "lstm"
local vocab = lstm.vocab "hello"
local text = lstm.model{input = vocab, hidden = 4, output = vocab, seed = 1}
assert(#text:sample{prime = "he", length = 5} == 7)
assert(not pcall(lstm.model, {input = 1, hiden = 3}))

local x, y = lstm.zeros{6, 3, 2}, {}
for i = 1, 6 do
  x[i] = {{i % 2, 0}, {0, 1}, {1, i % 2}}
  y[i] = i % 2 + 1
end
local model = lstm.model{input = 2, hidden = 6, output = {"even", "odd"}, seed = 1}
local history = assert(model:fit({x = x, y = y}, {epochs = 40, batch = 3, lr = 0.05, verbose = 0, seed = 1}))
assert(history[#history].loss < history[1].loss / 2)

local state = model:state()
state:step(1, 0)
state:step(0, 1)
state:step(1, 1)
collectgarbage()
assert(state:best() == "odd")

local ragged = lstm.sequences{x = {{1, 2, 3}, {3, 1}, {2, 5}}, y = {"up", "down", "up"}}
local cell = lstm.model{
  input = 1, lstm.lstm{6, peephole = true, bidirectional = true}, output = {"up", "down"}, seed = 1,
}
assert(cell:fit(ragged, {epochs = 40, batch = 2, lr = 0.05, verbose = 0, seed = 1, validation = ragged}))
assert(cell:classify(ragged)[2] == "down")
local words = lstm.vocab("good morning\nbonjour", "words")
local function network(output)
  return lstm.model{input = words, lstm.embedding(4), lstm.gru(6), output = output, seed = 1}
end
local pair = lstm.seq2seq{encoder = network(), decoder = network(words)}
assert(pair:fit({x = {"good morning"}, y = {"bonjour"}}, {epochs = 50, lr = 0.05, verbose = 0, seed = 1}))
assert(pair:translate "good morning" == "bonjour")

assert(pair:translate("good morning", {beam = 3, n = 2})[1] == "bonjour")

local list = {}
for i = 1, 20 do list[i] = {i % 4, 5 * i} end
local rows = lstm.table(lstm.array(list), {"a", "b"})
local series = lstm.model{input = 2, hidden = 3, output = 2, seed = 1}
assert(series:fit(lstm.minmax(rows):apply(rows):windows{look_back = 3}, {epochs = 2, verbose = 0}))
assert(#series:predict(rows) == 17)
assert(#series:forecast(rows, 4).data == 4)
assert(tostring(series):find("look_back 3", 1, true))

local path = os.tmpname()
assert(model:save(path))
assert(assert(lstm.load(path)):predict(x) == model:predict(x))
os.remove(path)
assert(select(3, lstm.load "/nonexistent") == "io")

local views = lstm.table(lstm.array(list), {"a", "b"}):windows{look_back = 3, target = "a"}
local learner = lstm.model{input = 2, hidden = 4, output = 1, seed = 1}
local record = assert(learner:fit(views, {
  validation = views, metrics = {"rmse", "esr"}, epochs = 3, batch = 4, accumulate = 2, plateau = true, csv = path,
  checkpoint = path .. ".run", verbose = 0,
}))
assert(lstm.readfile(path) == record:csv() and record[3].rmse > 0)
assert(learner:fit(views, {epochs = 4, batch = 4, accumulate = 2, plateau = true, resume = path .. ".run",
  validation = views, verbose = 0}))
os.remove(path .. ".run")
assert(model:confusion{x = x, y = y}:accuracy() > 0.9)
os.remove(path)
local found = assert(lstm.search{
  space = {lr = lstm.range(1e-3, 1e-1, {log = true}), hidden = {2, 3}}, kind = "random", trials = 3, data = views,
  folds = 2, model = {input = 2, output = 1}, fit = {epochs = 1}, file = path, verbose = 0, seed = 1,
})
assert(#found == 3 and found.best == found[1] and tostring(found):find "val_loss")
os.remove(path)

model:close()
assert(not pcall(state.step, state, 1, 0))

print("the module works in " .. (jit and jit.version or _VERSION))      -- luacheck: ignore 113
