-- Tests of sets of sequences of different length, and of padded arrays (host/lua/sequences.lua, sets.lua).

local lu = require "luaunit"
local lstm = require "lstm"

local fails = lu.assertErrorMsgContains
local path = os.tmpname()
local rng = lstm.rng(3)

-- A sequence of T steps that rises or falls, and which.
local function ramp(steps, up)
  local rows = {}
  for t = 1, steps do rows[t] = {(up and t or -t) / steps + rng:uniform() * 0.2} end
  return lstm.array(rows)
end

local function ramps(n)
  local x, y = {}, {}
  for i = 1, n do
    local up = i % 3 ~= 0
    x[i], y[i] = ramp(2 + i * 5 % 7, up), up and "up" or "down"
  end
  return lstm.sequences{x = x, y = y}
end

local function classifier(seed)
  return lstm.model{input = 1, hidden = 6, output = {"up", "down"}, seed = seed or 1}
end

local TestMaking = {}

function TestMaking.testForms()
  local set = lstm.sequences{x = {{1, 2, 3}, lstm.array{{4}, {5}}, {{6}}}, y = {1, 2, 3}}
  lu.assertEquals(#set, 3)
  lu.assertEquals(tostring(set), "3 sequences with targets")
  lu.assertEquals(tostring(lstm.sequences{x = {{1}}}), "1 sequences")
  local first, rest = set:split(0.34)
  lu.assertEquals({#first, #rest, rest.y[2]}, {1, 2, 3})
  lu.assertEquals(#set:slice(-2), 2)
end

function TestMaking.testRefused()
  fails("x has 0 sequences, y has targets for 1", lstm.sequences, {y = {1}})
  fails('unknown option "z"', lstm.sequences, {x = {{1}}, z = 1})
  fails("sequence 2 is empty", lstm.sequences, {x = {{1}, lstm.zeros(0)}})
  fails("sequence 1 has more than two axes", lstm.sequences, {x = {lstm.zeros{1, 2, 3}}})
  fails("sequence 1 must be an array", lstm.sequences, {x = {5}})
  fails("x has 2 sequences, y has targets for 1", lstm.sequences, {x = {{1}, {2}}, y = {1}})
  fails("sequences 2 to 3 of 2", function() lstm.sequences{x = {{1}, {2}}}:slice(2, 3) end)
end

local TestRunning = {}

-- The outputs of a padded batch are those of each sequence alone, bit for bit.
function TestRunning.testPredictEqualsEachAlone()
  for _, read in ipairs{"all", "last"} do
    local m = lstm.model{input = 1, hidden = 5, output = 2, read = read, seed = 2}
    local set = ramps(20)
    local y = m:predict({x = set.x}, {batch = 6})
    for i = 1, #set do lu.assertEquals(y[i], m:predict(set.x[i])) end
    lu.assertEquals(#y, 20)
  end
end

function TestRunning.testTokens()
  local vocab = lstm.vocab "abc"
  local m = lstm.model{input = vocab, hidden = 5, output = 2, seed = 2}
  local y = m:predict{x = {"abc", "a", "cc"}}
  lu.assertEquals(m:predict{x = {lstm.array({0, 1, 2}, "int32"), {0}, vocab:encode "cc"}}, y)
  lu.assertEquals(m:predict(lstm.sequences{x = {"abc", "a", "cc"}}), y)
  lu.assertEquals(y[1], m:predict(vocab:encode "abc"))
end

function TestRunning.testClassify()
  local m = classifier()
  local set = ramps(9)
  local labels, p = m:classify(set), m:predict(set)
  for i = 1, 9 do lu.assertEquals(labels[i], m:label((p[i]:argmax()))) end
  local all = lstm.model{input = 1, hidden = 4, output = {"a", "b"}, read = "all", seed = 1}
  lu.assertEquals(#all:classify(set)[2], #set.x[2])
  lu.assertEquals(all:classify(set.x[2]), all:classify(set)[2])
  lu.assertEquals(m:classify(set.x[4]), labels[4])
end

-- Evaluated in one batch or one by one: the same mean.
function TestRunning.testEvaluate()
  local m, set = classifier(), ramps(20)
  local whole, loss, correct = m:evaluate(set), 0, 0
  for i = 1, 20 do
    local one = m:evaluate(set:slice(i, i))
    loss, correct = loss + one.loss, correct + one.accuracy
  end
  lu.assertAlmostEquals(whole.loss, loss / 20, 1e-6)
  lu.assertAlmostEquals(whole.accuracy, correct / 20, 1e-9)
  lu.assertEquals(whole.count, 20)
end

function TestRunning.testTargetsAtEachStep()
  local m = lstm.model{input = 1, hidden = 4, output = 1, read = "all", seed = 1}
  local x = {{1, 2, 3}, {4}}
  local result = m:evaluate{x = x, y = {{0, 0, 0}, {0}}}
  lu.assertEquals(result.count, 4)
  local sum, y = 0, m:predict{x = x}
  for _, rows in ipairs(y) do sum = sum + (rows * rows):sum() end
  lu.assertAlmostEquals(result.loss, sum / 4, 1e-6)
  local tags = lstm.model{input = lstm.vocab "ab", hidden = 4, output = {"n", "v"}, read = "all", seed = 1}
  lu.assertEquals(tags:evaluate{x = {"ab", "a"}, y = {{"n", "v"}, {2}}}.count, 3)
end

-- Arrays that are padded by hand, with lengths and weights.
function TestRunning.testPadded()
  local m = classifier()
  local x, lengths = lstm.zeros{3, 4, 1}, {4, 2, 3}
  local list = {}
  for i = 1, 3 do
    local one = ramp(lengths[i], i ~= 2)
    list[i] = one
    for t = 1, lengths[i] do x[i][t] = one[t] end
  end
  local y = {"up", "down", "up"}
  lu.assertEquals(m:predict{x = x, lengths = lengths}, m:predict{x = list})
  lu.assertEquals(m:evaluate{x = x, y = y, lengths = lengths}, m:evaluate{x = list, y = y})
  local weighted = m:evaluate{x = x, y = y, lengths = lengths, weights = {1, 0, 0}}
  lu.assertAlmostEquals(weighted.loss, m:evaluate{x = {list[1]}, y = {"up"}}.loss, 1e-6)
  local all = lstm.model{input = 1, hidden = 3, output = 1, read = "all", seed = 1}
  lu.assertEquals(#all:predict{x = x, lengths = lengths}[2], 2)
  lu.assertEquals(all:evaluate{x = x, y = lstm.zeros{3, 4, 1}, weights = lstm.zeros{3, 4} + 1}.count, 12)
  fails("length 2 must be a whole number from 1 to 4, got 5", m.predict, m, {x = x, lengths = {4, 5, 1}})
  fails("lengths must be a list of 3 whole numbers", m.predict, m, {x = x, lengths = {4}})
  fails("weights must be a float32 array [3]", m.evaluate, m, {x = x, y = y, weights = lstm.zeros{3, 4}})
end

-- false: there is no target at this step, or for this sequence.
function TestRunning.testWithoutATarget()
  local tags = lstm.model{input = 1, hidden = 4, output = {"n", "v"}, read = "all", seed = 1}
  local x = {{1, 2, 3}, {4, 5}}
  local result = tags:evaluate{x = x, y = {{"n", false, "v"}, {false, false}}}
  lu.assertEquals(result.count, 2)
  local p = tags:predict{x = x}[1]
  lu.assertAlmostEquals(result.loss, -(math.log(p[1][1]) + math.log(p[3][2])) / 2, 1e-5)
  lu.assertEquals(classifier():evaluate{x = x, y = {"up", false}}.count, 1)
end

local TestFit = {}

function TestFit.testLearns()
  for _, bucket in ipairs{false, true} do
    local m = classifier()
    local train, validation = ramps(60):split(0.8)
    local history = assert(m:fit(train, {
      validation = validation, epochs = 25, batch = 8, lr = 0.02, seed = 1, verbose = 0, bucket = bucket,
    }))
    lu.assertEquals(history[#history].accuracy, 1)
    lu.assertTrue(history[#history].val_loss < history[1].val_loss)
    lu.assertEquals(m:classify(validation), validation.y)
  end
end

function TestFit.testBucketsBySortedLength()
  local m, seen = classifier(), 0
  local set = ramps(60)
  assert(m:fit(set, {epochs = 2, batch = 8, seed = 1, verbose = 0, bucket = true,
    on_step = function() seen = seen + 1 end}))
  lu.assertEquals(seen, 2 * math.ceil(60 / 8))
end

-- Every sequence is met once in each epoch, also in buckets: with a rate of nearly zero the sums agree.
function TestFit.testEveryEpochHasEverySequence()
  local sums = {}
  for k, bucket in ipairs{false, true} do
    local m = lstm.model{input = 1, hidden = 3, output = 1, seed = 1}
    local set = lstm.sequences{x = ramps(30).x, y = lstm.zeros{30, 1} + 1}
    sums[k] = 0
    assert(m:fit(set, {epochs = 1, batch = 10, lr = 1e-12, seed = 1, verbose = 0, bucket = bucket,
      on_step = function(info) sums[k] = sums[k] + info.loss end}))
  end
  lu.assertAlmostEquals(sums[1] / sums[2], 1, 0.05)
end

function TestFit.testResumeBitForBit()
  local set = ramps(40)
  local function run(epochs, more)
    local m = classifier(7)
    local opts = {epochs = epochs, batch = 8, lr = 0.01, seed = 2, verbose = 0, bucket = true}
    for key, value in pairs(more or {}) do opts[key] = value end
    assert(m:fit(set, opts))
    return m:bytes()
  end
  local whole = run(4)
  run(2, {checkpoint = path})
  lu.assertEquals(run(4, {resume = path}) == whole, true)
  local m = classifier(7)
  local _, message = m:fit(ramps(41), {epochs = 4, batch = 8, lr = 0.01, seed = 2, verbose = 0, bucket = true,
    resume = path})
  lu.assertStrContains(message, "not those of that run")
end

function TestFit.testRefused()
  local m, all = classifier(), lstm.model{input = 1, hidden = 3, output = {"a", "b"}, read = "all"}
  local set = ramps(4)
  fails("the set has no targets y", m.fit, m, {x = set.x}, {})
  fails('"side" (a string) is not one of the model\'s 2 classes', m.fit, m, {x = set.x, y = {"up", "up", "up", "side"}},
    {})
  fails('need a model with read = "all"', m.fit, m, {x = {{1, 2}, {1}}, y = {{1, 2}, {1}}}, {})
  fails('make it with read = "last"', all.fit, all, {x = set.x, y = {1, 2, 1, 2}}, {})
  fails("sequence 2 has 1 steps, its targets have 2", all.fit, all, {x = {{1, 2}, {1}}, y = {{1, 2}, {1, 1}}}, {})
  fails("x of sequence 1 must be an array [T][1], it is [2][3]", m.predict, m, {x = {lstm.zeros{2, 3}}})
  fails("the model has no vocabulary to read strings with", m.predict, m, {x = {"abc"}})
  fails("float32 numbers, not ids", m.predict, m, {x = {lstm.array({1, 2}, "int32")}})
  local text = lstm.model{input = lstm.vocab "ab", hidden = 3, output = 2}
  fails('sequence 2: encode: "z" at line 1, column 1', text.predict, text, {x = {"ab", "z"}})
  fails("whole numbers, ids from 0", text.predict, text, {x = {{0.5}, {1, 0}}})
  fails("bucket = true sorts sequences of different length", m.fit, m, {x = lstm.zeros{2, 3, 1}, y = {1, 2}},
    {bucket = true})
  fails('unknown field "w"', m.fit, m, {x = set.x, y = set.y, w = 1}, {})
end

-- Targets as one array, where all sequences are of one length.
function TestFit.testTargetsInOneArray()
  local all = lstm.model{input = 1, hidden = 3, output = 1, read = "all", seed = 1}
  local x, y = {{1, 2}, {3, 4}}, lstm.array{{0.5, 1}, {1.5, 2}}
  lu.assertEquals(all:evaluate(lstm.sequences{x = x, y = y}), all:evaluate{x = lstm.array(x), y = y:reshape{2, 2, 1}})
  fails("sequence 2 has 1 steps, its targets have 2", all.evaluate, all, lstm.sequences{x = {{1, 2}, {3}}, y = y})
  local once = lstm.model{input = 1, hidden = 3, output = 2, seed = 1}
  local rows = {lstm.array{0.5, 1}, {1.5, 2}}
  lu.assertEquals(once:evaluate(lstm.sequences{x = x, y = rows}), once:evaluate(lstm.sequences{x = x, y = y}))
  fails("y has more than one target for a sequence", once.evaluate, once,
    lstm.sequences{x = x, y = {{1, 2}, {1, 2, 3}}})
end

function TestFit.testBidirectional()
  local m = lstm.model{input = 1, lstm.lstm{5, bidirectional = true}, output = {"up", "down"}, seed = 1}
  local train, validation = ramps(60):split(0.8)
  local history = assert(m:fit(train, {validation = validation, epochs = 25, batch = 8, lr = 0.02, seed = 1,
    verbose = 0}))
  lu.assertEquals(history[#history].accuracy, 1)
  local y = m:predict(validation)
  for i = 1, #validation do lu.assertEquals(y[i], m:predict(validation.x[i])) end
end

-- Ids of one byte each, as lstm.npy and lstm.raw read them.
function TestFit.testSmallIds()
  local m = lstm.model{input = lstm.vocab "abc", hidden = 3, output = {"up", "down"}, read = "last", seed = 1}
  local ids = {{0, 1, 2}, {2, 2, 1}}
  lu.assertEquals(m:predict{x = lstm.array(ids, "uint8")}, m:predict{x = lstm.array(ids, "int32")})
end

-- What a set keeps of its packed data gives way to other sequences and targets in its lists.
function TestFit.testListsMayChange()
  local m = lstm.model{input = 1, hidden = 3, output = {"up", "down"}, seed = 1}
  local set = lstm.sequences{x = {lstm.array{1, 2}, lstm.array{3}}, y = {"up", "down"}}
  local before = m:evaluate(set).loss
  set.y[2] = "up"
  lu.assertAlmostEquals(m:evaluate(set).loss, m:evaluate{x = set.x, y = {"up", "up"}}.loss, 1e-7)
  lu.assertNotEquals(m:evaluate(set).loss, before)
  set.x[1] = lstm.array{-9, 9, 9}
  lu.assertEquals(m:predict(set)[1], m:predict(set.x[1]))
  lu.assertIs(require "lstm.sets".of(m, set, m.loss, "x").source, require "lstm.sets".of(m, set, m.loss, "x").source)
end

local TestRefused = {}

function TestRefused.testEmptySequences()
  local m = lstm.model{input = 1, hidden = 2, output = {"a", "b"}}
  fails("fit: sequence 1 is empty", m.fit, m, {x = {{}}, y = {"a"}}, {})
  fails("predict: sequence 1 is empty", m.predict, m, {x = {{}}})
  fails("predict: the set is empty", m.predict, m, {x = {}})
  local v = lstm.vocab "ab"
  local text = lstm.model{input = v, lstm.embedding(2), lstm.gru(2), output = {"a", "b"}}
  fails("fit: sequence 2 is empty", text.fit, text, {x = {"a", ""}, y = {"a", "b"}}, {})
end

function TestRefused.testTargetsThatAreNone()
  local m = lstm.model{input = 1, hidden = 2, output = 1}
  fails("fit: sequence 2 has no target (false is for classes): leave it out", m.fit, m,
    {x = {{1}, {2, 3}}, y = {1, false}}, {})
  local v = lstm.vocab "ab"
  local text = lstm.model{input = v, lstm.embedding(2), lstm.gru(2), output = v, read = "last"}
  fails('a text has a target at every step, the model gives one output: make it with read = "all"', text.fit, text,
    v:encode(("ab"):rep(99)), {})
end

function TestRefused.testOneLabelForManyOutputs()
  local m = lstm.model{input = 1, hidden = 2, output = {"a", "b"}, read = "all"}
  for _, x in ipairs{{{1, 2}, {3}}, {{1, 2}, {3, 4}}} do
    fails('y has one target for a sequence: make it with read = "last"', m.fit, m, {x = x, y = {"a", "b"}}, {})
  end
end

local TestLabels = {}

function TestLabels.testSortedAndGiven()
  local set = lstm.sequences{x = {{1}, {2}, {3}}, y = {"b", "a", "b"}}
  lu.assertEquals(set.labels, {"a", "b"})
  lu.assertEquals(lstm.sequences{x = {{1}}, y = {"b"}, labels = {"z", "b"}}.labels, {"z", "b"})
  lu.assertNil(lstm.sequences{x = {{1}}, y = {3}}.labels)
  lu.assertEquals(set:slice(1, 1).labels, {"a", "b"})
end

function TestLabels.testAdd()
  local set = lstm.sequences{}
  lu.assertEquals(#set, 0)
  lu.assertEquals(#set:add({1, 2}, "up"):add(lstm.array{3}, "down"), 2)
  lu.assertEquals({set.y, set.labels}, {{"up", "down"}, {"down", "up"}})
  lu.assertEquals(#lstm.sequences{}:add{1}:add{2}, 2)
end

-- What a model has packed is packed again after add.
function TestLabels.testAddAfterUse()
  local set, m = ramps(6), classifier()
  m:evaluate(set)
  set:add(ramp(4, true), "up")
  lu.assertEquals(m:evaluate(set).count, 7)
end

function TestLabels.testArrays()
  local set = lstm.sequences{x = lstm.zeros{4, 3, 2}, y = {1, 2, 1, 2}}
  lu.assertEquals({#set, set.x[2]:shape()}, {4, 3, 2})
end

local TestParts = {}

local function counts(set)
  local n = {}
  for _, label in ipairs(set.y) do n[label] = (n[label] or 0) + 1 end
  return n
end

function TestParts.testStratified()
  local a, b = ramps(60):split(0.75, {by = "stratified", seed = 1})
  lu.assertEquals({counts(a), counts(b)}, {{up = 30, down = 15}, {up = 10, down = 5}})
  lu.assertEquals(#ramps(60):split(0.75, {by = "random", seed = 1}), 45)
end

function TestParts.testStratifiedFolds()
  local total = 0
  for _, train, validation in ramps(60):folds(4, {seed = 2}) do
    lu.assertEquals(#train + #validation, 60)
    lu.assertEquals(counts(validation), {up = 10, down = 5})
    total = total + #validation
  end
  lu.assertEquals(total, 60)
  for fold, train in lstm.sequences{x = {{1}, {2}, {3}, {4}, {5}, {6}}}:folds(2, {by = "expanding"}) do
    lu.assertEquals(#train, 2 * fold)
  end
end

function TestParts.testBatches()
  local set = lstm.sequences{x = {{1, 2}, {3}, {4, 5, 6}}, y = {"b", "a", "b"}}
  local all = {}
  for x, y, extra in set:batches{batch = 2} do all[#all + 1] = {x:totable(), y:totable(), extra.lengths:totable()} end
  lu.assertEquals(all, {
    {{{{1}, {3}}, {{2}, {0}}}, {1, 0}, {2, 1}}, {{{{4}}, {{5}}, {{6}}}, {1}, {3}},
  })
  for x, y in lstm.sequences{x = {{1, 2}, {3}}, y = {{5, 6}, {7}}}:batches() do
    lu.assertEquals({x:totable(), y:totable()}, {{{{1}, {3}}, {{2}, {0}}}, {{{5}, {7}}, {{6}, {0}}}})
  end
  for x, y in lstm.sequences{x = {lstm.vocab "ab":encode "ab"}, y = {0.5}}:batches() do
    lu.assertEquals({x:kind(), x:totable(), y:totable()}, {"int32", {{0}, {1}}, {{0.5}}})
  end
end

-- A loop of one's own over batches does what fit does.
function TestParts.testTrainsByHand()
  local set, m = ramps(60), lstm.model{input = 1, hidden = 6, output = ramps(6).labels, seed = 1}
  local trainer = m:trainer{batch = 8, seq = 8, lr = 0.02}
  local before = m:evaluate(set).loss
  for epoch = 1, 15 do
    for x, y, extra in set:batches{batch = 8, shuffle = true, seed = epoch} do trainer:train(x, y, extra) end
  end
  lu.assertTrue(m:evaluate(set).loss < before / 2)
end

local TestWrongUses = {}

local function raises(sentence, ...)
  local ok, why = pcall(...)
  lu.assertFalse(ok)
  lu.assertEquals((why:gsub("^[^\n]-:%d+: ", "")), sentence)
end

function TestWrongUses.testSequences()
  local set = lstm.sequences{x = {{1}, {2}}, y = {"a", "b"}}
  raises('sequences: unknown option "lengths" (there are labels, x and y)', lstm.sequences,
    {x = {{1}}, lengths = {1}})
  raises("sequences: x has 2 sequences, y has targets for 1", lstm.sequences, {x = {{1}, {2}}, y = {1}})
  raises("sequences: sequence 1 must be an array, a table of numbers, tokens or a string, got 5", lstm.sequences,
    {x = {5}})
  raises("sequences: sequence 2 is empty", lstm.sequences, {x = {{1}, lstm.zeros(0)}})
  raises('sequences: target 1: unknown label "upp", did you mean "up"? (there are up and down)', lstm.sequences,
    {x = {{1}}, y = {"upp"}, labels = {"up", "down"}})
  raises("sequences: labels must be different strings, number 2 is \"a\" (a string)", lstm.sequences,
    {x = {{1}}, labels = {"a", "a"}})
  raises("add: the other sequences have targets, this one has none", set.add, set, {1})
  raises("add: sequence 3 is empty", set.add, set, lstm.zeros(0), "a")
  local bare = lstm.sequences{x = {{1}}}
  raises("add: the other sequences have no targets, this one has one", bare.add, bare, {1}, "a")
  bare:add{2}
  raises('split: by = "stratified" needs labels, these sequences have none', bare.split, bare, 0.5, {by = "stratified"})
  raises('split: option "by" must be one of "time", "random" and "stratified", got "label" (a string)', set.split, set,
    0.5, {by = "label"})
  raises("slice: sequences 2 to 3 of 2", set.slice, set, 2, 3)
  raises("pick: number 1 must be a whole number, got \"a\" (a string)", set.pick, set, {"a"})
  raises("folds: the number of folds must be a whole number from 2 to 2, got 3", set.folds, set, 3)
  local text = lstm.sequences{x = {"abc"}}
  raises("batches: sequence 1 is a string: encode it first", text.batches, text)
  raises('sequences: there is no method "ad"; did you mean "add"?', function() return set:ad() end)
end

local code = lu.LuaUnit.new():runSuiteByInstances{
  {"TestMaking", TestMaking}, {"TestRunning", TestRunning}, {"TestFit", TestFit}, {"TestRefused", TestRefused},
  {"TestLabels", TestLabels}, {"TestParts", TestParts}, {"TestWrongUses", TestWrongUses},
}
os.remove(path)
os.exit(code, true)
