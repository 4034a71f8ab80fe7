-- Tests of the metrics (host/lua/metrics.lua, confusion.lua, evaluate.lua): against figures worked out by hand.

local lu = require "luaunit"
local lstm = require "lstm"

local metrics = lstm.metrics

local TestArrays = {}

function TestArrays.testErrors()
  local truth, guess = lstm.array{1, 2, -2}, lstm.array{2, 2, 0}
  lu.assertAlmostEquals(metrics.rmse(truth, guess), math.sqrt(5 / 3), 1e-12)
  lu.assertAlmostEquals(metrics.mae(truth, guess), 1, 1e-12)
  lu.assertAlmostEquals(metrics.esr(truth, guess), 5 / 9, 1e-12)
  lu.assertAlmostEquals(metrics.esr(guess, truth), 5 / 8, 1e-12)                 -- the truth comes first
  lu.assertEquals(metrics.mae(lstm.array({1, 2}, "int32"), lstm.array({3, 2}, "int32")), 1)
  lu.assertEquals(metrics.rmse(lstm.zeros{2, 3, 4}, lstm.zeros{2, 3, 4} + 2), 2)
end

function TestArrays.testClasses()
  local truth, guess = {"a", "a", "b", "c", "a"}, {"a", "b", "b", "a", "a"}
  lu.assertAlmostEquals(metrics.accuracy(truth, guess), 3 / 5, 1e-12)
  -- a: precision 2/3, recall 2/3; b: 1/2, 1; c: nothing right
  lu.assertAlmostEquals(metrics.f1(truth, guess, "a"), 2 / 3, 1e-12)
  lu.assertAlmostEquals(metrics.f1(truth, guess, "b"), 2 / 3, 1e-12)
  lu.assertAlmostEquals(metrics.f1(truth, guess), 4 / 9, 1e-12)
  lu.assertEquals(metrics.accuracy(lstm.array({1, 2}, "int32"), {1, 3}), 0.5)
end

function TestArrays.testPerplexity()
  local p = lstm.array{{0.5, 0.25, 0.25}, {0.125, 0.125, 0.75}, {1, 0, 0}}
  lu.assertAlmostEquals(metrics.perplexity({1, 2, false}, p), 4, 1e-12)           -- sqrt(2 * 8)
  lu.assertEquals(metrics.perplexity(lstm.array({2, 3, 2}, "int32"), p), math.huge)
end

local TestConfusion = {}

local function sample()
  return metrics.confusion({"cat", "cat", "dog", "dog", "dog", "eel", false}, {"cat", "dog", "dog", "dog", "cat", "dog",
    "cat"})
end

function TestConfusion.testCounts()
  local c = sample()
  lu.assertEquals(c.labels, {"cat", "dog", "eel"})
  lu.assertEquals(c.counts:totable(), {{1, 1, 0}, {1, 2, 0}, {0, 1, 0}})
  lu.assertEquals({#c, c:total(), c:accuracy()}, {3, 6, 0.5})
  lu.assertEquals({c:precision "dog", c:recall "dog", c:recall "eel"}, {0.5, 2 / 3, 0})
  lu.assertTrue(c:precision "eel" ~= c:precision "eel")                          -- it was never guessed
  lu.assertAlmostEquals(c:f1 "cat", 0.5, 1e-12)
  lu.assertAlmostEquals(c:f1(), (0.5 + 4 / 7 + 0) / 3, 1e-12)
end

function TestConfusion.testOrderOfLabels()
  local c = metrics.confusion({"b", "a"}, {"b", "b"}, {"b", "a", "z"})
  lu.assertEquals(c.counts:totable(), {{1, 0, 0}, {1, 0, 0}, {0, 0, 0}})
  lu.assertEquals(metrics.confusion({2, 10, "x"}, {2, 2, 2}).labels, {2, 10, "x"})
end

function TestConfusion.testAsText()
  lu.assertEquals(tostring(sample()), [[
confusion: 3 classes, 6 targets, accuracy 0.5, F1 0.3571 (rows: truth, columns: guess)
    cat dog eel
cat   1   1   0
dog   1   2   0
eel   0   1   0]])
  local truth, guess = {}, {}
  for i = 1, 30 do truth[i], guess[i] = i, i == 7 and 8 or i end
  lu.assertEquals(tostring(metrics.confusion(truth, guess)),
    "confusion: 30 classes, 30 targets, accuracy 0.9667, F1 0.9556\n  7 taken for 8: 1")
end

function TestConfusion.testLongLabels()
  local text = tostring(metrics.confusion({"schnurrbarttr\195\164ger", "a"}, {"a", "a"}))
  lu.assertStrContains(text, "\nschnurrbar ")
  for line in text:gmatch "\n([^\n(]*)" do lu.assertTrue(#line <= 37) end
end

-- The table fits a terminal of 80 columns.
function TestConfusion.testWidth()
  local labels = {}
  for i = 1, 18 do labels[i] = ("Language%02d"):format(i) end
  for line in tostring(metrics.confusion(labels, labels)):gmatch "\n([^\n]*)" do
    lu.assertTrue(#line <= require "lstm.progress".columns(), line)
  end
end

local TestModels = {}

-- A model whose outputs are known: the last input itself.
local function echo(outputs, options)
  local m = {input = outputs, lstm.lstm(2), lstm.dense(outputs), seed = 1}
  for key, value in pairs(options or {}) do m[key] = value end
  return lstm.model(m)
end

local function noise(n, steps, width, seed)
  local rng, x = lstm.rng(seed), lstm.zeros{n, steps, width}
  for i = 1, n do
    for t = 1, steps do
      for k = 1, width do x[i][t][k] = rng:uniform() - 0.5 end
    end
  end
  return x
end

function TestModels.testNumbersAgreeWithPredictions()
  for _, loss in ipairs{"mse", "mae", "huber"} do
    local m = echo(2, {loss = loss})
    local set = {x = noise(37, 5, 2, 1), y = noise(37, 2, 1, 2):reshape{37, 2}}
    local guess = m:predict(set)
    local result = m:evaluate(set, {metrics = {"esr", "rmse", "mae"}, batch = 10})
    for _, name in ipairs{"rmse", "mae", "esr"} do
      lu.assertAlmostEquals(result[name], metrics[name](set.y, guess), 1e-6, name)
    end
    lu.assertEquals(result.count, 37)
    lu.assertNil(result.accuracy)
    if loss == "mse" then lu.assertAlmostEquals(result.rmse, math.sqrt(result.loss), 1e-6) end
  end
end

-- Padding, burn-in and weights count as in the loss.
function TestModels.testRaggedAndWeighted()
  local m = echo(1, {read = "all"})
  local set = {x = noise(9, 6, 1, 1), y = noise(9, 6, 1, 2), lengths = {1, 2, 3, 4, 5, 6, 6, 2, 1}}
  local plain = m:evaluate(set, {metrics = {"rmse"}})
  lu.assertAlmostEquals(plain.rmse, math.sqrt(plain.loss), 1e-6)
  set.weights = noise(9, 6, 1, 3):reshape{9, 6} + 0.5
  local weighted = m:evaluate(set, {metrics = {"rmse"}, batch = 4})
  lu.assertAlmostEquals(weighted.rmse, math.sqrt(weighted.loss), 1e-6)
  lu.assertNotAlmostEquals(weighted.rmse, plain.rmse, 1e-4)
  local list = {x = {}, y = {}}
  for i = 1, 9 do
    list.x[i], list.y[i] = set.x[i]:slice(1, set.lengths[i]), set.y[i]:slice(1, set.lengths[i])
  end
  lu.assertAlmostEquals(m:evaluate(list, {metrics = {"rmse"}, batch = 2}).rmse, plain.rmse, 1e-6)
end

function TestModels.testClasses()
  local labels = {"red", "green", "blue"}
  local m = lstm.model{input = 2, hidden = 3, output = labels, seed = 4}
  local set = {x = noise(50, 4, 2, 1), y = {}}
  for i = 1, 50 do set.y[i] = i % 9 == 0 and false or labels[i % 3 + 1] end
  local guess = m:classify(set.x)
  local counted = metrics.confusion(set.y, guess, labels)
  local c = m:confusion(set, {batch = 7})
  lu.assertEquals(c.labels, labels)
  lu.assertEquals(c.counts:totable(), counted.counts:totable())
  local result = m:evaluate(set, {metrics = {"f1", "perplexity"}, batch = 7})
  lu.assertAlmostEquals(result.f1, counted:f1(), 1e-12)
  lu.assertAlmostEquals(result.accuracy, counted:accuracy(), 1e-12)
  lu.assertAlmostEquals(result.perplexity, math.exp(result.loss), 1e-9)
  lu.assertEquals(result.count, c:total())
end

function TestModels.testTexts()
  local text = ("to be or not to be, "):rep(40)
  local vocab = lstm.vocab(text)
  local m = lstm.model{input = vocab, lstm.embedding(4), lstm.lstm(6), output = vocab, seed = 1}
  local tokens = vocab:encode(text)
  local result = m:evaluate(tokens, {metrics = {"f1"}})
  local c = m:confusion(tokens)
  lu.assertEquals({c:total(), result.count}, {#text - 1, #text - 1})
  lu.assertAlmostEquals(c:accuracy(), result.accuracy, 1e-12)
  lu.assertAlmostEquals(c:f1(), result.f1, 1e-12)
  lu.assertEquals(c.labels[1], " ")
  lu.assertAlmostEquals(result.loss, m:evaluate(tokens).loss, 0)                  -- metrics do not change the loss
end

function TestModels.testBinary()
  local one = lstm.model{input = 1, hidden = 2, output = 1, loss = "binary_cross_entropy", seed = 3}
  local set = {x = noise(30, 3, 1, 5) * 20, y = lstm.zeros{30, 1}}
  for i = 1, 30, 2 do set.y[i][1] = 1 end
  local truth, guess, p = {}, {}, one:predict(set.x)
  for i = 1, 30 do truth[i], guess[i] = set.y[i][1], p[i][1] >= 0.5 and 1 or 0 end
  local result = one:evaluate(set, {metrics = {"f1", "rmse"}})
  lu.assertAlmostEquals(result.f1, metrics.f1(truth, guess, 1), 1e-12)
  lu.assertAlmostEquals(result.accuracy, metrics.accuracy(truth, guess), 1e-12)
  lu.assertEquals(one:confusion(set).counts:totable(), metrics.confusion(truth, guess, {0, 1}).counts:totable())
  local two = lstm.model{input = 1, hidden = 2, output = 2, loss = "binary_cross_entropy", seed = 3}
  local both = lstm.zeros{30, 2} + 1
  result = two:evaluate({x = set.x, y = both}, {metrics = {"f1"}})
  local right, q = {0, 0}, two:predict(set.x)
  for k = 1, 2 do
    for i = 1, 30 do right[k] = right[k] + (q[i][k] >= 0.5 and 1 or 0) end
  end
  local function f1(n) return 2 * n / (30 + n) end
  lu.assertAlmostEquals(result.f1, (f1(right[1]) + f1(right[2])) / 2, 1e-9)
end

-- The loss of the trainer smooths its targets; the perplexity is that of the plain cross-entropy.
function TestModels.testPerplexityIsPlain()
  local m = lstm.model{input = 1, hidden = 3, output = {"a", "b", "c"}, seed = 1}
  local set = {x = noise(20, 3, 1, 1), y = {}}
  for i = 1, 20 do set.y[i] = i % 3 + 1 end
  local history = assert(m:fit(set, {validation = set, metrics = {"perplexity"}, label_smoothing = 0.4, epochs = 1,
    class_weights = {1, 2, 3}, batch = 20, verbose = 0, seed = 1}))
  lu.assertAlmostEquals(history[1].perplexity, math.exp(m:evaluate(set).loss), 1e-6)
  lu.assertNotAlmostEquals(history[1].perplexity, math.exp(history[1].val_loss), 1e-3)
end

local TestFit = {}

local function series()
  local values = {}
  for i = 1, 120 do values[i] = {math.sin(i / 5)} end
  return lstm.table(lstm.array(values), {"y"}):windows{look_back = 5, target = "y"}
end

function TestFit.testColumns()
  local train, validation = series():split(0.7)
  local m = lstm.model{input = 1, hidden = 3, output = 1, seed = 1}
  local h = assert(m:fit(train, {
    validation = validation, metrics = {"mae", "rmse"}, epochs = 2, verbose = 0, seed = 1}))
  lu.assertEquals(h:columns(), {"epoch", "step", "loss", "val_loss", "rmse", "mae", "lr", "norm", "seconds"})
  lu.assertAlmostEquals(h[2].rmse, metrics.rmse(validation:targets(), m:predict(validation)), 1e-6)
  lu.assertEquals(h.monitor, "val_loss")
end

-- A metric that decides is measured without being asked for, in its own direction.
function TestFit.testMonitors()
  local train, validation = series():split(0.7)
  for _, name in ipairs{"rmse", "mae", "esr"} do
    local m = lstm.model{input = 1, hidden = 3, output = 1, seed = 1}
    local h = assert(m:fit(train, {validation = validation, monitor = name, epochs = 4, verbose = 0, seed = 1}))
    lu.assertEquals({h.monitor, h.mode}, {name, "min"})
    for _, row in ipairs(h) do lu.assertTrue(row[name] >= h.best_value) end
  end
  local set = {x = noise(40, 3, 1, 1), y = {}}
  for i = 1, 40 do set.y[i] = i % 2 + 1 end
  for name, mode in pairs{accuracy = "max", f1 = "max", perplexity = "min"} do
    local m = lstm.model{input = 1, hidden = 3, output = {"a", "b"}, seed = 1}
    local h = assert(m:fit(set, {validation = set, monitor = name, epochs = 4, verbose = 0, seed = 1}))
    lu.assertEquals({h.monitor, h.mode}, {name, mode})
    for _, row in ipairs(h) do
      if mode == "max" then lu.assertTrue(row[name] <= h.best_value) else lu.assertTrue(row[name] >= h.best_value) end
    end
  end
end

function TestFit.testPairs()
  local vocab = lstm.vocab "ab\n"
  local function network(read) return lstm.model{input = vocab, lstm.embedding(3), lstm.lstm(4), output = vocab,
    read = read, seed = 1} end
  local pair = lstm.seq2seq{encoder = network "all", decoder = network "all"}
  local data = {x = {"ab", "ba", "a"}, y = {"ba", "ab", "a"}}
  local h = assert(pair:fit(data, {validation = data, metrics = {"perplexity"}, monitor = "f1", epochs = 2, verbose = 0,
    seed = 1}))
  lu.assertAlmostEquals(h[2].perplexity, math.exp(h[2].val_loss), 1e-9)
  lu.assertEquals(h.mode, "max")
  lu.assertAlmostEquals(pair:evaluate(data, {metrics = {"f1"}}).f1, h[h.best].f1, 1e-12)
end

-- What a user sees: the message without its position, which must be a line of this file.
local function sentence(f, ...)
  local arguments = {...}
  local ok, message = pcall(function() local result = f(table.unpack(arguments)) return result end)
  lu.assertFalse(ok)
  lu.assertStrMatches(message, "^tests/lua/metrics.lua:%d+: .*$")
  return (message:gsub("^[^:]*:%d+: ", ""))
end

local TestWrongUses = {}

function TestWrongUses.testArrays()
  lu.assertEquals(sentence(metrics.rmse, {1, 2}, {1, 2}), "rmse: two arrays expected, got a table")
  lu.assertEquals(sentence(metrics.mae, lstm.zeros(3), lstm.zeros{3, 1}),
    "mae: the truth has shape [3], the guess [3][1]")
  lu.assertEquals(sentence(metrics.esr, lstm.zeros(0), lstm.zeros(0)), "esr: the arrays are empty")
  lu.assertEquals(sentence(metrics.accuracy, {"a"}, {"a", "b"}), "accuracy: the truth has 1 targets, the guess 2")
  lu.assertEquals(sentence(metrics.accuracy, "a", {"a"}),
    'accuracy: the truth must be a list of labels or an array, got "a" (a string)')
  lu.assertEquals(sentence(metrics.f1, lstm.zeros({2, 2}, "int32"), {1, 2}),
    "f1: the truth must have one axis: a class for each target")
  lu.assertEquals(sentence(metrics.f1, {"a", "b"}, {"a", "a"}, "c"),
    'f1: unknown label "c", did you mean "a"? (there are a and b)')
  lu.assertEquals(sentence(metrics.confusion, {"dog"}, {"dg"}, {"cat", "dog"}),
    'confusion: guess 1: unknown label "dg", did you mean "dog"? (there are cat and dog)')
  lu.assertEquals(sentence(metrics.confusion, {}, {}), "confusion: the lists are empty")
  lu.assertEquals(sentence(metrics.perplexity, {1}, {0.5}), "perplexity: the probabilities must be an array [N][K]")
  lu.assertEquals(sentence(metrics.perplexity, {0}, lstm.zeros{1, 2}),
    "perplexity: class 1 must be a whole number from 1 to 2, got 0")
  lu.assertEquals(sentence(function(c) return c:precison "a" end, metrics.confusion({"a"}, {"a"})),
    'confusion: there is no method "precison"; did you mean "precision"?')
end

function TestWrongUses.testModels()
  local m = lstm.model{input = 1, hidden = 2, output = 1}
  local set = {x = lstm.zeros{3, 2, 1}, y = lstm.zeros{3, 1}}
  lu.assertEquals(sentence(m.evaluate, m, set, {metrics = {"rsme"}}),
    'evaluate: unknown metric "rsme", did you mean "rmse"? (there are accuracy, perplexity, rmse, mae, f1 and esr)')
  lu.assertEquals(sentence(m.evaluate, m, set, {metrics = {"f1"}}),
    'evaluate: metric "f1" does not fit the loss "mse" (those that do: rmse, mae and esr)')
  lu.assertEquals(sentence(m.evaluate, m, set, {loss = "binary_cross_entropy"}),
    'evaluate: loss = "binary_cross_entropy" is for a model with a sigmoid output, that of this one is linear')
  lu.assertEquals(sentence(m.fit, m, set, {loss = "binary_cross_entropy"}),
    'fit: loss = "binary_cross_entropy" is for a model with a sigmoid output, that of this one is linear')
  lu.assertEquals(sentence(m.evaluate, m, set, {metrics = {rmse = true}}),
    'evaluate: metrics must be a list of names, as in {"rmse"}; got a table')
  lu.assertEquals(sentence(m.confusion, m, set), 'confusion: a confusion matrix is for classes, the loss is "mse"')
  lu.assertEquals(sentence(m.fit, m, set, {metrics = {"rmse"}}), "fit: metrics are measured on validation data")
  lu.assertEquals(sentence(m.fit, m, set, {validation = set, monitor = "acuracy"}),
    'fit: unknown monitor "acuracy" (there are loss, val_loss, norm, rmse, mae and esr)')
  lu.assertEquals(sentence(m.fit, m, set, {validation = set, monitor = "f1"}),
    'fit: monitor = "f1" does not fit the loss "mse" (there are loss, val_loss, norm, rmse, mae and esr)')
  lu.assertEquals(sentence(m.fit, m, set, {monitor = "rmse"}), 'fit: monitor = "rmse" needs validation data')
  lu.assertEquals(sentence(m.fit, m, set, {metrics = "rmse"}),
    'fit: option "metrics" must be a table, got "rmse" (a string)')
end

-- Bytes for targets are a quarter of what would be read.
function TestWrongUses.testTargetsOfBytes()
  local ok, why = pcall(require "lstm.core".count_classes, lstm.zeros({3, 2}, "int32"), lstm.zeros{9, 9, 1},
    lstm.zeros({9, 9}, "uint8"))
  lu.assertFalse(ok)
  lu.assertStrContains(why, "targets: float32 array expected, got uint8")
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{
  {"TestArrays", TestArrays}, {"TestConfusion", TestConfusion}, {"TestModels", TestModels}, {"TestFit", TestFit},
  {"TestWrongUses", TestWrongUses},
}, true)
