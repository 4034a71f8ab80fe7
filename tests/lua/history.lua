-- The record of a run: rows, the best row, patience, and an exact round trip through text.
local lu = require "luaunit"
local history = require "lstm.history"
local lstm = require "lstm"

local TestHistory = {}

local function sample()
  local h = history.new()
  h:add{epoch = 1, step = 10, loss = 2, val_loss = 2.5, lr = 1e-3, seconds = 0.1}
  h:add{epoch = 2, step = 20, loss = 1, val_loss = 1.5, lr = 1e-3, seconds = 0.2}
  h:add{epoch = 3, step = 30, loss = 0.5, val_loss = 1.75, lr = 1e-3, seconds = 0.3}
  return h
end

function TestHistory.testBest()
  local h = sample()
  lu.assertEquals(#h, 3)
  lu.assertEquals(h.best, 2)
  lu.assertEquals(h.best_value, 1.5)
  lu.assertEquals(h.waited, 1)
  lu.assertEquals(h[#h].val_loss, 1.75)
end

function TestHistory.testAddTellsImprovement()
  local h = history.new{min_delta = 0.1}
  lu.assertTrue(h:add{loss = 1})
  lu.assertFalse(h:add{loss = 0.95})
  lu.assertTrue(h:add{loss = 0.85})
  lu.assertEquals(h.waited, 0)
end

function TestHistory.testNanIsNeverBest()
  local h = history.new()
  lu.assertFalse(h:add{loss = 0 / 0})
  lu.assertFalse(h:add{loss = math.huge})
  lu.assertNil(h.best)
  lu.assertTrue(h:add{loss = 3})
  lu.assertFalse(h:add{loss = -math.huge})
  lu.assertEquals(h.best, 3)
end

function TestHistory.testModeMax()
  local h = history.new{monitor = "accuracy", mode = "max"}
  h:add{accuracy = 0.5}
  h:add{accuracy = 0.7}
  h:add{accuracy = 0.6}
  lu.assertEquals(h.best, 2)
end

function TestHistory.testUnknownMonitor()
  local h = history.new{monitor = "val_los"}
  lu.assertErrorMsgContains('unknown monitor "val_los", did you mean "val_loss"?', h.add, h, {loss = 1, val_loss = 2})
  lu.assertErrorMsgContains('did you mean "monitor"', history.new, {monitr = "loss"})
end

function TestHistory.testColumns()
  local h = sample()
  lu.assertEquals(h:columns(), {"epoch", "step", "loss", "val_loss", "lr", "seconds"})
  lu.assertEquals(h:column("loss"), {2, 1, 0.5})
  h:add{epoch = 4, loss = 0.1, val_loss = 3}
  lu.assertNotEquals(h:column("lr")[4], h:column("lr")[4])
  lu.assertErrorMsgContains('did you mean "loss"', h.column, h, "los")
end

function TestHistory.testMetaRoundTrip()
  local h = sample()
  h:add{epoch = 4, step = 40, loss = 1 / 3, val_loss = 0 / 0, lr = 1e-3, seconds = 1e-17}
  h:add{epoch = 5, loss = math.huge, val_loss = 0.1}
  local copy = assert(history.frommeta(h:tometa()))
  lu.assertEquals(copy:tometa(), h:tometa())
  lu.assertEquals(copy.best, h.best)
  lu.assertEquals(copy.waited, h.waited)
  lu.assertEquals(copy[4].loss, 1 / 3)
  lu.assertEquals(copy[4].seconds, 1e-17)
  lu.assertNil(copy[5].step)
  lu.assertEquals(copy[5].loss, math.huge)
  lu.assertNotEquals(copy[4].val_loss, copy[4].val_loss)
end

function TestHistory.testEmptyRoundTrip()
  local h = history.new{min_delta = 0.25}
  local copy = assert(history.frommeta(h:tometa()))
  lu.assertEquals(#copy, 0)
  lu.assertEquals(copy.min_delta, 0.25)
  lu.assertEquals(tostring(copy), "history: empty")
end

function TestHistory.testBrokenMeta()
  local _, message, status = history.frommeta("nonsense")
  lu.assertStrContains(message, "not a history")
  lu.assertEquals(status, "format")
  _, message = history.frommeta("monitor=loss mode=min min_delta=0\nloss\nx\n")
  lu.assertStrContains(message, '"x" is not a number')
end

function TestHistory.testTostring()
  local h = sample()
  h.stopped = "patience"
  local text = tostring(h)
  lu.assertStrContains(text, "val_loss")
  lu.assertStrMatches(text:match("[^\n]*%*"), "%s+2%s+20.*%*")
  lu.assertStrContains(text, "stopped: patience")
  local long = history.new()
  for i = 1, 1000 do long:add{step = i, loss = 1 / i} end
  local _, lines = tostring(long):gsub("\n", "")
  lu.assertTrue(lines < 30)
end

function TestHistory.testCsv()
  lu.assertEquals(sample():csv():match("^[^\n]*\n[^\n]*"),
    "epoch,step,loss,val_loss,lr,seconds\n1,10,2,2.5,0.001,0.10000000000000001")
end

local TestAdvice = {}

-- A history of n rows from functions of t, which goes from 0 to 1; noise is deterministic.
local function curve(n, loss, val)
  local h = history.new()
  for i = 1, n do
    local t = (i - 1) / (n - 1)
    h:add{step = 10 * i, loss = loss(t, i), val_loss = val and val(t, i)}
  end
  return h
end

-- Noise of at most `size`, without a direction.
local function noise(i, size) return size * math.sin(i * i * 12.9898) end

local function falling(rate, floor)
  return function(t, i) return (floor or 0.1) + 2 * math.exp(-rate * t) + noise(i, 0.003) end
end

local function advises(word, h)
  local said = h:advice()
  if not word then lu.assertNil(said) else lu.assertStrContains(said or "nothing", word) end
end

function TestAdvice.testOverfitting()
  for _, n in ipairs{6, 9, 20, 100} do
    advises("(overfitting)", curve(n, falling(4), function(t, i) return 1 + (t - 0.3) ^ 2 + noise(i, 0.002) end))
  end
end

function TestAdvice.testUnderfitting()
  for _, n in ipairs{8, 30} do
    advises("(underfitting)", curve(n, falling(20, 9), falling(20, 9.1)))
  end
end

function TestAdvice.testStillImproving()
  for _, n in ipairs{6, 9, 50} do
    advises("validation was still improving", curve(n, falling(1.5), falling(1.2, 0.2)))
    advises("the training loss was still falling", curve(n, falling(1.5)))
  end
end

function TestAdvice.testPlateau()
  for _, n in ipairs{12, 60} do
    advises("(a plateau)", curve(n, falling(40), falling(40, 0.3)))
    advises("since step", curve(n, falling(40), falling(40, 0.3)))
  end
end

-- A few looks are no plateau, and what a last third gained in per mille of all is no reason to go on.
function TestAdvice.testNoHastyWords()
  for n = 2, 5 do
    for _, rate in ipairs{0.5, 2, 10, 40} do
      advises(nil, curve(n, falling(rate)))
      advises(nil, curve(n, falling(rate), falling(rate, 0.3)))
    end
  end
  local function smooth(rate) return function(t) return 0.1 + 2 * math.exp(-rate * t) end end
  for _, n in ipairs{50, 150, 170} do
    advises(nil, curve(n, smooth(7)))
    advises(nil, curve(n, smooth(7), smooth(7)))
    advises("the training loss hardly falls any more (a plateau)", curve(n, smooth(25)))
    advises("still falling", curve(n, smooth(3)))
  end
  advises(nil, curve(6, smooth(4)))                               -- still halves, but nobody knows how far
end

-- Where the best weights are not the last ones, nothing was still improving.
function TestAdvice.testNeverAgainstTheBestWeights()
  local function dip(t, i) return 0.2 + 2 * math.exp(-1.5 * t) - (i == 43 and 0.2 or 0) end
  for _, h in ipairs{curve(50, dip), curve(50, dip, dip)} do
    lu.assertEquals(h.best, 43)
    advises(nil, h)
  end
end

-- A curve that creeps on is at its lowest at its end; the step that is named is where it became flat.
function TestAdvice.testPlateauNamesWhereItBegan()
  local function creeping(floor)
    return function(_, i) return floor + math.exp(-i / 4) end
  end
  local h = curve(60, creeping(0.2), creeping(0.25))
  local step = tonumber((h:advice() or ""):match("since step (%d+) %(a plateau"))
  lu.assertTrue(step ~= nil and step >= 200 and step <= 320, h:advice())
end

function TestAdvice.testNoisyValidation()
  local h = curve(20, falling(3), function(t, i) return 1 + math.exp(-3 * t) + (i % 2 == 0 and 0.2 or -0.2) end)
  advises("too noisy", h)
  lu.assertStrMatches(h:advice(), ".*jumps by 3%d %% from look to look.*")
end

function TestAdvice.testDiverged()
  local h = curve(6, falling(3), falling(3))
  h.stopped = "not_finite"
  advises("(diverged)", h)
  advises("(diverged)", curve(6, function(t) return t == 1 and 0 / 0 or 1 end))
  advises("rose from 0.816 to 40", curve(20, function(t) return t < 0.4 and 1 - t / 2 or 40 * t end))
  h = curve(12, function(t) return 1 + (t - 0.4) ^ 2 end, function(t) return 1 + (t - 0.4) ^ 2 end)
  advises("both got worse", h)
end

-- Under noise of 1 % (training) and 2 % (validation) the sentence is the right one in nine of ten runs.
function TestAdvice.testUnderNoise()
  local e = math.exp
  for word, curves in pairs{
    ["(overfitting)"] = {function(t) return 0.2 + 2 * e(-4 * t) end, function(t) return 1 + 1.5 * (t - 0.3) ^ 2 end},
    ["still improving"] = {function(t) return 0.2 + 2 * e(-1.5 * t) end, function(t) return 0.3 + 2 * e(-1.3 * t) end},
    ["(a plateau)"] = {function(t) return 0.2 + 2 * e(-30 * t) end, function(t) return 0.4 + 2 * e(-30 * t) end},
    ["(underfitting)"] = {function(t) return 2 + 0.3 * e(-30 * t) end, function(t) return 2.02 + 0.3 * e(-30 * t) end},
  } do
    local right = 0
    for seed = 1, 100 do
      local rng = lstm.rng(seed)
      local function shaken(f, size) return function(t) return f(t) * (1 + size * (2 * rng:uniform() - 1)) end end
      local said = curve(5 + seed % 40, shaken(curves[1], 0.01), shaken(curves[2], 0.02)):advice()
      right = right + (said and said:find(word, 1, true) and 1 or 0)
    end
    lu.assertTrue(right >= 90, word .. " " .. right)
  end
end

-- No sentence is better than a wrong one.
function TestAdvice.testSaysNothing()
  advises(nil, history.new())
  advises(nil, curve(2, falling(2), falling(2)))
  advises(nil, curve(3, falling(90), falling(90)))
  local h = curve(5, falling(2))
  h[6] = {step = 60, loss = 0.3, val_loss = 0.3}
  advises(nil, h)                                                 -- validation came later
end

local TestWrongUses = {}

function TestWrongUses.testSentences()
  local function sees(expected, f, ...)
    local arguments = {...}
    local ok, message = pcall(function() local result = f(table.unpack(arguments)) return result end)
    lu.assertFalse(ok)
    lu.assertStrMatches(message, "^tests/lua/history.lua:%d+: .*$")
    lu.assertEquals((message:gsub("^[^:]*:%d+: ", "")), expected)
  end
  local h = sample()
  sees('history: unknown option "monitr", did you mean "monitor"? (there are min_delta, mode and monitor)', history.new,
    {monitr = "loss"})
  sees('history: option "mode" must be one of "min" and "max", got "less" (a string)', history.new, {mode = "less"})
  sees('history: option "min_delta" must be a number of at least 0, got -1', history.new, {min_delta = -1})
  sees("history: options must be a table, as in {name = value}; got 3", history.new, 3)
  sees('history: option "monitor" must be a string, got true', history.new, {monitor = true})
  sees('history: unknown column "los", did you mean "loss"? (there are epoch, step, loss, val_loss, lr and seconds)',
    h.column, h, "los")
  sees('history: unknown monitor "f1" (there is loss)', function() history.new{monitor = "f1"}:add{loss = 1} end)
  sees('history: there is no method "advise"; did you mean "advice"?', function() h:advise() end)
  sees('history: there is no method "colum"; did you mean "column"?', function() h:colum "loss" end)
  sees("history: a row is a table of numbers by column name, got 3", h.add, h, 3)
  sees('history: column "loss" of a row must be a number, got "1" (a string)', h.add, h, {loss = "1"})
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{
  {"TestHistory", TestHistory}, {"TestAdvice", TestAdvice}, {"TestWrongUses", TestWrongUses},
}, true)
