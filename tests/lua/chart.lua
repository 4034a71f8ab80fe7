-- Text plots: lines that are no wider than asked for, labels, marks, several series, ASCII; sparklines.
local lu = require "luaunit"
local lstm = require "lstm"

-- Draws without what depends on the terminal.
local function draw(values, opts)
  opts = opts or {}
  opts.width = opts.width or 60
  if opts.ascii == nil then opts.ascii = false end
  opts.color = opts.color or false
  return lstm.chart(values, opts)
end

local function rows_of(text)
  local rows = {}
  for line in (text .. "\n"):gmatch "(.-)\n" do rows[#rows + 1] = line end
  return rows
end

local function falling(n)
  local list = {}
  for i = 1, n do list[i] = 3 / i end
  return list
end

local TestChart = {}

function TestChart.testSizes()
  for _, width in ipairs{20, 33, 80} do
    for _, height in ipairs{3, 7, 20} do
      for _, ascii in ipairs{false, true} do
        local text = draw({{falling(50), name = ("long name "):rep(9)}, {falling(9), name = "b"}}, {
          width = width, height = height, ascii = ascii, title = ("title "):rep(30), x = ("x "):rep(99), y = "loss",
          marks = {{x = 5, y = 1, label = ("mark "):rep(40)}}})
        local axis
        for i, row in ipairs(rows_of(text)) do
          lu.assertTrue(utf8.len(row) <= width, row)
          if row:find(ascii and "^ *%+%-+$" or "^ *\u{2514}") then axis = i end
        end
        lu.assertEquals(axis, 2 + height + 1)                    -- below the title, the name of y and the field
      end
    end
  end
end

function TestChart.testAsciiIsAscii()
  local text = draw({{{1, 2}, name = "caf\u{e9} \27[31m"}}, {ascii = true, title = "\u{65e5}\u{672c}", width = 30})
  lu.assertNil(text:find "[^\32-\126\n]")
  lu.assertStrContains(text, "caf? ")
end

-- A rising line goes from the lower left corner to the upper right one.
function TestChart.testShape()
  local rows = rows_of(draw({0, 2, 4}, {ascii = true, width = 24, height = 5}))
  lu.assertEquals(rows, {
    "4 +                  ***",
    "  |             *****",
    "2 +        *****",
    "  |   *****",
    "0 +***",
    "  +---------------------",
    "   1         2         3",
  })
end

function TestChart.testBraille()
  local rows = rows_of(draw({0, 4}, {width = 20, height = 3}))
  lu.assertStrContains(rows[1], "\u{2809}")                     -- the two upper dots, at the right end
  lu.assertStrContains(rows[3], "\u{28c0}")                     -- the two lower dots, at the left end
  for _, row in ipairs{rows[1], rows[2], rows[3]} do
    for _, c in require "lstm.utf".characters(row) do
      lu.assertTrue(#c == 1 or c >= "\u{2800}" and c <= "\u{28ff}" or c == "\u{2502}" or c == "\u{2524}", row)
    end
  end
end

function TestChart.testSeveralSeries()
  local series = {{{1, 2, 3}, name = "training"}, {{3, 2, 1}, name = "validation"}}
  local text = draw(series)
  lu.assertStrContains(text, "\u{2812} training  o validation")
  lu.assertStrContains(text, "ooo")
  text = draw(series, {ascii = true})
  lu.assertStrContains(text, "* training  o validation")
  lu.assertNil(text:find "\27")
  text = draw(series, {color = true})
  lu.assertStrContains(text, "\27[33m")
  lu.assertEquals(select(2, text:gsub("\27%[0m", "")) > 0, true)
  lu.assertNil(text:find "o[o ]o")                              -- all are braille, told apart by colour
end

function TestChart.testMarks()
  local text = draw({3, 1, 2}, {marks = {{x = 2, y = 1, label = "best 1"}}})
  lu.assertEquals(select(2, text:gsub("\u{25cf}", "")), 2)
  lu.assertStrContains(text, "\u{25cf} best 1")
  lu.assertStrContains(draw({3, 1, 2}, {ascii = true, marks = {{x = 2, y = 1, label = "best 1"}}}), "@ best 1")
end

function TestChart.testDatesAndLog()
  local text = draw({{{1, 2}, x = {"1981-01-01", "1990-12-31"}}})
  lu.assertStrContains(text, "1985")
  text = draw({1, 10, 100, 1000}, {log = true, height = 12})
  for _, label in ipairs{"1000", "100", "10"} do lu.assertStrContains(text, label) end
end

-- Without colours the letters of the second series do not hide the first.
function TestChart.testFirstOnTop()
  local one = {1, 3, 2, 5, 4, 1, 2, 6}
  local alone = draw({{one, name = "a"}}, {color = false, ascii = false})
  local both = draw({{one, name = "a"}, {one, name = "b"}}, {color = false, ascii = false})
  local function field(text) return (text:gsub("\n[^\n]*$", ""):gsub("o", " "):gsub(" +\n", "\n")) end
  lu.assertStrContains(both, "o b")
  lu.assertEquals(field(both), field(alone))
end

function TestChart.testOddData()
  for _, values in ipairs{{5}, {0, 0}, {0 / 0}, {0 / 0, 1}, {1e-9, -1e-9}, {1e30, -1e30}, {math.huge, 2}, {-1e9, 1e9}}
  do
    for _, log in ipairs{false, true} do
      local rows = rows_of(draw(values, {log = log, width = 30}))
      for _, row in ipairs(rows) do lu.assertTrue(utf8.len(row) <= 30, row) end
    end
  end
  lu.assertEquals(draw(lstm.array{1, 3, 2}), draw{1, 3, 2})
end

local TestHistory = {}

local function sample()
  local h = lstm.history.new()
  for i = 1, 9 do h:add{epoch = i, loss = 3 / i, val_loss = 1 + (i - 4) ^ 2, accuracy = i / 9} end
  return h
end

function TestHistory.testLosses()
  local text = sample():chart{ascii = true, color = false, width = 60}
  for _, part in ipairs{"* training", "o validation", "@ best 1", "epoch"} do lu.assertStrContains(text, part) end
end

function TestHistory.testColumns()
  local text = sample():chart{ascii = true, color = false, width = 60, columns = {"accuracy"}}
  lu.assertStrContains(text, "* accuracy")
  lu.assertNotStrContains(text, "training")
end

local TestSpark = {}

local function spark(values, opts)
  opts = opts or {}
  opts.ascii = opts.ascii or false
  return lstm.spark(values, opts)
end

function TestSpark.testBlocks()
  lu.assertEquals(spark{0, 1, 2, 3, 4, 5, 6, 7}, "\u{2581}\u{2582}\u{2583}\u{2584}\u{2585}\u{2586}\u{2587}\u{2588}")
  lu.assertEquals(spark(lstm.array{0, 7}), "\u{2581}\u{2588}")
  lu.assertEquals(spark({0, 7}, {ascii = true}), "_@")
  lu.assertEquals(spark{}, "")
  lu.assertEquals(utf8.len(spark{3, 3, 3}), 3)
  lu.assertEquals(spark{0, 0 / 0, 7}, "\u{2581} \u{2588}")
end

function TestSpark.testWidthTakesMeans()
  lu.assertEquals(spark({0, 0, 0, 0, 8, 6, 7, 7}, {width = 2}), "\u{2581}\u{2588}")
  lu.assertEquals(utf8.len(spark(falling(1000), {width = 33})), 33)
  lu.assertEquals(utf8.len(spark(falling(5), {width = 33})), 5)
end

-- LC_ALL counts before LC_CTYPE before LANG.
function TestSpark.testLocale()
  local binary = os.getenv "LSTM" or "./lstm"
  local function said(environment)
    local pipe = assert(io.popen(("env -u LC_ALL -u LC_CTYPE -u LANG %s %s -e 'print(require \"lstm\".spark{0, 7})'")
      :format(environment, binary)))
    local text = pipe:read "*a"
    pipe:close()
    return text
  end
  lu.assertEquals(said "LANG=C", "_@\n")
  lu.assertEquals(said "LANG=C.UTF-8", "\u{2581}\u{2588}\n")
  lu.assertEquals(said "LANG=de_DE.utf8 LC_CTYPE=C", "_@\n")
  lu.assertEquals(said "LC_ALL=C LANG=C.UTF-8", "_@\n")
end

local TestWrongUses = {}

-- Runs a line of a user's script; it must fail there with exactly this sentence.
local function fails(line, sentence)
  local chunk = assert(load("local lstm = require 'lstm'\nlocal _ = " .. line .. "\nreturn _", "=user.lua"))
  local fine, message = pcall(chunk)
  lu.assertFalse(fine, line)
  lu.assertEquals(message, "user.lua:2: " .. sentence)
end

function TestWrongUses.test()
  fails("lstm.chart()", "chart: give the values, a list or an array of numbers")
  fails("lstm.chart{}", "chart: there is nothing to draw, the list is empty")
  fails("lstm.chart{'a'}", 'chart: series 1 must be an array or a table of numbers, got "a" (a string)')
  fails("lstm.chart{1, 'b'}", 'chart: series 1: element 2 is "b" (a string)')
  fails("lstm.chart({1, 2}, {widht = 3})", 'chart: unknown option "widht", did you mean "width"? (there are ascii, ' ..
    "color, dates, height, log, marks, title, width, x and y)")
  fails("lstm.chart({1, 2}, {width = 3})", 'chart: option "width" must be a whole number from 20 to 1000, got 3')
  fails("lstm.chart({1, 2}, {marks = {1}})", "chart: mark 1 must be {x = number, y = number, label = text}")
  fails("lstm.chart{{{1, 2}, x = {1}}}", "chart: series 1 has 2 values, but 1 places on x")
  fails("lstm.chart(lstm.zeros{2, 3})",
    "chart: series 1 must have one axis, got 2 x 3; a:column(1) is the first column")
  fails("lstm.spark()", "spark: the values must be an array or a table of numbers, got nil")
  fails("lstm.spark({1}, {width = 0})", 'spark: option "width" must be a whole number from 1 to 1000, got 0')
  fails("lstm.history.new():chart()", "chart: the history is empty")
  fails("lstm.history.new():chart{colums = {}}", 'chart: unknown option "colums", did you mean "columns"? (there ' ..
    "are ascii, color, columns, dates, height, log, marks, title, width, x and y)")
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{
  {"TestChart", TestChart},
  {"TestHistory", TestHistory},
  {"TestSpark", TestSpark},
  {"TestWrongUses", TestWrongUses},
}, true)
