-- SVG plots: well-formed whatever the text, nice ticks, gaps, thinning, marks, and what is refused.
local lu = require "luaunit"
local plot = require "lstm.plot"
local history = require "lstm.history"
local core = require "lstm.core"

-- Raises unless text is well-formed XML of the kind we write: every tag closed in order, attributes quoted and
-- without raw < or &, only known entities.
local function check_xml(text)
  local open = {}
  for entity in text:gmatch("&([^;]*);?") do
    assert(({amp = 1, lt = 1, gt = 1, quot = 1, ["#39"] = 1})[entity], "entity " .. entity)
  end
  local rest = text:gsub("<(/?)(%a+)([^<>]*)>", function(slash, name, more)
    local left = more:gsub('%s[%w:%-]+="[^"<]*"', "")
    assert(left == "" or left == "/", "attributes of " .. name .. ": " .. left)
    if slash == "/" then
      assert(table.remove(open) == name, "closing " .. name)
    elseif left ~= "/" then
      open[#open + 1] = name
    end
    return ""
  end)
  assert(#open == 0, "not closed: " .. (open[1] or ""))
  assert(not rest:find("[<>]"), "stray bracket")
  assert(utf8.len(text), "not UTF-8")
  return text
end

local function draw(opts) return check_xml(plot(opts)) end

-- All labels of class "soft": ticks and axis names.
local function labels(svg)
  local list = {}
  for text in svg:gmatch('class="soft"[^>]*>([^<]*)<') do list[#list + 1] = text end
  return list
end

local TestLine = {}

function TestLine.testNamesAndAxes()
  local svg = draw{title = "T1", x = "days", y = "degrees", {{1, 2, 3}, name = "measured"}, {{3, 2, 1}, name = "guess"}}
  for _, text in ipairs{"T1", "days", "degrees", "measured", "guess"} do
    lu.assertStrContains(svg, ">" .. text .. "<")
  end
  lu.assertStrContains(svg, "prefers-color-scheme:dark")
  lu.assertNil(svg:find("https?://", svg:find("viewBox")))
end

function TestLine.testTextIsEscaped()
  local svg = draw{title = [[<a> & "b" 'c']] .. "\0\27", {{1, 2}, name = "x < y \255\195"}}
  lu.assertStrContains(svg, "&lt;a&gt; &amp; &quot;b&quot; &#39;c&#39;")
  lu.assertStrContains(svg, "x &lt; y ??")
end

function TestLine.testNiceTicks()
  local svg = draw{{{0, 9.7}}}
  lu.assertItemsEquals({"0", "2", "4", "6", "8", "10"}, {table.unpack(labels(svg), 1, 6)})
  svg = draw{{{-20000, 20000}}}
  lu.assertStrContains(svg, "\u{2212}20,000")
  svg = draw{{{0.001, 0.002}}}
  lu.assertStrContains(svg, ">0.0012<")
end

function TestLine.testATinyNegativeValueTakesNoStep()
  local text = table.concat(labels(draw{{{-0.2, 26}}}), " ")
  lu.assertEquals(text:sub(1, 19), "0 5 10 15 20 25 30 ")
  lu.assertNil(text:find("\u{2212}"))
  lu.assertStrContains(table.concat(labels(draw{{{-8, 26}}}), " "), "\u{2212}10 0")
end

function TestLine.testOwnTicks()
  local svg = draw{x_ticks = {{at = 1, label = "May 1"}, {at = 2, label = "May 2"}}, {{1, 2, 3}}}
  lu.assertStrContains(svg, ">May 1<")
  lu.assertStrContains(svg, ">May 2<")
end

function TestLine.testGapsSplitThePath()
  local svg = draw{{{1, 2, 0 / 0, 4, 5, math.huge, 7}, name = "a"}}
  local d = svg:match('<path class="s c1" d="(M[^"]*L[^"]*)"')
  local _, moves = d:gsub("M", "")
  lu.assertEquals(moves, 3)
  lu.assertNil(svg:find("nan"))
  lu.assertNil(svg:find("inf"))
end

function TestLine.testArrays()
  local a = draw{{core.array{1, 2, 3}}}
  lu.assertEquals(draw{{core.array{{1}, {2}, {3}}}}, a)
  lu.assertEquals(draw{{{1, 2, 3}}}, a)
end

function TestLine.testOddData()
  for _, values in ipairs{{5}, {0, 0, 0}, {0 / 0}, {}, {1e30, -1e30}, {1e-30, 2e-30}, {7, 7}, {-1e9, 1e9}} do
    draw{{values, name = "odd"}}
    draw{log = true, {values, name = "odd"}}
  end
end

function TestLine.testLongSeriesAreThinned()
  local values = {}
  for i = 1, 50000 do values[i] = math.sin(i / 500) end
  values[25000] = 100
  local svg = draw{{values}}
  lu.assertTrue(#svg < 60000, #svg)
  lu.assertStrContains(svg, ">100<")                       -- the peak is still there
  local top = math.huge
  for y in svg:match('<path class="s c1" d="(M[^"]*L[^"]*)"'):gmatch("[ML][%d.]+ ([%d.]+)") do
    top = math.min(top, tonumber(y))
  end
  lu.assertTrue(top < 100)
end

function TestLine.testPlacesOnX()
  local svg = draw{{{1, 2}, x = {1000, 2000}}}
  lu.assertStrContains(svg, ">1400<")
  lu.assertErrorMsgContains("has 2 values, but 1 places", plot, {{{1, 2}, x = {1}}})
end

function TestLine.testLogAxis()
  local svg = draw{log = true, {{1, 10, 1000, 0, -5}}}
  for _, text in ipairs{"1", "10", "100"} do lu.assertStrContains(svg, ">" .. text .. "<") end
end

function TestLine.testStylesAndMarks()
  local svg = draw{marks = {{x = 2, y = 2, label = "here"}}, {{1, 2}, style = "dots"}, {{1, 2}, style = "muted"}}
  lu.assertStrContains(svg, "s c1 dots")
  lu.assertStrContains(svg, "s muted")
  lu.assertStrContains(svg, ">here<")
  lu.assertStrContains(svg, "<circle")
end

function TestLine.testMistakes()
  lu.assertErrorMsgContains('did you mean "title"', plot, {titel = "x", {{1}}})
  lu.assertErrorMsgContains("at least one series", plot, {})
  lu.assertErrorMsgContains("element 2 is", plot, {{{1, "b"}}})
  lu.assertErrorMsgContains("must have one axis, got 2 x 2", plot, {{core.array{{1, 2}, {3, 4}}}})
  lu.assertErrorMsgContains('"line", "dash", "dots", "muted" and "thin"', plot, {{{1}, style = "wavy"}})
end

function TestLine.testFiles()
  local path = os.tmpname()
  lu.assertTrue(plot{file = path, {{1, 2}}})
  lu.assertEquals(core.readfile(path), plot{{{1, 2}}})
  os.remove(path)
  local ok, message = plot{file = "no/such/folder/a.svg", {{1, 2}}}
  lu.assertNil(ok)
  lu.assertStrContains(message, "no/such/folder/a.svg")
end

local TestHistory = {}

local function sample()
  local h = history.new()
  for i = 1, 5 do h:add{step = i * 100, loss = 5 / i, val_loss = 2 + (i - 3) ^ 2} end
  return h
end

function TestHistory.testLosses()
  local svg = check_xml(plot.history(sample()))
  for _, text in ipairs{"training", "validation", "step", "best 2", "loss"} do
    lu.assertStrContains(svg, ">" .. text .. "<")
  end
end

function TestHistory.testEpochs()
  local h = history.new()
  for i = 1, 3 do h:add{epoch = i, step = i * 7, loss = 1 / i} end
  local svg = check_xml(plot.history(h, nil, {log = true}))
  lu.assertStrContains(svg, ">epoch<")
  lu.assertNil(svg:find("validation"))
  lu.assertNil(svg:find("best"))                       -- nothing was validated
  lu.assertStrContains(svg, ">loss (log scale)<")
end

-- A text's looks do not fall on the ends of its epochs: their places are the steps.
function TestHistory.testLooksBetweenEpochs()
  local h = history.new()
  for i = 1, 3 do h:add{epoch = math.ceil(i * 100 / 66), step = i * 100, loss = 1 / i} end
  lu.assertStrContains(plot.history(h), ">step</text>")
  h = history.new()
  for i = 1, 3 do h:add{epoch = 2 * i, step = i * 132, loss = 1 / i} end
  lu.assertStrContains(plot.history(h), ">epoch</text>")
end

function TestHistory.testMistakes()
  lu.assertErrorMsgContains("is empty", plot.history, history.new())
  lu.assertErrorMsgContains('did you mean "title"', plot.history, sample(), nil, {titel = 1})
end


function TestHistory.testMetricsBelow()
  local h = history.new()
  for i = 1, 4 do h:add{epoch = i, loss = 1 / i, val_loss = 2 / i, accuracy = i / 5, f1 = i / 6, lr = 0.1} end
  local svg = check_xml(plot.history(h, nil, {metrics = true}))
  for _, text in ipairs{"accuracy", "f1", "metrics", "loss", "training"} do
    lu.assertStrContains(svg, ">" .. text .. "<")
  end
  lu.assertNotStrContains(svg, ">lr<")
  svg = check_xml(plot.history(h, nil, {metrics = {"accuracy"}}))
  lu.assertNotStrContains(svg, ">f1<")
end

-- A monitored metric has the ring on its own curve.
function TestHistory.testMarkOfAMetric()
  local h = history.new{monitor = "accuracy", mode = "max"}
  for i = 1, 4 do h:add{epoch = i, loss = 1 / i, accuracy = i == 3 and 0.75 or 0.5} end
  lu.assertStrContains(check_xml(plot.history(h, nil, {metrics = {"accuracy"}})), ">best 0.75<")
  lu.assertNotStrContains(plot.history(h), ">best")
end

local TestDates = {}

function TestDates.testTicks()
  local function ticks(x) return table.concat(labels(draw{{{1, 2}, x = x}}), " ") end
  lu.assertStrContains(ticks{"1981-01-01", "1990-12-31"}, "1982 1984 1986 1988 1990")
  lu.assertStrContains(ticks{"1981-01-01", "1981-12-31"}, "Jan 1981 Mar 1981 May 1981")
  lu.assertStrContains(ticks{"1980-02-27", "1980-03-02"},
    "27 Feb 12:00 28 Feb 12:00 29 Feb 12:00 1 Mar 12:00 2 Mar date, 1980")
  lu.assertStrContains(ticks{"1999-12-31 22:00", "2000-01-01T04:00:00"},
    "22:00 23:00 1 Jan 1:00 2:00 3:00 4:00 date, 1999\u{2013}2000")
  lu.assertStrContains(table.concat(labels(draw{dates = true, {{1, 2}, x = {0, 59}}}), " "), "5 Jan")
end

function TestDates.testEveryDayOfACentury()
  local axes = require "lstm.axes"
  local last = axes.days "1899-12-31"
  for year = 1900, 1904 do
    for month = 1, 12 do
      local days = ({31, year == 1904 and 29 or 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31})[month]
      for day = 1, days do
        local at = axes.days(("%d-%02d-%02d"):format(year, month, day))
        lu.assertEquals(at, last + 1)
        last = at
      end
    end
  end
  lu.assertEquals(axes.days "1970-01-01 12:00", 0.5)
  for _, text in ipairs{"", "12", "1981-13-01", "1981-01-01 noon", "Jan 1981"} do lu.assertNil(axes.days(text)) end
end

local TestForecast = {}

function TestForecast.testErrors()
  local svg = check_xml(plot.forecast{truth = {1, 2, 3, 4}, guess = {1, 2, 3, 6}, naive = core.array{0, 1, 2, 3}})
  lu.assertStrContains(svg, ">forecast (RMSE 1)<")
  lu.assertStrContains(svg, ">persistence (RMSE 1)<")
  lu.assertStrContains(svg, ">measured<")
end

function TestForecast.testLastAndDates()
  local truth, dates = {}, {}
  for i = 1, 300 do truth[i], dates[i] = i % 7, ("19%02d-01-01"):format(i % 90 + 10) end
  local svg = check_xml(plot.forecast(nil, {truth = truth, guess = truth, naive = truth, last = 30, title = "T"}))
  lu.assertStrContains(svg, ">T, the last 30 of 300<")
  lu.assertStrContains(check_xml(plot.forecast{truth = truth, guess = truth, dates = dates}), ">date<")
end

-- Persistence of many values is a number only: its line hides the others.
function TestForecast.testLongPersistenceIsNotDrawn()
  local truth = {}
  for i = 1, 121 do truth[i] = i end
  local svg = plot.forecast{truth = truth, guess = truth, naive = truth}
  lu.assertNotStrContains(svg, '"s c2')
  lu.assertStrContains(svg, ">not drawn: persistence (RMSE")
  table.remove(truth)
  lu.assertStrContains(plot.forecast{truth = truth, guess = truth, naive = truth}, '"s c2')
end

function TestForecast.testBandsAndResiduals()
  for _, band in ipairs{0.5, {{0, 1, 2}, {2, 3, 4}}} do
    local svg = check_xml(plot.forecast{truth = {1, 2, 3}, guess = {1, 2, 4}, band = band, residuals = true, y = "m"})
    lu.assertStrContains(svg, '<path class="band f1"')
    lu.assertStrContains(svg, '<path class="bars f1"')
    lu.assertStrContains(svg, ">error, m<")
  end
end

function TestForecast.testOddData()
  for _, values in ipairs{{5}, {0, 0}, {0 / 0, 1}, {1e-9, 2e-9}, {-1e9, -3e9}, {math.huge, 1}} do
    local svg = check_xml(plot.forecast{truth = values, guess = values, naive = values, band = 1, residuals = true})
    lu.assertNil(svg:find "[^%a]nan[^%a]")
    lu.assertNil(svg:find "[^%a]inf[^%a]")
  end
end

local TestConfusion = {}

function TestConfusion.testCountsAndShares()
  local svg = check_xml(plot.confusion{labels = {"cat", "dog"}, counts = {{30, 10}, {0, 60}}})
  for _, text in ipairs{"cat", "dog", "30", "75%", "10", "25%", "60", "100%", "86%", "100 examples, 90.0% right"} do
    lu.assertStrContains(svg, ">" .. text .. "<")
  end
  local counts = core.array({{30, 10}, {0, 60}}, "int32")
  lu.assertEquals(plot.confusion{labels = {"cat", "dog"}, counts = counts}, svg)
end

function TestConfusion.testAClassNeverSeen()
  local svg = check_xml(plot.confusion{labels = {"a", "b"}, counts = {{5, 0}, {0, 0}}})
  lu.assertStrContains(svg, ">\u{2013}<")
  check_xml(plot.confusion{labels = {"a"}, counts = {{0}}})
end

function TestConfusion.testRoundingDoesNotFlatter()
  local svg = check_xml(plot.confusion{labels = {"a", "b"}, counts = {{99999, 1}, {0, 100000}}})
  lu.assertStrContains(svg, ">&gt;99%<")
  lu.assertStrContains(svg, ">&lt;1%<")
  lu.assertStrContains(svg, "&gt;99.9% right")
end

function TestConfusion.testLongNamesAndManyClasses()
  local labels_, counts = {}, {}
  for i = 1, 30 do
    labels_[i], counts[i] = ("<%d> "):format(i) .. ("name "):rep(i), {}
    for j = 1, 30 do counts[i][j] = i * j * 1000 end
  end
  local svg = check_xml(plot.confusion({labels = labels_, counts = counts}, nil, {title = "Names"}))
  lu.assertStrContains(svg, "&lt;30&gt; name")
  lu.assertStrContains(svg, "\u{2026}<")
end

local TestWrongUses = {}

-- A picture is SVG; a name that promises another kind is refused, and nothing is written.
function TestWrongUses.testKindsOfPictures()
  local path = os.tmpname()
  os.remove(path)
  path = path .. ".PNG"
  for _, call in ipairs{
    function() return plot{{1, 2}, file = path} end,
    function() return plot.forecast(path, {truth = {1, 2}, guess = {1, 2}}) end,
  } do
    local _, message = pcall(function() return call() end)
    lu.assertStrMatches(message, "tests/lua/plot.lua:%d+: plot: .*%.PNG: pictures are SVG: name it .*%.svg .*")
    lu.assertNil(io.open(path))
  end
end

-- Runs a line of a user's script; it must fail there with exactly this sentence.
local function fails(line, sentence)
  local chunk = assert(load("local lstm = require 'lstm'\nlocal _ = " .. line .. "\nreturn _", "=user.lua"))
  local fine, message = pcall(chunk)
  lu.assertFalse(fine, line)
  lu.assertEquals(message, "user.lua:2: " .. sentence)
end

function TestWrongUses.testLines()
  fails("lstm.plot{}", "plot: give at least one series, as in {values, name = ...}")
  fails("lstm.plot{{'a', 'b'}}", 'plot: series 1 must be an array or a table of numbers, got "a" (a string)')
  fails("lstm.plot{{1, 2}, {{1, {}}}}", "plot: series 2: element 2 is a table")
  fails("lstm.plot{{name = 'empty'}}", "plot: series 1 has no values, as in {values, name = ...}")
  fails("lstm.plot{{{1, 2}, x = {1}}}", "plot: series 1 has 2 values, but 1 places on x")
  fails("lstm.plot{{{1, 2}, x = {'1981-01-01', 'May'}}}",
    'plot: series 1 x: element 2 is "May" (a string), no date such as 1981-02-28 or 1981-02-28 14:30')
  fails("lstm.plot{{{1}, x = {'1981-01-01'}}, {{1}, x = {1}}}",
    "plot: some series have dates on x and some numbers; give all of them dates")
  fails("lstm.plot{{{1, 2}, nme = 'a'}}",
    'plot: series 1: unknown option "nme", did you mean "name"? (there are band, name, style and x)')
  fails("lstm.plot{marks = {{x = 1}}, {1, 2}}",
    "plot: mark 1 must be {x = number, y = number, label = text}")
  fails("lstm.plot{{lstm.array{{1, 2}, {3, 4}}}}",
    "plot: series 1 must have one axis, got 2 x 2; a:column(1) is the first column")
  fails("lstm.plot{width = 10, {1, 2}}", 'plot: option "width" must be a whole number from 200 to 10000, got 10')
end

function TestWrongUses.testOthers()
  fails("lstm.plot.history({})", "plot.history: the history is empty")
  fails("lstm.plot.history()", "plot.history: a history expected, got nil")
  fails("lstm.plot.history{{loss = 1}}", "plot.history: a history expected, as fit returns it, got a plain table")
  fails("lstm.plot.forecast{truth = {1, 2}}", 'plot.forecast: option "guess" is missing')
  fails("lstm.plot.forecast{truth = {1, 2}, guess = {1}}", "plot.forecast: truth has 2 values, but guess has 1")
  fails("lstm.plot.forecast{truth = {1}, guess = {1}, coming = {2, 3}, dates = {1, 2}}",
    "plot.forecast: truth has 1 values and coming 2, but dates has 2")
  fails("lstm.plot.forecast{truth = {}, guess = {}}", "plot.forecast: there is nothing to draw, truth is empty")
  fails("lstm.plot.forecast{truth = {1}, guess = {1}, band = {{1}}}",
    "plot.forecast: band is {low values, high values}, or a number")
  fails("lstm.plot.confusion{1, 2}",
    "plot.confusion: a confusion matrix is {labels = list of names, counts = array [K][K]}")
  fails("lstm.plot.confusion{labels = {}, counts = {}}", "plot.confusion: there are no classes")
  fails("lstm.plot.confusion{labels = {'a', 'b'}, counts = lstm.zeros{2, 3}}",
    "plot.confusion: 2 labels need counts of 2 x 2, got 2 x 3")
  fails("lstm.plot.confusion{labels = {'a', 'b'}, counts = {{1, 2}, {3}}}",
    "plot.confusion: row 2 of counts must have 2 numbers")
  fails("lstm.plot.confusion{labels = {'a'}, counts = {{-1}}}",
    "plot.confusion: counts[1][1] must be a number of at least 0, got -1")
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{
  {"TestLine", TestLine},
  {"TestHistory", TestHistory},
  {"TestDates", TestDates},
  {"TestForecast", TestForecast},
  {"TestConfusion", TestConfusion},
  {"TestWrongUses", TestWrongUses},
}, true)
