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

local TestColumns = {}

function TestColumns.testDerive()
  local t = rows(4):derive("c", function(r) return r:column "a" * 2 + 1 end)
  lu.assertEquals({t.columns, t.data:totable()[2]}, {{"a", "b", "c"}, {2, 20, 5}})
  t = t:derive("a", function(r) return r:column("b"):shift(1):reshape{4, 1} end)
  lu.assertEquals({t.columns, t:column("a"):totable()}, {{"a", "b", "c"}, {10, 10, 20, 30}})
  lu.assertEquals(rows(3):column("a"):totable(), {1, 2, 3})
end

function TestColumns.testSelect()
  local t = rows(3):select{"b"}
  lu.assertEquals({t.columns, t.width, t.data:totable()}, {{"b"}, 1, {{10}, {20}, {30}}})
  lu.assertEquals(rows(2):select{"b", "a"}.data:totable(), {{10, 1}, {20, 2}})
end

function TestColumns.testFunctions()
  local a = core.array{0.25, 1, 4}
  lu.assertEquals({a:sqrt():totable(), (a ^ 2):totable()}, {{0.5, 1, 2}, {0.0625, 1, 16}})
  lu.assertAlmostEquals((a:exp():log() - a):abs():max(), 0, 1e-6)
  lu.assertAlmostEquals((a:sin() ^ 2 + a:cos() ^ 2 - 1):abs():max(), 0, 1e-6)
  lu.assertEquals(core.array{1.5, -1.5}:floor():totable(), {1, -2})
  lu.assertEquals(a:less(2):totable(), {1, 1, 0})
  lu.assertEquals(a:greater(2):where(a, -a):totable(), {-0.25, -1, 4})
  lu.assertEquals(a:equal(core.array{1, 1, 4}):totable(), {0, 1, 1})
  lu.assertEquals(core.array{3, 0 / 0, 1, 2}:sort():slice(1, 3):totable(), {1, 2, 3})
  local m = core.array{{1, 10}, {2, 20}, {3, 30}}
  lu.assertEquals(m:shift(-1):totable(), {{2, 20}, {3, 30}, {3, 30}})
  lu.assertEquals(m:shift(9):totable(), {{1, 10}, {1, 10}, {1, 10}})
  lu.assertEquals(m:cumsum():totable(), {{1, 10}, {3, 30}, {6, 60}})
  lu.assertEquals(m:rolling(2):totable(), {{1, 10}, {1.5, 15}, {2.5, 25}})
end

local TestSteps = {}

function TestSteps.testTargets()
  local w = rows(8):windows{look_back = 2, ahead = 2, steps = 2, target = {"b", "a"}}
  lu.assertEquals({#w, w.outputs, w.target_columns}, {4, 4, {"b", "a"}})
  lu.assertEquals(w:targets()[1]:totable(), {40, 4, 50, 5})
  lu.assertEquals(w:last()[1]:totable(), {20, 2, 20, 2})
  lu.assertEquals(w:last("a")[4]:totable(), {5, 5})
  local x, y = core.zeros{2, 1, 2}, core.zeros{1, 4}
  w:gather(core.array({3}, "int32"), x, y)
  lu.assertEquals({x:totable(), y:totable()}, {{{{4, 40}}, {{5, 50}}}, {{70, 7, 80, 8}}})
  lu.assertEquals(tostring(w), "4 windows of 2 rows (a and b), target b and a 2 ahead, 2 steps")
end

function TestSteps.testStride()
  local w = rows(10):windows{look_back = 3, stride = 2, target = "a"}
  lu.assertEquals(w:targets():totable(), {{4}, {6}, {8}, {10}})
  lu.assertEquals(#rows(9):windows{look_back = 3, stride = 2}, 3)
  lu.assertEquals(w:slice(2, 3):targets():totable(), {{6}, {8}})
  lu.assertEquals(w:pick{4, 1}:targets():totable(), {{10}, {4}})
  lu.assertEquals(w:pick{4, 1}:slice(2):targets():totable(), {{4}})
  lu.assertEquals(w:pick{4, 1}:pick{2}:last():totable(), {{3}})
end

-- Nothing is copied: what is written into the rows is seen by windows, also across a split.
function TestSteps.testViews()
  local whole = rows(10)
  local train, test = whole:split(0.5)
  local w = test:windows{look_back = 2, before = train, target = "a"}:slice(1, 1)
  whole.data[4][1], whole.data[6][1] = -4, -6
  lu.assertEquals({w:last()[1][1], w:targets()[1][1]}, {5, -6})
  local x = core.zeros{2, 1, 2}
  w:gather(core.array({0}, "int32"), x)
  lu.assertEquals(x:totable(), {{{-4, 40}}, {{5, 50}}})
end

function TestSteps.testTheScalerIsKept()
  local train, test = rows(10):split(0.8)
  local scaler = require "lstm.scale".minmax(train)
  local scaled = scaler:apply(test)
  local w = scaled:windows{look_back = 2, before = scaler:apply(train), target = "b"}
  lu.assertTrue(scaled:slice(1, 1).scaler == scaler and scaled:select{"b"}.scaler == scaler and w.scaler == scaler)
  lu.assertTrue(w:slice(1, 1).scaler == scaler and w:pick{1}.scaler == scaler)
  local raw = rows(10):windows{look_back = 2}
  lu.assertEquals(scaler:apply(raw):targets(), scaler:apply(rows(10)):windows{look_back = 2}:targets())
  lu.assertNil(raw.scaler)
end

local TestSplits = {}

local function targets(set) return set:targets():reshape{#set}:totable() end

function TestSplits.testRandom()
  local w = rows(103):windows{look_back = 3, target = "a"}
  local a, b, c = w:split(0.5, 0.3, {by = "random", seed = 1})
  lu.assertEquals({#a, #b, #c}, {50, 30, 20})
  local seen = {}
  for _, part in ipairs{a, b, c} do
    local list = targets(part)
    for k, value in ipairs(list) do
      lu.assertTrue(not seen[value] and (k == 1 or value > list[k - 1]))
      seen[value] = true
    end
  end
  lu.assertEquals(targets((w:split(0.5, {by = "random", seed = 1}))), targets(a))
  lu.assertNotEquals(targets((w:split(0.5, {by = "random", seed = 2}))), targets(a))
  local t = rows(10):split(0.5, {by = "random", seed = 3})
  lu.assertEquals((t:column "b" - t:column "a" * 10):abs():max(), 0)
end

function TestSplits.testExpandingFolds()
  local sizes = {}
  for fold, train, validation in rows(10):folds(4) do
    sizes[fold] = {#train, #validation}
    lu.assertEquals(validation.data[1][1], #train + 1)
  end
  lu.assertEquals(sizes, {{2, 2}, {4, 2}, {6, 2}, {8, 2}})
end

-- What is learnt from is known when the first window that is measured looks ahead, whatever the windows are.
function TestSplits.testExpandingFoldsDoNotLookAhead()
  for _, shape in ipairs{{1, 1, 1}, {1, 3, 1}, {4, 1, 1}, {2, 3, 2}, {3, 2, 5}} do
    local w = rows(90):windows{look_back = 3, target = "a", ahead = shape[1], steps = shape[2], stride = shape[3]}
    for _, set in ipairs{w, w:pick(core.range(1, #w))} do
      local block = #set / 4
      for fold, train, validation in set:folds(3) do
        local now = validation:last()[1][1]
        local known = train:targets()
        lu.assertTrue(known[#train][shape[2]] <= now)
        lu.assertTrue(known[#train][shape[2]] + shape[3] > now)             -- and no more than that is left out
        lu.assertEquals(#validation, math.floor(block * (fold + 1)) - math.floor(block * fold))
      end
    end
  end
  local short = rows(13):windows{look_back = 3, target = "a", steps = 6}
  lu.assertErrorMsgContains("folds: 5 windows are too few for folds by time of targets up to 6 rows ahead", function()
    for _ in short:folds(4) do lu.fail "no fold expected" end
  end)
end

function TestSplits.testRandomFolds()
  local w, seen, count = rows(20):windows{look_back = 3, target = "a"}, {}, 0
  for _, train, validation in w:folds(5, {by = "random", seed = 1}) do
    lu.assertEquals(#train + #validation, #w)
    lu.assertTrue(#validation >= 3 and #validation <= 4)
    for _, value in ipairs(targets(validation)) do
      lu.assertNil(seen[value])
      seen[value], count = true, count + 1
    end
  end
  lu.assertEquals(count, #w)
end

function TestSplits.testBatches()
  local w, n, order = rows(23):windows{look_back = 3, target = "a"}, 0, {}
  for x, y in w:batches{batch = 8, shuffle = true, seed = 1} do
    n = n + 1
    lu.assertEquals({x:shape()}, {3, n < 3 and 8 or 4, 2})
    for b = 1, #y do
      lu.assertEquals(x[3][b][1], y[b][1] - 1)
      order[#order + 1] = y[b][1]
    end
  end
  lu.assertNotEquals(order, targets(w))
  table.sort(order)
  lu.assertEquals(order, targets(w))
end

-- A model learns from picked windows as from others.
function TestSplits.testFit()
  local lstm = require "lstm"
  local all = rows(40):windows{look_back = 3, target = "a", steps = 2}
  local train, validation = all:split(0.8, {by = "random", seed = 1})
  local m = lstm.model{input = 2, hidden = 3, output = 2, seed = 1}
  assert(m:fit(train, {validation = validation, epochs = 2, verbose = 0, seed = 1}))
  lu.assertEquals({m:predict(validation):shape()}, {#validation, 2})
end

local TestWrongUses = {}

local function raises(sentence, ...)
  local ok, why = pcall(...)
  lu.assertFalse(ok)
  lu.assertEquals((why:gsub("^[^\n]-:%d+: ", "")), sentence)
end

function TestWrongUses.testTables()
  local t = rows(5)
  raises("table: 1 names for 2 columns", windows.table, core.zeros{3, 2}, {"a"})
  raises('column: unknown column "temp" (there are a and b)', t.column, t, "temp")
  raises("slice: rows 3 to 9 of 5", t.slice, t, 3, 9)
  raises("slice: rows must be whole numbers, got 1.5", t.slice, t, 1.5)
  raises("split: fraction 1 must be between 0 and 1, got 80", t.split, t, 80)
  raises("split: give a fraction, as in split(0.9)", t.split, t)
  raises("split: part 1 of 5 rows would be empty", t.split, t, 0.1)
  raises('split: by = "stratified" needs labels, these rows have none', t.split, t, 0.8, {by = "stratified"})
  raises('select: unknown column "A", did you mean "a"? (there are a and b)', t.select, t, {"A"})
  raises('select: column "a" is named twice', t.select, t, {"a", "a"})
  raises("derive: a function of the rows is needed, got nil", t.derive, t, "c")
  raises('derive: the function for "c" must return an array, it returned 5', t.derive, t, "c", function() return 5 end)
  raises('derive: "c" must have 5 numbers, one for each row, it has 4', t.derive, t, "c",
    function() return core.zeros(4) end)
  raises("pick: rows 6, there are 1 to 5", t.pick, t, {1, 6})
  raises("folds: the number of folds must be a whole number from 2 to 4, got 5", t.folds, t, 5)
  raises("folds: the number of folds must be a whole number from 2 to 4, got nil", t.folds, t)
  local scaled = require "lstm.scale".minmax(t):apply(t)
  raises("derive: these rows are scaled: derive columns first, then scale", scaled.derive, scaled, "c", rows)
  raises('table: there is no method "window"; did you mean "windows"?', function() return t.window end)
end

function TestWrongUses.testWindows()
  local t = rows(5)
  raises('windows: option "look_back" is missing', t.windows, t)
  raises('windows: unknown option "lookback", did you mean "look_back"? (there are ahead, before, look_back, steps, '
    .. 'stride and target)', t.windows, t, {lookback = 3})
  raises('windows: unknown column "temp" (there are a and b)', t.windows, t, {look_back = 3, target = "temp"})
  raises('windows: column "a" is named twice', t.windows, t, {look_back = 3, target = {"a", "a"}})
  raises("windows: 5 rows are too few: look_back 4, steps 2 and ahead 1 need at least 6", t.windows, t,
    {look_back = 4, steps = 2})
  raises('windows: option "stride" must be a whole number of at least 1, got 0', t.windows, t,
    {look_back = 2, stride = 0})
  raises("windows: the table in `before` has other columns", t.windows, t, {look_back = 2, before = t:select{"a"}})
  local scaled = require "lstm.scale".minmax(t):apply(t)
  raises("windows: the table in `before` is not scaled as this one is", t.windows, t, {look_back = 2, before = scaled})
  local w = t:windows{look_back = 2}
  raises("slice: windows 1 to 9 of 3", w.slice, w, 1, 9)
  raises('last: unknown column "temp" (there are a and b)', w.last, w, "temp")
  raises("pick: windows 0, there are 1 to 3", w.pick, w, {0})
  raises('batches: option "batch" must be a whole number of at least 1, got 0', w.batches, w, {batch = 0})
  raises('folds: unknown option "kind" (there are by and seed)', w.folds, w, 2, {kind = "random"})
  raises("gather_windows: start 3 is out of range", w.gather, w, core.array({3}, "int32"), nil, core.zeros{1, 2})
end

function TestWrongUses.testArrays()
  local a = core.array{1, 2, 3}
  raises("shift: a whole number from -2147483647 to 2147483647 expected, got string", a.shift, a, "1")
  raises("sort: the array must have 1 dimension, it has 2", function() return core.zeros{2, 2}:sort() end)
  raises("array: arithmetic with a nil", a.less, a, nil)
  raises("array: shapes [3] and [2] do not fit", a.where, a, a, core.zeros(2))
  raises('array: the kind is "float32", "int32" or "uint8", got "byte"', core.zeros, 3, "byte")
  raises(("array: %s does not fit a uint8"):format(256.0), core.array, {256}, "uint8")
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{
  {"TestTable", TestTable}, {"TestWindows", TestWindows}, {"TestColumns", TestColumns}, {"TestSteps", TestSteps},
  {"TestSplits", TestSplits}, {"TestWrongUses", TestWrongUses},
}, true)
