-- Tables of rows and the windows over them: counts, views, targets, persistence, batches.
local lu = require "luaunit"
local windows = require "lstm.windows"
local core = require "lstm.core"

-- Rows 1..n with a column a = i and b = 10 i.
local function rows(n)
  local data = {}
  for i = 1, n do data[i] = {i, 10 * i} end
  return windows.table(core.array(data), {"a", "b"})
end

local TestTable = {}

function TestTable.testFields()
  local t = rows(5)
  lu.assertEquals(t.kind, "table")
  lu.assertEquals(#t, 5)
  lu.assertEquals(t.width, 2)
  lu.assertEquals(t:column("b"):totable(), {10, 20, 30, 40, 50})
  lu.assertEquals(tostring(t), "table of 5 rows (a and b)")
  lu.assertErrorMsgContains('unknown column "c"', t.column, t, "c")
end

function TestTable.testOneColumn()
  local t = windows.table(core.array{1, 2, 3})
  lu.assertEquals(t.columns, {"1"})
  lu.assertEquals(t.data:totable(), {{1}, {2}, {3}})
  lu.assertErrorMsgContains("2 names for 1 columns", windows.table, core.array{1, 2}, {"a", "b"})
end

function TestTable.testSlice()
  lu.assertEquals(rows(5):slice(2, 3).data:totable(), {{2, 20}, {3, 30}})
  lu.assertEquals(rows(5):slice(-2).data:totable(), {{4, 40}, {5, 50}})
  local t = rows(5)
  lu.assertErrorMsgContains("slice: rows 3 to 9 of 5", t.slice, t, 3, 9)
end

function TestTable.testSplitByTime()
  local train, test = rows(3650):split(0.8)
  lu.assertEquals(#train, 2920)
  lu.assertEquals(#test, 730)
  lu.assertEquals(test.data[1]:totable(), {2921, 29210})
  local t = rows(3)
  lu.assertErrorMsgContains("would be empty", t.split, t, 0.1)
end

local TestWindows = {}

function TestWindows.testCounts()
  local w = rows(10):windows{look_back = 3, target = "b"}
  lu.assertEquals(w.kind, "windows")
  lu.assertEquals(#w, 7)
  lu.assertEquals(w.width, 2)
  lu.assertEquals(w.outputs, 1)
  lu.assertEquals(#rows(10):windows{look_back = 3, ahead = 2}, 6)
end

function TestWindows.testTargetsAndLast()
  local w = rows(6):windows{look_back = 3, target = "b"}
  lu.assertEquals(w:targets():totable(), {{40}, {50}, {60}})
  lu.assertEquals(w:last("b"):totable(), {{30}, {40}, {50}})
  lu.assertEquals(w:last():totable(), {{30}, {40}, {50}})
  lu.assertEquals(w:last("a"):totable(), {{3}, {4}, {5}})
  w = rows(6):windows{look_back = 3, ahead = 2}
  lu.assertEquals(w.outputs, 2)
  lu.assertEquals(w:targets():totable(), {{5, 50}, {6, 60}})
  lu.assertEquals(w:last():totable(), {{3, 30}, {4, 40}})
end

function TestWindows.testGather()
  local w = rows(6):windows{look_back = 2, target = "b"}
  local x, y = core.zeros{2, 3, 2}, core.zeros{3, 1}
  w:gather(core.array({3, 0, 1}, "int32"), x, y)
  lu.assertEquals(x:totable(), {{{4, 40}, {1, 10}, {2, 20}}, {{5, 50}, {2, 20}, {3, 30}}})
  lu.assertEquals(y:totable(), {{60}, {30}, {40}})
end

function TestWindows.testGatherAgreesWithTargets()
  local w = rows(9):windows{look_back = 2, ahead = 3}
  local x, y, order = core.zeros{2, #w, 2}, core.zeros{#w, 2}, {}
  for i = 1, #w do order[i] = i - 1 end
  w:gather(core.array(order, "int32"), x, y)
  lu.assertEquals(y:totable(), w:targets():totable())
  lu.assertEquals(x[2]:totable(), w:last():totable())
end

function TestWindows.testBefore()
  local train, test = rows(3650):split(0.8)
  lu.assertEquals(#train:windows{look_back = 10, target = "a"}, 2910)
  local w = test:windows{look_back = 10, target = "a", before = train}
  lu.assertEquals(#w, 730)
  lu.assertEquals(w:targets()[1]:totable(), {2921})
  lu.assertEquals(w:last("a")[1]:totable(), {2920})
  w = test:windows{look_back = 10, ahead = 5, target = "a", before = train}
  lu.assertEquals(#w, 730)
  lu.assertEquals(w:targets()[1]:totable(), {2921})
end

function TestWindows.testSliceAndSplit()
  local w = rows(10):windows{look_back = 3, target = "a"}
  lu.assertEquals(w:slice(2, 3):targets():totable(), {{5}, {6}})
  lu.assertEquals(#w:slice(-2), 2)
  local a, b = w:split(0.6)
  lu.assertEquals({#a, #b}, {4, 3})
  lu.assertEquals(b:targets():totable(), {{8}, {9}, {10}})
  lu.assertErrorMsgContains("windows 1 to 9 of 7", w.slice, w, 1, 9)
end

function TestWindows.testTooShort()
  local t = rows(10)
  lu.assertErrorMsgContains("10 rows are too few: look_back 10 and ahead 1 need at least 11", t.windows, t,
    {look_back = 10})
  lu.assertEquals(#t:windows{look_back = 9}, 1)
end

function TestWindows.testMistakes()
  local t = rows(10)
  lu.assertErrorMsgContains('option "look_back" is missing', t.windows, t, {})
  lu.assertErrorMsgContains('did you mean "look_back"', t.windows, t, {lookback = 3})
  lu.assertErrorMsgContains('unknown column "temp"', t.windows, t, {look_back = 3, target = "temp"})
  lu.assertErrorMsgContains("other columns", t.windows, t, {look_back = 3, before = windows.table(core.array{1})})
end

function TestWindows.testTostring()
  lu.assertEquals(tostring(rows(10):windows{look_back = 3, target = "a"}),
    "7 windows of 3 rows (a and b), target a 1 ahead")
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{
  {"TestTable", TestTable},
  {"TestWindows", TestWindows},
}, true)
