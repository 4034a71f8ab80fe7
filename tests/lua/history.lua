-- The record of a run: rows, the best row, patience, and an exact round trip through text.
local lu = require "luaunit"
local history = require "lstm.history"

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

function TestHistory.testAdvice()
  local h = history.new()
  for i = 1, 9 do h:add{loss = 1 / i, val_loss = 1 + (i - 3) ^ 2 / 10} end
  lu.assertStrContains(h:advice(), "overfitting")
  h = history.new()
  for i = 1, 9 do h:add{loss = 1 / i, val_loss = 1 / i} end
  lu.assertStrContains(h:advice(), "train longer")
  lu.assertNil(history.new():advice())
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{
  {"TestHistory", TestHistory},
}, true)
