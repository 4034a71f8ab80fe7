-- Scalers: fitted on one part, applied to others, undone by column name, carried in a model file.
local lu = require "luaunit"
local scale = require "lstm.scale"
local windows = require "lstm.windows"
local core = require "lstm.core"

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
  lu.assertErrorMsgContains("minmax: a table of rows (as lstm.csv returns) or sequences of numbers are needed, got 3", scale.minmax, 3)
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

os.exit(lu.LuaUnit.new():runSuiteByInstances{
  {"TestMinmax", TestMinmax},
  {"TestZscore", TestZscore},
  {"TestMeta", TestMeta},
}, true)
