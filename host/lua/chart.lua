-- chart.lua: plots for the terminal: lines of braille dots, two by four in a character, and sparklines. A locale that
-- is not UTF-8 gets ASCII.

local axes = require "lstm.axes"
local core = require "lstm.core"
local curves = require "lstm.curves"
local lines = require "lstm.lines"
local options = require "lstm.options"
local progress = require "lstm.progress"
local svg = require "lstm.svg"
local utf = require "lstm.utf"

local chart = {}

local floor, max, min = math.floor, math.max, math.min
local GLYPHS = {"*", "o", "+", "x", "#", "%"}
local COLORS = {"34", "33", "32", "35", "31", "36"}
local BITS = {{1, 2, 4, 64}, {8, 16, 32, 128}}               -- of the dots of a braille character, by column and row
local SPARKS = {"\226\150\129", "\226\150\130", "\226\150\131", "\226\150\132", "\226\150\133", "\226\150\134",
  "\226\150\135", "\226\150\136"}
local ASCII_SPARKS = {"_", ".", "-", "=", "+", "*", "#", "@"}

-- How many columns a text takes: characters of three and more bytes of the far east take two.
local function columns(text)
  local sum = 0
  for c in text:gmatch(svg.CHARACTER) do sum = sum + (#c >= 3 and c >= "\226\186\128" and 2 or 1) end
  return sum
end

-- The text in at most `room` columns.
local function cut(text, room, ascii)
  if columns(text) <= room then return text end
  local tail, kept, width = ascii and "..." or "\226\128\166", {}, 0
  room = room - columns(tail)
  for c in text:gmatch(svg.CHARACTER) do
    width = width + columns(c)
    if width > room then break end
    kept[#kept + 1] = c
  end
  return room < 0 and "" or table.concat(kept) .. tail
end

-- Text for the terminal: no control characters, and nothing beyond ASCII where that cannot be shown.
local function plain(text, ascii)
  text = svg.clean(text):gsub("\226\136\146", "-"):gsub("\226\128\147", "-")
  return ascii and text:gsub("[\194-\244][\128-\191]*", "?") or text
end

-- [Raster]

-- Visits the points of a line from one to the other.
local function walk(x1, y1, x2, y2, visit)
  local steps = max(math.abs(x2 - x1), math.abs(y2 - y1))
  for k = 0, steps do
    local share = steps > 0 and k / steps or 0
    visit(floor(x1 + (x2 - x1) * share + 0.5), floor(y1 + (y2 - y1) * share + 0.5))
  end
end

-- A dot of a series: braille dots of a character are added up, a glyph replaces what was there.
local function put_braille(raster, x, y, series)
  local column, row = floor(x / 2), floor(y / 4)
  local at = raster[row][column]
  if not at or not at.dots then
    at = {dots = {}, bits = 0}
    raster[row][column] = at
  end
  local bit = BITS[x % 2 + 1][y % 4 + 1]
  if not at.dots[bit] then at.bits = at.bits + bit end
  at.dots[bit], at.series = true, series
end

-- Draws a series: as a line, or its dots alone.
local function draw_series(raster, frame, line, k, braille)
  local wide, high = braille and 2 or 1, braille and 4 or 1
  local function put(x, y)
    if braille then return put_braille(raster, x, y, k) end
    raster[y][x] = {glyph = GLYPHS[(k - 1) % #GLYPHS + 1], series = k}
  end
  local last_x, last_y
  for i, value in ipairs(line.y) do
    local place = line.x[i]
    if axes.finite(value) and axes.finite(place) and not (frame.y.log and value <= 0) then
      local x = floor(axes.position(frame.x, place) * (frame.columns * wide - 1) + 0.5)
      local y = floor((1 - axes.position(frame.y, value)) * (frame.rows * high - 1) + 0.5)
      if last_x and line.style ~= "dots" then walk(last_x, last_y, x, y, put) else put(x, y) end
      last_x, last_y = x, y
    else
      last_x = nil
    end
  end
end

local function character(at)
  if at.glyph then return at.glyph end
  return "\226" .. string.char(160 + floor(at.bits / 64), 128 + at.bits % 64)
end

-- A row of the raster as text; colours change where the series does.
local function row_text(row, count, color)
  local out, now = {}, nil
  for c = 0, count - 1 do
    local at = row[c]
    local code = at and color and at.series and COLORS[(at.series - 1) % #COLORS + 1] or nil
    if code ~= now then out[#out + 1] = code and "\27[" .. code .. "m" or "\27[0m" end
    now = code
    out[#out + 1] = at and character(at) or " "
  end
  if now then out[#out + 1] = "\27[0m" end
  return (table.concat(out):gsub(" +$", ""))
end

-- [Axes]

-- The label of each row that has one: {[row] = text}, and the width of the widest.
local function y_labels(frame, ascii)
  local labels, widest = {}, 0
  for _, tick in ipairs(frame.y.ticks) do
    local row = floor((1 - axes.position(frame.y, tick.at)) * (frame.rows - 1) + 0.5)
    if row >= 0 and row < frame.rows and not labels[row] then
      labels[row] = plain(tick.label, ascii)
      widest = max(widest, columns(labels[row]))
    end
  end
  return labels, widest
end

-- The labels below the x axis: as many as have room.
local function x_labels(frame, ascii)
  local text, used = "", 0
  for _, tick in ipairs(frame.x.ticks) do
    local label = plain(tick.label, ascii)
    local width = columns(label)
    local at = floor(axes.position(frame.x, tick.at) * (frame.columns - 1) + 0.5) - floor(width / 2)
    at = max(0, min(at, frame.columns - width))
    if at >= used + (used > 0 and 1 or 0) and at + width <= frame.columns then
      text = text .. (" "):rep(at - used) .. label
      used = at + width
    end
  end
  return text
end

local function centred(text, left, room, ascii)
  text = cut(text, room, ascii)
  return (" "):rep(left + floor((room - columns(text)) / 2)) .. text
end

-- Names of the series and the words of the marks, in lines of at most `width` columns.
local function legend(series, marks, opts, sign)
  local items = {}
  for k, line in ipairs(series) do
    if line.name ~= "" then
      local glyph = sign(k)
      if opts.color then glyph = "\27[" .. COLORS[(k - 1) % #COLORS + 1] .. "m" .. glyph .. "\27[0m" end
      items[#items + 1] = {glyph, plain(line.name, opts.ascii)}
    end
  end
  for _, mark in ipairs(marks) do
    if mark.label then items[#items + 1] = {opts.ascii and "@" or "\226\151\143", plain(mark.label, opts.ascii)} end
  end
  local out, line, used = {}, "", 0
  for _, item in ipairs(items) do
    local name = cut(item[2], opts.width - 4, opts.ascii)
    local width = columns(name) + 2
    if used > 0 and used + 2 + width > opts.width then out[#out + 1], line, used = line, "", 0 end
    line, used = line .. (used > 0 and "  " or "") .. item[1] .. " " .. name, used + width + (used > 0 and 2 or 0)
  end
  if used > 0 then out[#out + 1] = line end
  return out
end

-- [The chart]

-- Ranges, ticks and the sizes of the field, as far as the labels leave room.
local function frame_of(opts, series)
  local frame = {rows = opts.height, columns = opts.width}
  frame.y = axes.y(series, opts.log, max(2, floor(opts.height / 3)))
  frame.labels, frame.left = y_labels(frame, opts.ascii)
  frame.left = frame.left + 2
  frame.columns = max(4, opts.width - frame.left)
  frame.x = axes.x(series, max(2, floor(frame.columns / 12)), opts.dates)
  return frame
end

-- The picture in characters: raster[row][column] = {bits or glyph, series}.
local function raster_of(frame, series, marks, opts)
  local raster = {}
  for row = 0, frame.rows - 1 do raster[row] = {} end
  local function draw(k) draw_series(raster, frame, series[k], k, not opts.ascii and (opts.color or k == 1)) end
  if opts.color or opts.ascii then
    for k = 1, #series do draw(k) end
  else                                               -- the thin line of dots is drawn over the letters of the others
    for k = #series, 1, -1 do draw(k) end
  end
  for _, mark in ipairs(marks) do
    if axes.finite(mark.x) and axes.finite(mark.y) and not (opts.log and mark.y <= 0) then
      local column = floor(axes.position(frame.x, mark.x) * (frame.columns - 1) + 0.5)
      local row = floor((1 - axes.position(frame.y, mark.y)) * (frame.rows - 1) + 0.5)
      if raster[row] then raster[row][column] = {glyph = opts.ascii and "@" or "\226\151\143"} end
    end
  end
  return raster
end

local function picture(series, marks, opts)
  local frame = frame_of(opts, series)
  local raster = raster_of(frame, series, marks, opts)
  local out, bar, tick, corner, dash = {}, "\226\148\130", "\226\148\164", "\226\148\148", "\226\148\128"
  if opts.ascii then bar, tick, corner, dash = "|", "+", "+", "-" end
  if opts.title ~= "" then out[1] = cut(plain(opts.title, opts.ascii), opts.width, opts.ascii) end
  local function sign(k)
    if opts.ascii then return GLYPHS[(k - 1) % #GLYPHS + 1] end
    return (opts.color or k == 1) and "\226\160\146" or GLYPHS[(k - 1) % #GLYPHS + 1]
  end
  if opts.y ~= "" then out[#out + 1] = cut(plain(opts.y, opts.ascii), opts.width, opts.ascii) end
  for row = 0, frame.rows - 1 do
    local label = frame.labels[row] or ""
    out[#out + 1] = (" "):rep(frame.left - 2 - columns(label)) .. label .. " " .. (label ~= "" and tick or bar) ..
      row_text(raster[row], frame.columns, opts.color)
  end
  out[#out + 1] = (" "):rep(frame.left - 1) .. corner .. dash:rep(frame.columns)
  out[#out + 1] = (" "):rep(frame.left) .. x_labels(frame, opts.ascii)
  local name = plain(opts.x, opts.ascii)
  if frame.x.years then name = name .. (name ~= "" and ", " or "") .. plain(frame.x.years, opts.ascii) end
  if name ~= "" then out[#out + 1] = centred(name, frame.left, frame.columns, opts.ascii) end
  for _, line in ipairs(legend(series, marks, opts, sign)) do out[#out + 1] = line end
  return table.concat(out, "\n")
end

local spec = {
  width = {type = "integer", min = 20, max = 1000}, height = {type = "integer", default = 12, min = 3, max = 200},
  title = "", x = "", y = "", log = false, ascii = {type = "boolean"}, color = {type = "boolean"},
  marks = {type = "table"}, dates = false,
}

-- What the terminal has, where the caller did not say.
local function fill(opts)
  opts.width = opts.width or min(progress.columns(), 100)
  if opts.ascii == nil then opts.ascii = not utf.terminal() end
  if opts.color == nil then opts.color = progress.color(1) end
  return opts
end

-- A single list or array of numbers, or several with names: as lstm.plot takes them.
local function list_of(values)
  if values == nil then core.raise("chart: give the values, a list or an array of numbers") end
  if type(values) == "table" and not values.shape and type(values[1]) ~= "number" then
    if #values == 0 and not values[1] then core.raise("chart: there is nothing to draw, the list is empty") end
    if values.name == nil and values.x == nil then return values end
  end
  return {values}
end

--- A plot as text for the terminal.
-- values: a list or array [n] of numbers, or several: {values, {values, name = "b", x = places}}, each as a series
--   of lstm.plot; NaN leaves a gap.
-- opts: width (columns; default: those of the terminal, at most 100), height (rows of the field, 12), title, x and y
--   (names of the axes), log, dates, marks ({{x =, y =, label =}, ...}), ascii (default: where the locale is not
--   UTF-8), color (default: where stdout is a terminal that has colours; without it the second series and the next are
--   drawn in letters).
-- Returns the text, without a newline at its end. Raises for what is no number and unknown options.
function chart.draw(values, opts)
  opts = fill(options.check(opts, spec, "chart"))
  local series, dates = lines.read(list_of(values), "chart")
  opts.dates = opts.dates or dates
  for i, mark in ipairs(opts.marks or {}) do
    if type(mark) ~= "table" or type(mark.x) ~= "number" or type(mark.y) ~= "number" then
      core.raise(("chart: mark %d must be {x = number, y = number, label = text}"):format(i))
    end
  end
  return picture(series, opts.marks or {}, opts)
end

--- The losses of a history (or the columns of opts.columns) as draw draws them, the best row marked.
function chart.history(history, opts)
  local checked = {columns = {type = "table"}}
  for name, rule in pairs(spec) do checked[name] = rule end
  opts = fill(options.check(opts, checked, "chart", 3))
  if #history == 0 then core.raise("chart: the history is empty") end
  local list, marks, x = curves.of(history, opts.columns)
  if opts.x == "" then opts.x = x end
  return picture(lines.read(list, "chart"), marks or {}, opts)
end

-- The means of `count` pieces of a list.
local function means(values, count)
  local out = {}
  for k = 1, count do
    local from, to = floor((k - 1) * #values / count) + 1, floor(k * #values / count)
    local sum, n = 0, 0
    for i = from, to do
      if axes.finite(values[i]) then sum, n = sum + values[i], n + 1 end
    end
    out[k] = n > 0 and sum / n or 0 / 0
  end
  return out
end

--- A line of blocks as high as the values; NaN is a space.
-- values: a list or array [n]; opts: width (at most so many blocks, each the mean of its values), ascii (default: where
-- the locale is not UTF-8). Returns the text; "" for no values.
function chart.spark(values, opts)
  opts = options.check(opts, {width = {type = "integer", min = 1, max = 1000}, ascii = {type = "boolean"}}, "spark")
  if opts.ascii == nil then opts.ascii = not utf.terminal() end
  local list = lines.numbers(values, "spark", "the values")
  if opts.width and #list > opts.width then list = means(list, opts.width) end
  local low, high, blocks = math.huge, -math.huge, opts.ascii and ASCII_SPARKS or SPARKS
  for _, value in ipairs(list) do
    if axes.finite(value) then low, high = min(low, value), max(high, value) end
  end
  local out = {}
  for i, value in ipairs(list) do
    local share = high > low and (value - low) / (high - low) or 0.5
    out[i] = axes.finite(value) and blocks[min(#blocks, floor(share * #blocks) + 1)] or " "
  end
  return table.concat(out)
end

return chart
