-- Tests of the layers' options (host/lua/layers.lua, host/model.c): by name, into the model and back, through files and
-- resumed runs; and what is refused.

local lu = require "luaunit"
local lstm = require "lstm"

local fails = lu.assertErrorMsgContains
local path = os.tmpname()

-- Every option of a recurrent layer with a value; what it needs beside it; which cells have it.
local options = {
  {"peephole", true}, {"coupled", true}, {"projection", 3}, {"layer_norm", true}, {"cell_clip", 0.5},
  {"forget", "zero"}, {"forget", "one"}, {"noise", 0.25, {forget = "noise"}}, {"activation", "relu"},
  {"activation", "softsign"}, {"gate_activation", "hard_sigmoid"}, {"dropout", 0.25, nil, true},
  {"recurrent_dropout", 0.25, nil, true}, {"zoneout", 0.25, nil, true}, {"learned_state", true, nil, true},
  {"bidirectional", true, nil, true}, {"merge", "sum", {bidirectional = true}, true}, {"read", "all", nil, true},
  {"read", "last", nil, true}, {"read", "mean", nil, true}, {"read", "max", nil, true},
}

local function numbers(...)
  local x, rng = lstm.zeros{...}, lstm.rng(5)
  local flat = x:reshape{#x:bytes() / 4}
  for i = 1, #flat do flat[i] = rng:uniform() * 2 - 1 end
  return x
end

-- Every option alone, for each cell that has it: call(make, option table, name, value).
local function each_option(call)
  for _, option in ipairs(options) do
    for _, make in ipairs{lstm.lstm, option[4] and lstm.gru or nil} do
      local given = {5, [option[1]] = option[2]}
      for name, value in pairs(option[3] or {}) do given[name] = value end
      call(make, given, option[1], option[2])
    end
  end
end

local function shown(m, i) return m.core:describe().layers[i] end

local TestOptions = {}

function TestOptions.testIntoTheModelAndBack()
  each_option(function(make, given, name, value)
    local m = lstm.model{input = 2, make(given), output = 1}
    lu.assertEquals(shown(m, 1)[name], value)
    if name ~= "read" then lu.assertStrContains(tostring(make(given)), name) end
  end)
end

-- Saved, loaded and cloned, a model has the same options, bytes and predictions.
function TestOptions.testThroughAFile()
  local x = numbers(4, 6, 2)
  each_option(function(make, given, name, value)
    local m = lstm.model{input = 2, make(given), lstm.dense{3, activation = "softsign"}, output = 2, seed = 3}
    lu.assertTrue(m:save(path))
    local got = assert(lstm.load(path))
    lu.assertEquals(got.core:describe().layers, m.core:describe().layers, name)
    lu.assertEquals(shown(got, 1)[name], value)
    lu.assertEquals(got:predict(x), m:predict(x))
    lu.assertEquals(m:clone():predict(x), m:predict(x))
    lu.assertEquals(got:bytes(), m:bytes())
  end)
end

-- One step of training changes the weights to the same bits in a loaded copy.
function TestOptions.testTrains()
  local x, y = numbers(6, 4, 2), numbers(4, 2)
  each_option(function(make, given, name)
    local m = lstm.model{input = 2, make(given), output = 2, seed = 3}
    local copy = assert(lstm.load{data = m:bytes()})
    if shown(m, 1).read ~= "all" then
      for _, model in ipairs{m, copy} do
        local trainer = model:trainer{batch = 4, seq = 6, lr = 0.01, seed = 4}
        lu.assertNotNil(trainer:train(x, y))
      end
      lu.assertEquals(copy:bytes(), m:bytes(), name)
    end
  end)
end

function TestOptions.testTied()
  local vocab = lstm.vocab "hello world"
  local m = lstm.model{input = vocab, lstm.embedding{6, tied = true}, lstm.lstm(6), output = vocab}
  local free = lstm.model{input = vocab, lstm.embedding(6), lstm.lstm(6), output = vocab}
  lu.assertTrue(shown(m, 1).tied)
  lu.assertEquals(free:parameters() - m:parameters(), #vocab * 6)
  local text = vocab:encode "hello"
  lu.assertEquals(assert(lstm.load{data = m:bytes()}):predict(text), m:predict(text))
end

function TestOptions.testGivenEmbeddings()
  local vocab = lstm.vocab "abc"
  local m = lstm.model{input = vocab, lstm.embedding(4), lstm.lstm(3), output = vocab, seed = 1}
  local before = m:predict(vocab:encode "abc")
  local given = numbers(3, 4)
  m:tensor("embed.weight", given)
  lu.assertEquals(m:tensor "embed.weight", given)
  lu.assertNotEquals(m:predict(vocab:encode "abc"), before)
  fails("shape [3][4] expected, got [4][3]", m.tensor, m, "embed.weight", numbers(4, 3))
end

function TestOptions.testOldCallForms()
  lu.assertEquals(shown(lstm.model{input = 1, lstm.lstm(4), output = 1}, 1).read, "last")
  lu.assertEquals(shown(lstm.model{input = 1, lstm.lstm(4), output = 1}, 1).size, 4)
  lu.assertEquals(shown(lstm.model{input = 1, lstm.gru(4), lstm.gru(3), output = 1, read = "mean"}, 2).read, "mean")
  lu.assertEquals(shown(lstm.model{input = 1, hidden = 4, output = 1, read = "max"}, 1).read, "max")
end

function TestOptions.testPrintShowsThem()
  local text = tostring(lstm.model{
    input = 2, lstm.lstm{4, peephole = true, zoneout = 0.25, bidirectional = true}, output = 1,
  })
  for _, word in ipairs{"peephole", "zoneout", "bidirectional"} do lu.assertStrContains(text, word) end
end

-- [Refusals]

local TestRefused = {}

function TestRefused.testUnknown()
  fails('lstm: unknown option "peepholes", did you mean "peephole"?', lstm.lstm, {3, peepholes = true})
  fails('gru: unknown option "zonout", did you mean "zoneout"?', lstm.gru, {3, zonout = 0.1})
  fails('dense: unknown option "activaton", did you mean "activation"?', lstm.dense, {3, activaton = "relu"})
  fails('embedding: unknown option "tie", did you mean "tied"?', lstm.embedding, {3, tie = true})
end

function TestRefused.testOfAnotherType()
  fails('gru: "peephole" is an option of lstm.lstm, not of lstm.gru', lstm.gru, {3, peephole = true})
  fails('gru: "activation" is an option of lstm.lstm and lstm.dense, not of lstm.gru', lstm.gru,
    {3, activation = "relu"})
  fails('dense: "zoneout" is an option of lstm.lstm and lstm.gru, not of lstm.dense', lstm.dense, {3, zoneout = 0.1})
  fails('lstm: "tied" is an option of lstm.embedding, not of lstm.lstm', lstm.lstm, {3, tied = true})
  fails('embedding: "read" is an option of', lstm.embedding, {3, read = "last"})
end

function TestRefused.testOneTable()
  fails("lstm: options go into one table: lstm.lstm{24, peephole = true}", lstm.lstm, 24, {peephole = true})
  fails("gru: options go into one table: lstm.gru{8, ", lstm.gru, 8, 16)
  fails("embedding: options go into one table: lstm.embedding{8, tied = true}", lstm.embedding, 8, {tied = true})
  fails("dense: options go into one table: lstm.dense{8, ", lstm.dense, 8, "relu")
  fails("dropout: one rate expected", lstm.dropout, 0.1, 0.2)
  fails("lstm: the size comes first: lstm.lstm{24}", lstm.lstm, {hidden = 24})
end

function TestRefused.testTypesAndRanges()
  for name, value in pairs{
    peephole = 1, coupled = "yes", layer_norm = 0, learned_state = "x", bidirectional = 2, projection = 0,
    cell_clip = 0, noise = 0, dropout = 1, recurrent_dropout = -0.1, zoneout = "x", forget = "never",
    activation = "gelu", gate_activation = "x", merge = "mean", read = "first", name = 3,
  } do
    fails(('lstm: option "%s" must be '):format(name), lstm.lstm, {3, [name] = value})
  end
  fails("got 1.5", lstm.lstm, {3, projection = 1.5})
  fails('must be one of "linear", "tanh", "sigmoid", "relu", "hard_sigmoid" and "softsign", got "gelu"', lstm.dense,
    {3, activation = "gelu"})
  fails("the size must be a whole number of at least 1, got nil", lstm.gru, {peephole = nil})
  fails("one size expected, got 2", lstm.lstm, {3, 4})
end

function TestRefused.testTogether()
  fails('noise = rate belongs to forget = "noise"', lstm.lstm, {3, noise = 0.1})
  fails('forget = "noise" needs a rate', lstm.lstm, {3, forget = "noise"})
  fails('coupled = true makes the forget gate 1 - i, so forget = "one" cannot hold', lstm.lstm,
    {3, coupled = true, forget = "one"})
  fails("merge belongs to bidirectional = true", lstm.gru, {3, merge = "sum"})
  fails("projection = 4 must not be larger than the 3 units", lstm.lstm, {3, projection = 4})
end

function TestRefused.testInAModel()
  local vocab = lstm.vocab "abcd"
  local function refused(message, options_) fails(message, lstm.model, options_) end
  refused("read belongs to the last recurrent layer", {input = 1, lstm.lstm{3, read = "max"}, lstm.gru(3), output = 1})
  refused("tied", {input = vocab, lstm.embedding{3, tied = true}, lstm.lstm(4), output = vocab})
  refused("tied", {input = vocab, lstm.embedding{3, tied = true}, lstm.lstm(3), output = 2})
end

local TestBidirectional = {}

function TestBidirectional.testIsNotStepped()
  local vocab = lstm.vocab "abc"
  local m = lstm.model{input = 2, lstm.lstm{3, bidirectional = true}, output = 1}
  fails("a bidirectional model reads a sequence from both ends", function() m:state():step(1, 2) end)
  local text = lstm.model{input = vocab, lstm.embedding(3), lstm.lstm{3, bidirectional = true}, output = vocab}
  fails("a bidirectional model reads a sequence from both ends", function() text:state():step "a" end)
  fails("a bidirectional model reads a text from both ends", text.generate, text, {length = 3})
  fails("sees the tokens that it would have to foretell", text.fit, text, vocab:encode "abcabc", {})
  fails("sees the tokens that it would have to foretell", text.evaluate, text, vocab:encode "abcabc")
  lu.assertEquals({text:predict(vocab:encode "abca"):shape()}, {4, 3})
end

-- States grow with the sequences that they are given, and keep what they remember.
function TestBidirectional.testSequencesOfAnyLength()
  local m = lstm.model{input = 2, lstm.lstm{3, bidirectional = true}, lstm.gru{4, bidirectional = true, merge = "sum"},
    output = 2, read = "all", seed = 2}
  local state = m:state()
  for _, steps in ipairs{1, 7, 3, 1500} do
    local x = numbers(steps, 2)
    lu.assertEquals({state:forward(x):shape()}, {steps, 2})
    lu.assertEquals(m:predict(x), m:predict(x:reshape{1, steps, 2})[1])
  end
  local values = state:values()
  local other = m:state():set_values(values)
  local x = numbers(9, 2)
  lu.assertEquals(other:forward(x), state:forward(x))
  lu.assertEquals(state:clone():values(), state:values())
end

function TestBidirectional.testStatesTravel()
  local m = lstm.model{input = 1, lstm.lstm{3, bidirectional = true}, output = 1, seed = 2}
  local long, short = m:state(), m:state()
  long:forward(numbers(200, 1))
  lu.assertTrue(short:restore(long:bytes()))
  lu.assertEquals(short:values(), long:values())
  local x = numbers(300, 1)
  lu.assertEquals(short:forward(x), long:forward(x))
  fails("carry", m.trainer, m, {carry = true})
end

function TestBidirectional.testPooledSequencesAreReadWhole()
  for _, read in ipairs{"mean", "max", "last"} do
    local m = lstm.model{input = 1, hidden = 3, output = 2, read = read, seed = 2}
    local x = numbers(1500, 1)
    lu.assertEquals(m:predict(x), m:predict(x:reshape{1, 1500, 1})[1])
  end
end

local TestTrace = {}

function TestTrace.testGates()
  local m = lstm.model{input = 2, lstm.lstm{4, projection = 3}, lstm.gru(5), output = 1, read = "all", seed = 2}
  local x = numbers(6, 2)
  local trace = m:trace(x)
  lu.assertEquals(trace.steps, 6)
  for _, gate in ipairs{"i", "f", "g", "o", "c"} do lu.assertEquals({trace[gate]:shape()}, {6, 4}) end
  lu.assertEquals({trace.h:shape()}, {6, 3})
  local state = m:state()
  state:forward(x)
  lu.assertEquals(state:values():slice(1, 3), trace.h[6])
  lu.assertEquals(state:values():slice(4, 7), trace.c[6])
  trace = m:trace(x, {layer = 2})
  lu.assertEquals({trace.r:shape()}, {6, 5})
  lu.assertNil(trace.c)
  lu.assertEquals(state:values():slice(8, 12), trace.h[6])
end

function TestTrace.testAllLayersOfAText()
  local vocab = lstm.vocab "abc "
  local m = lstm.model{input = vocab, hidden = {4, 3}, dropout = 0.1, output = vocab, seed = 2}
  local traces = m:trace("ab cab", {layer = "all"})
  lu.assertEquals({#traces, traces[1].layer, traces[2].layer}, {2, 2, 4})
  lu.assertEquals(m:trace("ab cab").h, traces[1].h)
  lu.assertEquals(m:trace(vocab:encode "ab cab", {layer = 4}).c, traces[2].c)
  lu.assertEquals({m:predict("ab cab"):shape()}, {6, 4})
  fails('trace: layer must be the place of a layer or "all", got "al" (a string)', m.trace, m, "ab", {layer = "al"})
  fails("trace: layer: layer 1 is an embedding layer, which has no gates", m.trace, m, "ab", {layer = 1})
  fails("trace: one sequence expected, an array [T] of ids or a set of one, got a set of 2", m.trace, m, {"ab", "c"})
end

function TestTrace.testSaturation()
  local m = lstm.model{input = 1, lstm.lstm{3, bidirectional = true}, output = 1, seed = 2}
  local trace = m:trace{8, -8, 9, -1, 0.5, 7, 20}
  local function check(part, gate, low, high)
    local below, above, n = lstm.zeros(3), lstm.zeros(3), part.steps or #part.h
    for t = 1, n do
      for k = 1, 3 do
        if part[gate][t][k] < low then below[k] = below[k] + 1 end
        if part[gate][t][k] > high then above[k] = above[k] + 1 end
      end
    end
    for k = 1, 3 do
      lu.assertAlmostEquals(part.saturation[gate].low[k], below[k] / n, 1e-6)
      lu.assertAlmostEquals(part.saturation[gate].high[k], above[k] / n, 1e-6)
    end
    return below:sum() + above:sum()
  end
  local count = 0
  for _, part in ipairs{trace, trace.reverse} do
    count = count + check(part, "i", 0.1, 0.9) + check(part, "f", 0.1, 0.9) + check(part, "o", 0.1, 0.9) +
      check(part, "g", -0.9, 0.9)
  end
  lu.assertTrue(count > 5)
end

function TestTrace.testOfALaneStepByStep()
  local m = lstm.model{input = 1, hidden = 3, output = 1, seed = 2}
  local state = m:state(2):trace{lane = 2, steps = 3}
  for t = 1, 5 do state:step(lstm.array{0, t}) end
  local trace = state:traced()
  lu.assertEquals(trace.steps, 3)
  state:trace(false)
  fails("nothing was recorded", state.traced, state)
  local alone = m:state()
  for t = 1, 3 do alone:step(t) end
  lu.assertEquals(alone:values():slice(1, 3), trace.h[3])
end

function TestTrace.testBothDirections()
  local m = lstm.model{input = 1, lstm.lstm{3, bidirectional = true}, output = 1, seed = 2}
  local trace = m:trace(numbers(4, 1))
  lu.assertEquals({trace.reverse.h:shape()}, {4, 3})
  lu.assertNotEquals(trace.reverse.h, trace.h)
end

function TestTrace.testMistakes()
  local m = lstm.model{input = 1, hidden = 3, output = 1}
  fails("layer 2 is a dense layer, which has no gates", m.trace, m, numbers(4, 1), {layer = 2})
  fails("a whole number from 1 to 2 expected, got 3", m.trace, m, numbers(4, 1), {layer = 3})
  fails('unknown option "lane"', m.trace, m, numbers(4, 1), {lane = 1})
  fails('option "lane" must be', function() m:state():trace{lane = 2} end)
  fails("the model has no vocabulary to read strings with", m.trace, m, "abc")
end

-- A set of one sequence, as predict takes it, is that sequence.
function TestTrace.testSets()
  local m = lstm.model{input = 1, hidden = 3, output = 1}
  local h = m:trace(lstm.array{{1}, {2}, {3}}).h
  for _, data in ipairs{{1, 2, 3}, {x = {{1, 2, 3}}}, lstm.sequences{x = {{1, 2, 3}}}, lstm.array{{{1}, {2}, {3}}}} do
    lu.assertEquals(m:trace(data).h, h)
  end
  fails("one sequence expected, an array [T][1] or a set of one, got a set of 2", m.trace, m, {x = {{1, 2}, {3, 4}}})
end

local TestStates = {}

function TestStates.testLearnedStateIsWhereLanesBegin()
  local m = lstm.model{input = 1, lstm.lstm{3, learned_state = true}, output = 1, seed = 2}
  m:tensor("rnn.h0_l0", lstm.array{0.1, 0.2, 0.3})
  m:tensor("rnn.c0_l0", lstm.array{0.4, 0.5, 0.6})
  local begin = lstm.array{0.1, 0.2, 0.3, 0.4, 0.5, 0.6}
  local state = m:state(2)
  lu.assertEquals(state:values(2), begin)
  state:step(lstm.array{1, 2})
  lu.assertNotEquals(state:values(1), begin)
  state:reset(1)
  lu.assertEquals(state:values(1), begin)
  lu.assertNotEquals(state:values(2), begin)
  state:reset()
  lu.assertEquals(state:values(2), begin)
end

local TestWrongUses = {}

-- What a user sees, behind the place in the script.
local function says(sentence, f)
  local ok, message = pcall(f)
  lu.assertFalse(ok)
  lu.assertStrMatches(message, "tests/lua/layers.lua:%d+: .*")
  lu.assertEquals((message:gsub("^[^ ]-:%d+: ", "")), sentence)
end

function TestWrongUses.testLayers()
  says("lstm: the size must be a whole number of at least 1, got nil", function() lstm.lstm() end)
  says("lstm: the size must be a whole number of at least 1, got 0", function() lstm.lstm(0) end)
  says('lstm: the size must be a whole number of at least 1, got "50" (a string)', function() lstm.lstm "50" end)
  says('lstm: unknown option "peephol", did you mean "peephole"? (there are activation, bidirectional, cell_clip, ' ..
    "coupled, dropout, forget, gate_activation, layer_norm, learned_state, merge, name, noise, peephole, " ..
    "projection, read, recurrent_dropout and zoneout)", function() lstm.lstm{50, peephol = true} end)
  says('lstm: option "read" must be one of "all", "last", "mean" and "max", got "lst" (a string), did you mean ' ..
    '"last"?', function() lstm.lstm{5, read = "lst"} end)
  says("lstm: options go into one table: lstm.lstm{50, peephole = true}", function() lstm.lstm(50, {read = "all"}) end)
  says("lstm: the size comes first: lstm.lstm{50}", function() lstm.lstm{units = 50} end)
  says('gru: "peephole" is an option of lstm.lstm, not of lstm.gru', function() lstm.gru{5, peephole = true} end)
  says('dense: "read" is an option of lstm.lstm and lstm.gru, not of lstm.dense', function()
    lstm.dense{5, read = "last"}
  end)
  says("dropout: the rate must be a number of at least 0 and below 1, got 1.5", function() lstm.dropout(1.5) end)
  says('lstm: noise = rate belongs to forget = "noise"', function() lstm.lstm{5, noise = 0.1} end)
  says("lstm: merge belongs to bidirectional = true", function() lstm.lstm{5, merge = "sum"} end)
  says("lstm: projection = 9 must not be larger than the 5 units", function() lstm.lstm{5, projection = 9} end)
  says("embedding: one size expected, got 2", function() lstm.embedding{5, 6} end)
end

local code = lu.LuaUnit.new():runSuiteByInstances{
  {"TestOptions", TestOptions}, {"TestRefused", TestRefused}, {"TestBidirectional", TestBidirectional},
  {"TestTrace", TestTrace}, {"TestStates", TestStates}, {"TestWrongUses", TestWrongUses},
}
os.remove(path)
os.exit(code, true)
