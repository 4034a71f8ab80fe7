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
  lu.assertEquals(text:sub(1, 10), "0 10 20 30")
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
  lu.assertErrorMsgContains('"line", "dash", "dots" and "muted"', plot, {{{1}, style = "wavy"}})
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

function TestHistory.testMistakes()
  lu.assertErrorMsgContains("is empty", plot.history, history.new())
  lu.assertErrorMsgContains('did you mean "title"', plot.history, sample(), nil, {titel = 1})
end

os.exit(lu.LuaUnit.new():runSuiteByInstances{
  {"TestLine", TestLine},
  {"TestHistory", TestHistory},
}, true)
