-- Tests of what models of sound need: the residual connection and the error-to-signal ratio.

local lu = require "luaunit"
local lstm = require "lstm"

local fails = lu.assertErrorMsgContains
local path = os.tmpname()

-- Sines of several pitches and sizes, and what a soft clipper makes of them: [n][steps][1].
local function clipped(n, steps)
  local x, y = lstm.zeros{n, steps, 1}, lstm.zeros{n, steps, 1}
  for i = 1, n do
    for t = 1, steps do
      local s = math.sin((t + i * 7) * (0.1 + 0.02 * (i % 3))) * (i % 4 + 1) / 3
      x[i][t][1], y[i][t][1] = s, 1.5 * s / (1 + math.abs(s))
    end
  end
  return {x = x, y = y}
end

local function amp(options)
  local given = {input = 1, lstm.lstm(6), lstm.dense{1, residual = true}, loss = "esr", seed = 2}
  for name, value in pairs(options or {}) do given[name] = value end
  return lstm.model(given)
end

local TestResidual = {}

function TestResidual.testAddsTheInputs()
  local m, plain = amp(), lstm.model{input = 1, lstm.lstm(6), lstm.dense(1), read = "all", seed = 2}
  local x = clipped(2, 9).x
  local y, without = m:predict(x), plain:predict(x)
  for i = 1, 2 do
    for t = 1, 9 do lu.assertAlmostEquals(y[i][t][1], without[i][t][1] + x[i][t][1], 1e-6) end
  end
  lu.assertEquals(m:state():forward(x[1]), y[1])
end

function TestResidual.testIsKeptAndShown()
  local m = amp()
  lu.assertEquals(tostring(lstm.dense{1, residual = true}), "dense 1, residual")
  lu.assertStrContains(tostring(m), "dense size=1 residual")
  lu.assertStrContains(tostring(m), "read=all")                    -- a model of sound gives every sample
  lu.assertTrue(m:save(path))
  local copy = assert(lstm.load(path))
  lu.assertEquals(copy.loss, "esr")
  lu.assertTrue(copy.core:describe().layers[2].residual)
  lu.assertEquals(copy:bytes(), m:bytes())
end

local TestRatio = {}

function TestRatio.testWithoutEmphasisItIsTheMetric()
  local m, set = amp(), clipped(4, 30)
  local history = assert(m:fit(set, {epochs = 1, pre_emphasis = 0, validation = set, metrics = {"esr"}, verbose = 0}))
  lu.assertAlmostEquals(history[1].val_loss, history[1].esr, 1e-6)
  local behind = m:evaluate(set, {metrics = {"esr"}})
  lu.assertNotAlmostEquals(behind.loss, behind.esr, 1e-4)          -- by name: with 0.95
  local trainer = m:trainer{batch = 4, seq = 30, pre_emphasis = 0.95}
  local state = m:batch_state(4)
  local x, y = lstm.zeros{30, 4, 1}, lstm.zeros{30, 4, 1}
  for i = 1, 4 do
    for t = 1, 30 do x[t][i][1], y[t][i][1] = set.x[i][t][1], set.y[i][t][1] end
  end
  local loss, weight = trainer:evaluate(state, x, y)
  lu.assertAlmostEquals(loss / weight, behind.loss, 1e-6)
end

function TestRatio.testLearns()
  local m, set = amp(), clipped(12, 60)
  local history = assert(m:fit(set, {epochs = 60, lr = 0.01, batch = 4, burn_in = 5, verbose = 0}))
  lu.assertTrue(history[#history].loss < history[1].loss / 4)
end

-- Batches that make one step together count by their energy, as in one batch.
function TestRatio.testAccumulates()
  local set, options = clipped(8, 20), {epochs = 3, lr = 0.01, shuffle = false, verbose = 0, clip = 0}
  local function run(batch, accumulate)
    local m = amp()
    options.batch, options.accumulate = batch, accumulate
    local history = assert(m:fit(set, options))
    return history[#history].loss
  end
  lu.assertAlmostEquals(run(8), run(2, 4), 1e-4)
end

function TestRatio.testResumesOnlyWithItsEmphasis()
  local set = clipped(4, 10)
  assert(amp():fit(set, {epochs = 1, checkpoint = path, pre_emphasis = 0.5, verbose = 0, lr = 1e-3, seed = 1}))
  local _, message, status = amp():fit(set, {epochs = 2, resume = path, pre_emphasis = 0.25, verbose = 0, lr = 1e-3,
    seed = 1})
  lu.assertEquals(status, "mismatch")
  lu.assertStrContains(message, 'option "pre_emphasis" was 0.5')
  assert(amp():fit(set, {epochs = 2, resume = path, verbose = 0, lr = 1e-3, seed = 1}))
end

local TestStream = {}

local function sine(n)
  local x = lstm.zeros{n, 1}
  for t = 1, n do x[t][1] = math.sin(t / 9) end
  return x
end

function TestStream.testBlocksOfAnySizeGiveTheSameBits()
  local m, x = amp(), sine(500)
  local whole = m:state():forward(x)
  for _, block in ipairs{1, 7, 64, 499, 500} do
    local state, got, at = m:state(), lstm.zeros{500, 1}, 1
    while at <= 500 do
      local last = math.min(at + block - 1, 500)
      local y = got:slice(at, last)
      lu.assertTrue(rawequal(state:forward(x:slice(at, last), y), y))
      at = last + 1
    end
    lu.assertTrue(got == whole, block)
  end
end

-- Two channels are two lanes of one state.
function TestStream.testLanesMakeNoGarbage()
  local m = amp()
  local state, x, y = m:state(2), lstm.zeros{64, 2, 1}, lstm.zeros{64, 2, 1}
  for t = 1, 64 do x[t][1][1], x[t][2][1] = math.sin(t), math.cos(t) end
  state:forward(x, y)
  if jit then jit.off() end                                      -- luacheck: ignore 113 (compiled code is no garbage)
  collectgarbage()
  collectgarbage "stop"
  local before = collectgarbage "count"
  for _ = 1, 100 do state:forward(x, y) end
  lu.assertEquals(collectgarbage "count", before)
  collectgarbage "restart"
end

-- From zero the output moves while nothing is played; from a saved rest it does not.
function TestStream.testResetWithoutAPop()
  local m, silence = amp(), lstm.zeros{200, 1}
  assert(m:fit(clipped(12, 60), {epochs = 10, lr = 0.01, batch = 4, verbose = 0}))
  local state, y = m:state(), lstm.zeros{200, 1}
  local function moves() return state:forward(silence, y):max() - y:min() end
  for _ = 1, 50 do state:forward(silence, y) end
  local rest = state:save()
  state:forward(sine(300))
  state:reset()
  local from_zero = moves()
  state:forward(sine(300))
  lu.assertTrue(state:restore(rest))
  local from_rest = moves()
  lu.assertTrue(from_rest < 1e-6 and from_zero > 1e-2, from_rest .. " " .. from_zero)
end

local TestWrongUses = {}

function TestWrongUses.testOutputs()
  local state, x = amp():state(), sine(8)
  local function outputs(y) return function() state:forward(x, y) end end
  fails("forward: the outputs: shape [8][1] expected, got [7][1]", outputs(lstm.zeros{7, 1}))
  fails("forward: the outputs: an array with 2 dimensions expected, got [8]", outputs(lstm.zeros{8}))
  fails("forward: the outputs: float32 array expected, got int32", outputs(lstm.zeros({8, 1}, "int32")))
  fails("forward: the outputs must not be in the memory of the inputs", outputs(x))
  local both = lstm.zeros{12, 1}
  fails("forward: the outputs must not be in the memory of the inputs",
    function() state:forward(both:slice(1, 8), both:slice(5, 12)) end)
end

function TestWrongUses.testModels()
  fails('lstm: "residual" is an option of lstm.dense, not of lstm.lstm', lstm.lstm, {3, residual = true})
  local wanted = "model: layer 2: residual: only in the last layer, linear, read all, O <= I features"
  fails(wanted, amp, {output = 1})
  fails(wanted, lstm.model,
    {input = 1, lstm.lstm(3), lstm.dense{2, residual = true}})
  fails(wanted, lstm.model,
    {input = 1, lstm.lstm(3), lstm.dense{1, residual = true, activation = "tanh"}})
  fails(wanted, amp, {read = "last"})
end

function TestWrongUses.testLosses()
  local set = clipped(2, 5)
  local last = lstm.model{input = 1, hidden = 3, output = 1, read = "last", seed = 1}
  fails("the error-to-signal ratio needs an output of every step: read all", last.fit, last,
    {x = set.x, y = {1, 2}}, {loss = "esr", verbose = 0})
  fails('fit: pre_emphasis belongs to loss = "esr"', last.fit, last, {x = set.x, y = {1, 2}}, {pre_emphasis = 0.5})
  fails('option "pre_emphasis" must be a number from 0 to 1, got 2', last.fit, last, set, {pre_emphasis = 2})
end

local code = lu.LuaUnit.new():runSuiteByInstances{
  {"TestResidual", TestResidual}, {"TestRatio", TestRatio}, {"TestStream", TestStream},
  {"TestWrongUses", TestWrongUses},
}
os.remove(path)
os.exit(code, true)
