-- Scalers: fitted on one part, applied to others, undone by column name, carried in a model file.
local lu = require "luaunit"
local scale = require "lstm.scale"
local windows = require "lstm.windows"
local core = require "lstm.core"
local sequences = require "lstm.sequences"

local function rows()
  return windows.table(core.array{{10, -1, 5}, {20, 0, 5}, {30, 3, 5}}, {"t", "u", "same"})
end

local TestMinmax = {}

function TestMinmax.testApply()
  local s = scale.minmax(rows())
  lu.assertEquals(s:apply(rows()).data:totable(), {{0, 0, 0}, {0.5, 0.25, 0}, {1, 1, 0}})
  lu.assertEquals(s:apply(rows()).columns, {"t", "u", "same"})
end

function TestMinmax.testOtherPartsMayLeaveTheRange()
  local s = scale.minmax(rows())
  lu.assertEquals(s:apply(windows.table(core.array{{40, -5, 6}}, {"t", "u", "same"})).data:totable(), {{1.5, -1, 1}})
end

function TestMinmax.testColumnsAreMatchedByName()
  local s = scale.minmax(rows())
  lu.assertEquals(s:apply(windows.table(core.array{{3, 10}}, {"u", "t"})).data:totable(), {{1, 0}})
  lu.assertErrorMsgContains('unknown column "v"', s.apply, s, windows.table(core.array{1}, {"v"}))
end

function TestMinmax.testUndo()
  local s = scale.minmax(rows())
  lu.assertEquals(s:undo(core.array{{0}, {0.5}, {1}}, "t"):totable(), {{10}, {20}, {30}})
  lu.assertEquals(s:undo(core.array{0.25}, "u"):totable(), {0})
  lu.assertErrorMsgContains("say which column", s.undo, s, core.array{1})
  lu.assertErrorMsgContains('unknown column "T", did you mean "t"?', s.undo, s, core.array{1}, "T")
  local one = scale.minmax(windows.table(core.array{2, 4}, {"x"}))
  lu.assertEquals(one:undo(core.array{0.5}):totable(), {3})
end

function TestMinmax.testRefused()
  lu.assertErrorMsgContains("minmax: a table of rows (as lstm.csv returns) or sequences of numbers are needed, got 3",
    scale.minmax, 3)
  lu.assertErrorMsgContains('column "x" has values that are not finite', scale.minmax,
    windows.table(core.array{1, 0 / 0, 3}, {"x"}))
  lu.assertErrorMsgContains("not finite", scale.minmax, windows.table(core.array{1, math.huge}, {"x"}))
end

local TestZscore = {}

function TestZscore.testApplyAndUndo()
  local s = scale.zscore(windows.table(core.array{1, 2, 3, 4, 5}, {"x"}))
  local z = s:apply(windows.table(core.array{1, 3, 5}, {"x"})).data:totable()
  lu.assertAlmostEquals(z[1][1], -math.sqrt(2), 1e-6)
  lu.assertAlmostEquals(z[2][1], 0, 1e-6)
  lu.assertAlmostEquals(s:undo(core.array{math.sqrt(2)}, "x")[1], 5, 1e-5)
end

local TestMeta = {}

function TestMeta.testRoundTrip()
  for _, fit in ipairs{scale.minmax, scale.zscore} do
    local t = rows()
    t.columns[2] = "a name\nof two lines \\ with a stroke"
    local s = fit(t)
    local copy = assert(scale.frommeta(s:tometa()))
    lu.assertEquals(copy.kind, s.kind)
    lu.assertEquals(copy.columns, s.columns)
    lu.assertEquals(copy.offset, s.offset)
    lu.assertEquals(copy.factor, s.factor)
  end
end

function TestMeta.testRefused()
  for _, text in ipairs{"", "minmax", "other\n0 1 x", "minmax\n0 x y", "minmax\n0 0 y", "minmax\nnan 1 y"} do
    local s, message, status = scale.frommeta(text)
    lu.assertNil(s, text)
    lu.assertStrContains(message, "not a scaler")
    lu.assertEquals(status, "format")
  end
end

function TestMeta.testTostring()
  lu.assertStrContains(tostring(scale.minmax(rows())), "minmax t: (x - 10) / 20")
end

local TestSets = {}

function TestSets.testSequences()
  local set = sequences.new{x = {{1, 2, 3}, {5}}, y = {"a", "b"}}
  local s = scale.minmax(set)
  local scaled = s:apply(set)
  lu.assertEquals({scaled.x[1]:totable(), scaled.x[2]:totable()}, {{0, 0.25, 0.5}, {1}})
  lu.assertEquals({scaled.y, scaled.labels, #scaled:slice(2)}, {{"a", "b"}, {"a", "b"}, 1})
  lu.assertTrue(scaled.scaler == s and scaled:split(0.5).scaler == s)
  lu.assertEquals(set.x[1]:totable(), {1, 2, 3})
  set = sequences.new{x = {{{0, 10}, {2, 20}}, {{4, 30}}}}
  lu.assertEquals(scale.minmax(set):apply(set).x[1]:totable(), {{0, 0}, {0.5, 0.5}})
end

function TestSets.testWindows()
  local s = scale.minmax(rows())
  local w = s:apply(rows():windows{look_back = 1, target = {"u", "t"}})
  lu.assertEquals(w:targets():totable(), {{0.25, 0.5}, {1, 1}})
  lu.assertTrue(w.scaler == s)
end

function TestSets.testUndoOfSeveral()
  local s = scale.minmax(rows())
  lu.assertEquals(s:undo(core.array{{0, 0}, {1, 0.25}}, {"t", "u"}):totable(), {{10, -1}, {30, 0}})
  lu.assertEquals(s:undo(core.array{{0, 0, 0.5, 1}}, {"t", "u"}):totable(), {{10, -1, 20, 3}})
  lu.assertEquals(s:undo(core.array{0.5, 1}, {"t", "u"}):totable(), {20, 3})
  lu.assertEquals(s:undo(core.array{{0, 0.5, 1}}, "t"):totable(), {{10, 20, 30}})
  lu.assertEquals(s:undo(core.array{{0, 0.5, 1}}, {"t"}):totable(), {{10, 20, 30}})
  lu.assertEquals(s:undo(s:apply(rows())).data:totable(), rows().data:totable())
end

local TestWrongUses = {}

local function raises(sentence, ...)
  local ok, why = pcall(...)
  lu.assertFalse(ok)
  lu.assertEquals((why:gsub("^[^\n]-:%d+: ", "")), sentence)
end

function TestWrongUses.testScalers()
  raises("minmax: a table of rows (as lstm.csv returns) or sequences of numbers are needed, got nil", scale.minmax)
  raises("zscore: a table of rows (as lstm.csv returns) or sequences of numbers are needed, got a set of windows",
    scale.zscore, rows():windows{look_back = 1})
  raises('zscore: column "x" has values that are not finite', scale.zscore, windows.table(core.array{1, 0 / 0}, {"x"}))
  raises("minmax: the set is empty", scale.minmax, sequences.new{})
  raises("minmax: sequence 1 has no numbers to scale", scale.minmax, sequences.new{x = {"text"}})
  raises("minmax: x of sequence 2 must be an array [T][1], it is [1][2]", scale.minmax,
    sequences.new{x = {{1}, {{1, 2}}}})
end

function TestWrongUses.testApplyAndUndo()
  local s = scale.minmax(rows())
  local scaled = s:apply(rows())
  raises("apply: this is scaled already", s.apply, s, scaled)
  raises("apply: a table of rows, sequences or windows are needed, got a userdata", s.apply, s, core.array{1})
  raises('apply: unknown column "v", did you mean "t"? (there are t, u and same)', s.apply, s,
    windows.table(core.array{1}, {"v"}))
  raises("apply: sequence 1 has 1 columns, the scaler 3", s.apply, s, sequences.new{x = {{1}}})
  raises("undo: an array or a table of rows is needed, got 5", s.undo, s, 5, "t")
  raises("undo: say which column this is (there are t, u and same)", s.undo, s, core.array{1})
  raises('undo: unknown column "T", did you mean "t"? (there are t, u and same)', s.undo, s, core.array{1}, "T")
  raises("undo: 2 columns are named, the array has 3 numbers in a row", s.undo, s, core.array{{1, 2, 3}}, {"t", "u"})
  raises('scaler: there is no method "aply"; did you mean "apply"?', function() return s.aply end)
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{
  {"TestMinmax", TestMinmax},
  {"TestZscore", TestZscore},
  {"TestMeta", TestMeta}, {"TestSets", TestSets}, {"TestWrongUses", TestWrongUses},
}, true)
