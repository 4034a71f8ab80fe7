-- Tests of states and trainers (host/state.c, host/trainer.c).

local lu = require "luaunit"
local lstm = require "lstm"

local fails = lu.assertErrorMsgContains
local vocab = lstm.vocab "abc"
local numbers = lstm.model{input = 2, hidden = {4, 3}, output = 3, read = "all", seed = 1}
local text = lstm.model{input = vocab, lstm.embedding(4), lstm.lstm(5), output = vocab, seed = 1}

local function lanes(...) return lstm.array({...}, "int32") end

local TestStep = {}

function TestStep.testNumbersInNumbersOut()
  local state = numbers:state()
  local a, b, c, more = state:step(0.1, 0.2)
  lu.assertNotNil(c)
  lu.assertNil(more)
  lu.assertEquals(lstm.array{a, b, c}, state:output())
  lu.assertEquals(numbers:state():step(lstm.array{0.1, 0.2}), lstm.array{a, b, c})
end

function TestStep.testTokens()
  local state = text:state()
  local y = state:step "b"
  lu.assertEquals({y:shape()}, {3})
  lu.assertAlmostEquals(y:sum(), 1, 1e-6)
  lu.assertEquals(text:state():step(2), y)
  lu.assertEquals(text:state():step(lstm.array({1}, "int32")), y)
end

function TestStep.testBest()
  local state = text:state()
  state:step "a"
  local symbol, p = state:best()
  local i, q = state:output():argmax()
  lu.assertEquals({symbol, p}, {vocab:symbol(i - 1), q})
  lu.assertEquals({state:argmax()}, {i, q})
  local labels = lstm.model{input = 1, hidden = 2, output = {"circle", "slash"}}
  local hand = labels:state()
  hand:step(1)
  lu.assertTrue(({circle = true, slash = true})[hand:best()])
  local plain = numbers:state()
  plain:step(1, 2)
  lu.assertEquals(math.type((plain:best())), "integer")
end

function TestStep.testSample()
  local state = text:state()
  state:step "a"
  lu.assertEquals(state:sample(0, lstm.rng(1)), (state:argmax()))
  fails("no output yet", function() text:state():sample(1, lstm.rng(1)) end)
end

function TestStep.testLanes()
  local many = numbers:state(3)
  local x = lstm.array{{1, 2}, {3, 4}, {5, 6}}
  many:step(x)
  local y = many:step(x)
  lu.assertEquals({y:shape()}, {3, 3})
  for lane = 1, 3 do
    local one = numbers:state()
    one:step(x[lane])
    lu.assertEquals(one:step(x[lane]), y[lane])
    lu.assertEquals(one:values(), many:values(lane))
    lu.assertEquals({one:argmax()}, {many:argmax(lane)})
  end
  lu.assertEquals(many:lanes(), 3)
  many:reset(2)
  lu.assertEquals(many:values(2):sum(), 0)
  lu.assertNotEquals(many:values(1):sum(), 0)
end

function TestStep.testAListOfNumbers()
  local a, b, c = numbers:state():step(0.1, 0.2)
  lu.assertEquals({numbers:state():step{0.1, 0.2}}, {a, b, c})
end

-- Lanes that step alone step as others do, and those that are not named stay.
function TestStep.testSomeLanes()
  local many, all = numbers:state(4), numbers:state(4)
  local x = lstm.array{{1, 2}, {3, 4}, {5, 6}, {7, 8}}
  many:step(x)
  all:step(x)
  local before, was = many:values(2), many:output()
  local y = many:step_lanes(lanes(4, 1), lstm.array{{0.1, 0.2}, {0.3, 0.4}})
  local whole = all:step(lstm.array{{0.3, 0.4}, {0, 0}, {0, 0}, {0.1, 0.2}})
  lu.assertEquals({y:shape()}, {2, 3})
  lu.assertEquals({y[1], y[2]}, {whole[4], whole[1]})
  lu.assertEquals({many:values(4), many:values(1)}, {all:values(4), all:values(1)})
  lu.assertEquals(many:values(2), before)
  lu.assertEquals({many:output()[1], many:output()[2], many:output()[4]}, {whole[1], was[2], whole[4]})
  lu.assertEquals({many:step_lanes(lanes(), lstm.zeros{0, 2}):shape()}, {0, 3})
  local talk, one = text:state(3), text:state()
  lu.assertEquals(talk:step_lanes(lanes(2), lanes(1))[1], one:step "b")
  lu.assertEquals({talk:best(2)}, {one:best()})
end

function TestStep.testMistakes()
  local state = numbers:state()
  fails("step: 2 numbers expected, got 1", state.step, state, 1)
  fails("step: number expected as input 2, got string", state.step, state, 1, "2")
  fails("step: 2 values expected, got an array of 3", state.step, state, lstm.array{1, 2, 3})
  fails("step: float32 array expected, got int32", state.step, state, lstm.array({1, 2}, "int32"))
  fails("a state of 2 lanes takes an array", function() numbers:state(2):step(1, 2) end)
  fails('"z" is no symbol of the model', function() text:state():step "z" end)
  fails("a whole number from 1 to 3 expected, got 4", function() text:state():step(4) end)
  fails("an id is out of range, there are 3 tokens", function() text:state():step(lstm.array({3}, "int32")) end)
  fails("the state has no output yet", function() numbers:state():output() end)
  fails("the state has no output yet", function() numbers:state():best() end)
  fails("a whole number from 1", numbers.state, numbers, 0)
  fails("a method is called with a colon, as in state:name(); got number", function() state.step(5, 1) end)
end

local TestSequences = {}

function TestSequences.testForwardEqualsSteps()
  local x = lstm.array{{0.1, 0.2}, {0.3, 0.4}, {0.5, 0.6}}
  local whole, steps = numbers:state(), numbers:state()
  local y = whole:forward(x)
  for t = 1, 3 do lu.assertEquals(steps:step(x[t]), y[t]) end
  lu.assertEquals(whole:values(), steps:values())
  lu.assertEquals({numbers:state():forward(x:reshape{3, 1, 2}):shape()}, {3, 1, 3})
end

function TestSequences.testForwardIds()
  local ids = vocab:encode "abca".ids
  local y, steps = text:state():forward(ids), text:state()
  for t = 1, 4 do lu.assertEquals(steps:step(ids[t] + 1), y[t]) end
end

function TestSequences.testMistakes()
  fails("forward: shape [any][2] expected, got [3][3]", function() numbers:state():forward(lstm.zeros{3, 3}) end)
  fails("forward: shape [any][2][2] expected", function() numbers:state(2):forward(lstm.zeros{3, 2}) end)
  fails("int32 array expected, got float32", function() text:state():forward(lstm.zeros{3}) end)
end

local TestInside = {}

function TestInside.testValues()
  local state = numbers:state()
  state:step(1, 2)
  local values = state:values()
  lu.assertEquals(#values, 2 * (4 + 3))
  local other = numbers:state()
  lu.assertEquals(other:set_values(values):step(lstm.array{3, 4}), state:step(lstm.array{3, 4}))
  fails("values: shape [14] expected, got [3]", other.set_values, other, lstm.zeros(3))
end

function TestInside.testClone()
  local state = numbers:state()
  state:step(1, 2)
  local copy = state:clone()
  lu.assertEquals(copy:output(), state:output())
  lu.assertEquals({copy:step(3, 4)}, {state:step(3, 4)})
  copy:step(5, 6)
  lu.assertNotEquals(copy:values(), state:values())
  lu.assertTrue(copy:model() == numbers)
end

function TestInside.testReset()
  local state = numbers:state()
  local y = state:step(lstm.array{1, 2})
  lu.assertTrue(state:reset() == state)
  lu.assertEquals(state:values():sum(), 0)
  lu.assertEquals(state:step(lstm.array{1, 2}), y)
end

function TestInside.testSaveAndRestore()
  local state = numbers:state()
  state:step(1, 2)
  local saved = state:save()
  lu.assertEquals(state:bytes(), saved)
  local y = state:step(lstm.array{3, 4})
  lu.assertTrue(state:restore(saved))
  lu.assertEquals(state:step(lstm.array{3, 4}), y)
  local values = state:values()
  local other = text:state()
  for _, bytes in ipairs{"", saved:sub(2), saved .. "x", ("x"):rep(#saved), other:save(), numbers:state(2):save()} do
    local ok, message, status = state:restore(bytes)
    lu.assertEquals({ok, status}, {nil, "mismatch"})
    lu.assertStrContains(message, "restore: ")
    lu.assertEquals(state:values(), values)
  end
end

function TestInside.testText()
  local state = numbers:state(2)
  lu.assertEquals(tostring(state), "state of 2 lanes")
  state:close()
  lu.assertEquals(tostring(state), "state (closed)")
end

local TestTrainer = {}

local function xor_batch()
  local x, y = lstm.zeros{1, 4, 2}, lstm.zeros{1, 4, 1}
  for i, row in ipairs{{0, 0, 0}, {0, 1, 1}, {1, 0, 1}, {1, 1, 0}} do
    x[1][i], y[1][i] = {row[1], row[2]}, {row[3]}
  end
  return x, y
end

function TestTrainer.testLearns()
  local m = lstm.model{input = 2, hidden = 8, output = 1, seed = 1}
  local trainer = m:trainer{batch = 4, lr = 0.05}
  local x, y = xor_batch()
  local first = trainer:train(x, y)
  local last
  for _ = 1, 300 do last = trainer:train(x, y) end
  lu.assertTrue(first > 0.1 and last < 0.01)
  lu.assertEquals(trainer:steps(), 301)
  lu.assertTrue(trainer:norm() >= 0)
  lu.assertEquals(tostring(trainer), "trainer: batch 4, seq 1, adam, mse, step 301")
  lu.assertTrue(trainer:model() == m)
end

function TestTrainer.testSameSeedSameBits()
  local weights = {}
  for run = 1, 2 do
    local m = lstm.model{input = 2, hidden = 8, output = 1, dropout = 0.2, seed = 1}
    local trainer = m:trainer{batch = 4, seed = 5}
    local x, y = xor_batch()
    for _ = 1, 10 do trainer:train(x, y) end
    weights[run] = m:tensor "head.weight"
  end
  lu.assertEquals(weights[1], weights[2])
end

function TestTrainer.testOptimizersAndRates()
  local x, y = xor_batch()
  for _, optimizer in ipairs{"sgd", "rmsprop", "adam", "adamw"} do
    local m = lstm.model{input = 2, hidden = 8, output = 1, seed = 1}
    local trainer = m:trainer{batch = 4, optimizer = optimizer, lr = 0.02, clip = 0}
    local first, last = trainer:train(x, y), nil
    for _ = 1, 100 do last = trainer:train(x, y) end
    lu.assertTrue(last < first)
    lu.assertAlmostEquals(trainer:lr(0.5), 0.5, 1e-7)
    fails("a finite rate of at least 0", trainer.lr, trainer, -1)
  end
end

function TestTrainer.testLengthsWeightsReset()
  local m = lstm.model{input = 1, hidden = 3, output = 1, read = "all", seed = 1}
  local trainer = m:trainer{batch = 2, seq = 3, carry = true, lr = 1e-9}
  local x, y = lstm.zeros{3, 2, 1} + 1, lstm.zeros{3, 2, 1}
  local first = trainer:train(x, y)
  lu.assertNotEquals(trainer:train(x, y), first)                 -- goes on from where it was
  lu.assertAlmostEquals(trainer:train(x, y, {reset = true}), first, 1e-6)
  lu.assertAlmostEquals(trainer:train(x, y, {reset = lstm.array({1, 1}, "int32")}), first, 1e-6)
  x[3] = 0 / 0                                                   -- padding may hold anything
  local options = {reset = true, lengths = lstm.array({2, 2}, "int32")}
  lu.assertTrue(trainer:train(x, y, options) > 0)
  options.weights = lstm.zeros{3, 2}
  lu.assertEquals(trainer:train(x, y, options), 0)
  lu.assertEquals({trainer:final():shape()}, {2, 6})
end

function TestTrainer.testBest()
  local m = lstm.model{input = 2, hidden = 8, output = 1, seed = 1}
  local trainer = m:trainer{batch = 4, keep_best = true}
  local x, y = xor_batch()
  trainer:keep_best()
  local before = m:tensor "head.weight"
  trainer:train(x, y)
  lu.assertNotEquals(m:tensor "head.weight", before)
  trainer:restore_best()
  lu.assertEquals(m:tensor "head.weight", before)
end

function TestTrainer.testNotFinite()
  local m = lstm.model{input = 2, hidden = 8, output = 1, seed = 1}
  local trainer = m:trainer{batch = 4}
  local x, y = xor_batch()
  x[1][1] = 0 / 0
  local before = m:tensor "head.weight"
  local loss, message, status = trainer:train(x, y)
  lu.assertEquals({loss, status}, {nil, "not_finite"})
  lu.assertEquals(type(message), "string")
  lu.assertEquals(m:tensor "head.weight", before)
end

function TestTrainer.testMistakes()
  local m = lstm.model{input = 2, hidden = 8, output = 1}
  local x, y = xor_batch()
  fails('unknown option "bath", did you mean "batch"', m.trainer, m, {bath = 4})
  fails('option "lr" must be a number above 0', m.trainer, m, {lr = 0})
  fails('option "optimizer" must be one of', m.trainer, m, {optimizer = "lion"})
  local trainer = m:trainer{batch = 4}
  fails("shape [any][any][2] expected, got [1][4][3]", trainer.train, trainer, lstm.zeros{1, 4, 3}, y)
  fails("y ([T][B][O]): shape", trainer.train, trainer, x, lstm.zeros{1, 3, 1})
  fails("y: float32 array expected, got nil", trainer.train, trainer, x, nil)
  fails("lengths: int32 array expected", trainer.train, trainer, x, y, {lengths = lstm.zeros(4)})
  fails("reset: shape [4] expected, got [3]", trainer.train, trainer, x, y, {reset = lstm.array({1, 1, 1}, "int32")})
  fails("it is empty", trainer.train, trainer, lstm.zeros{0, 4, 2}, y)
  lu.assertError(trainer.train, trainer, lstm.zeros{2, 4, 2}, y)  -- more steps than the trainer has memory for
  lu.assertError(trainer.restore_best, trainer)
end

local TestTake = {}

-- Lanes go on where those of the other state stand.
function TestTake.testLanes()
  local a, b = text:state(3), text:state(3)
  a:step(lstm.array({0, 1, 2}, "int32"))
  lu.assertEquals(b:take(a, lstm.array({3, 1}, "int32")), b)
  for lane, from in ipairs{3, 1} do lu.assertEquals(b:values(lane), a:values(from)) end
  lu.assertEquals(b:values(3):sum(), 0)
  lu.assertEquals(text:state():take(a, lstm.array({2}, "int32")):step "c", a:step(lstm.array({2, 2, 2}, "int32"))[2])
end

local TestWrongUses = {}

-- What a user sees, behind the place in the script.
local function says(sentence, f, ...)
  local arguments = {n = select("#", ...), ...}
  local ok, message = pcall(function() f((table.unpack or unpack)(arguments, 1, arguments.n)) end) -- luacheck: ignore
  lu.assertFalse(ok)
  lu.assertStrMatches(message, "tests/lua/state.lua:%d+: .*")
  lu.assertEquals((message:gsub("^[^ ]-:%d+: ", "")), sentence)
end

function TestWrongUses.testSteps()
  local state, crowd, talk = numbers:state(), numbers:state(2), text:state()
  says("step: 2 numbers expected, got 1", state.step, state, 1)
  says("step: 2 numbers expected, got 1", state.step, state, {1})
  says("step: 2 numbers expected, got 3", state.step, state, {1, 2, 3})
  says("step: number expected as input 2, got string", state.step, state, {1, "x"})
  says("step: number expected as input 1, got table", state.step, state, {1, 2}, 3)
  says("step: number expected as input 2, got string", state.step, state, 1, "x")
  says("step: one array expected, and nothing behind it; state:step_lanes(lanes, x) steps some of the lanes",
    crowd.step, crowd, lstm.zeros{2, 2}, lanes(1))
  says("step: one array, symbol or number expected, and nothing behind it", talk.step, talk, "a", "b")
  says("step: 2 values expected, got an array of 3", state.step, state, lstm.zeros(3))
  says("step: a state of 2 lanes takes an array", crowd.step, crowd, 1, 2)
  says('step: "z" is no symbol of the model\'s vocabulary', talk.step, talk, "z")
  says("step: a whole number from 1 to 3 expected, got 4", talk.step, talk, 4)
  says("feed: a whole number from 0 to 2 expected, got 9", talk.feed, talk, 9)
  says("the state has no output yet: step it first", state.best, state)
  says("state: lanes: a whole number from 1 to 536870911 expected, got 0", numbers.state, numbers, 0)
  says("forward: shape [any][2] expected, got [3][5]", state.forward, state, lstm.zeros{3, 5})
  says("forward: the sequence is empty", state.forward, state, lstm.zeros{0, 2})
  says("forward: an id is out of range, there are 3 tokens", talk.forward, talk, lanes(1, 3))
  state:close()
  says("the state is closed", state.step, state, 1, 2)
end

function TestWrongUses.testStepLanes()
  local crowd, talk, x = numbers:state(3), text:state(2), lstm.zeros{2, 2}
  local before = crowd:values(2)
  says("step_lanes: the lanes: int32 array expected, got table", crowd.step_lanes, crowd, {1, 2}, x)
  says("step_lanes: x: float32 array expected, got nil", crowd.step_lanes, crowd, lanes(1, 2), nil)
  says("step_lanes: x: shape [3][2] expected, got [2][2]", crowd.step_lanes, crowd, lanes(1, 2, 3), x)
  says("step_lanes: lane 4 of a state of 3", crowd.step_lanes, crowd, lanes(4, 1), x)
  says("step_lanes: lane 0 of a state of 3", crowd.step_lanes, crowd, lanes(1, 0), x)
  says("step_lanes: lane 2 is named twice", crowd.step_lanes, crowd, lanes(2, 2), x)
  says("step: an id is out of range, there are 3 tokens", talk.step_lanes, talk, lanes(1, 2), lanes(0, 3))
  lu.assertEquals(crowd:values(2), before)
end

function TestWrongUses.testInside()
  local state, talk = numbers:state(), text:state()
  says("values: shape [14] expected, got [4]", state.set_values, state, lstm.zeros(4))
  says("lane: a whole number from 1 to 1 expected, got 2", state.values, state, 2)
  says("take: the lanes must come from another state", state.take, state, state, lanes(1))
  says("take: the states are of different models", state.take, state, talk, lanes(1))
  says("take: lane 3 of a state of 1", state.take, state, numbers:state(), lanes(3))
  says("take: 2 lanes, but the state has 1", state.take, state, numbers:state(3), lanes(3, 1))
  says("trace: layer: layer 3 is a dense layer, which has no gates", state.trace, state, {layer = 3})
  says("traced: nothing was recorded; state:trace{layer = 1} begins", state.traced, state)
  says("restore: the bytes must be a string, got no value", state.restore, state)
  lu.assertEquals({state:restore(state:save():sub(2))}, {nil,
    "restore: 319 bytes of a state of another model or other lanes; this one has 320", "mismatch"})
  lu.assertEquals({state:restore(("x"):rep(#state:save()))}, {nil,
    "restore: these bytes were saved by another version, or by a model of other layers (read = \"all\" counts)",
    "mismatch"})
  says('state: there is no method "steps"; did you mean "step"?', function() return state.steps end)
  talk:step "a"
  says("sample: the temperature must not be negative", talk.sample, talk, -1, lstm.rng(1))
  says("sample: top_k: a whole number from 1 to 2147483647 expected, got 0", talk.sample, talk, 1, lstm.rng(1), 0)
  says("sample: top_p must be above 0 and at most 1", talk.sample, talk, 1, lstm.rng(1), 1, 2)
  says("sample: a generator such as lstm.rng(1) expected, got number", talk.sample, talk, 1, 7)
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{
  {"TestStep", TestStep}, {"TestSequences", TestSequences}, {"TestInside", TestInside}, {"TestTrainer", TestTrainer},
  {"TestTake", TestTake}, {"TestWrongUses", TestWrongUses},
}, true)
