-- lines.lua: a panel of lines: series are read, thinned and drawn with their axes, legend and marks.
--
-- A series of a million points becomes a path of a few thousand that looks the same.

local axes = require "lstm.axes"
local core = require "lstm.core"
local options = require "lstm.options"
local svg = require "lstm.svg"

local lines = {}

local px, text_width = svg.px, svg.text_width
local finite, position = axes.finite, axes.position
local STYLES = {"line", "dash", "dots", "muted", "thin"}

-- [Data]

--- An array ([n] or [n][1]) or a table of numbers -> a table of numbers. where, what: for messages.
function lines.numbers(value, where, what)
  if core.is_array(value) or type(value) == "table" and value.shape then
    local n, width, more = value:shape()
    if more or width and width ~= 1 then
      core.raise(("%s: %s must have one axis, got %s%s"):format(where, what, table.concat({value:shape()}, " x "),
        width and width > 1 and not more and "; a:column(1) is the first column" or ""))
    end
    return width and value:reshape{n}:totable() or value:totable()
  end
  if type(value) ~= "table" then
    core.raise(("%s: %s must be an array or a table of numbers, got %s"):format(where, what, options.show(value)))
  end
  for i, number in ipairs(value) do
    if type(number) ~= "number" then
      core.raise(("%s: %s: element %d is %s"):format(where, what, i, options.show(number)))
    end
  end
  return value
end

--- Places on x: numbers, or dates as strings, which become days. Returns the list, and whether they are dates.
function lines.places(value, where, what)
  if type(value) ~= "table" or value.shape or type(value[1]) ~= "string" then
    return lines.numbers(value, where, what), false
  end
  local days = {}
  for i, text in ipairs(value) do
    days[i] = type(text) == "string" and axes.days(text)
    if not days[i] then
      core.raise(("%s: %s: element %d is %s, no date such as 1981-02-28 or 1981-02-28 14:30"):format(where, what, i,
        options.show(text)))
    end
  end
  return days, true
end

local function same_length(list, y, where, what)
  if #list ~= #y then
    core.raise(("%s: %s has %d values, but the series has %d"):format(where, what, #list, #y))
  end
  return list
end

local function read_one(item, where, what)
  if type(item) ~= "table" or item.shape or type(item[1]) == "number" then item = {item} end
  local checked = options.check(item, {
    name = "", x = true, style = {type = "string", default = "line", choices = STYLES}, band = {type = "table"},
    ["#"] = true,
  }, where .. ": " .. what, 4)
  if checked[1] == nil then core.raise(("%s: %s has no values, as in {values, name = ...}"):format(where, what)) end
  local line = {name = svg.clean(checked.name), style = checked.style, y = lines.numbers(checked[1], where, what)}
  if checked.x ~= nil then
    line.x, line.dates = lines.places(checked.x, where, what .. " x")
    if #line.x ~= #line.y then
      core.raise(("%s: %s has %d values, but %d places on x"):format(where, what, #line.y, #line.x))
    end
  else
    line.x = {}
    for k = 1, #line.y do line.x[k] = k end
  end
  if checked.band then
    if #checked.band ~= 2 then core.raise(("%s: %s: band is {low values, high values}"):format(where, what)) end
    line.low = same_length(lines.numbers(checked.band[1], where, what .. " band"), line.y, where, "its band")
    line.high = same_length(lines.numbers(checked.band[2], where, what .. " band"), line.y, where, "its band")
  end
  return line
end

--- The series of a picture, checked: a list of {name, style, color, x, y, low, high}, and whether x are dates.
-- Blames the user's line.
function lines.read(given, where)
  local series, colors, dates = {}, 0, 0
  for i, item in ipairs(given) do
    local line = read_one(item, where, ("series %d"):format(i))
    if line.style ~= "muted" then colors = colors + 1 end            -- grey lines leave the colours to the others
    line.color = math.max(1, colors)
    if line.dates then dates = dates + 1 end
    series[i] = line
  end
  if dates > 0 and dates < #series then
    core.raise(where .. ": some series have dates on x and some numbers; give all of them dates")
  end
  return series, dates > 0
end

-- [Paths]

-- Runs of points without gaps, in pixels: {{x1, y1, x2, y2, ...}, ...}.
local function runs_of(line, frame, values)
  local runs, run = {}, nil
  for i, value in ipairs(values or line.y) do
    local x = line.x[i]
    if finite(value) and finite(x) and not (frame.y.log and value <= 0) then
      run = run or {}
      run[#run + 1] = frame.left + position(frame.x, x) * frame.width
      run[#run + 1] = frame.bottom - position(frame.y, value) * frame.height
    elseif run then
      runs[#runs + 1], run = run, nil
    end
  end
  if run then runs[#runs + 1] = run end
  return runs
end

-- At most four points for each pixel column: the first, the lowest, the highest and the last. The line looks the same.
local function thinned(run)
  if #run <= 4 * 800 then return run end
  local out, i, n = {}, 1, #run
  local function put(k) out[#out + 1], out[#out + 2] = run[k], run[k + 1] end
  while i <= n do
    local column, first, low, high, last = math.floor(run[i]), i, i, i, i
    while i <= n and math.floor(run[i]) == column do
      if run[i + 1] < run[low + 1] then low = i end
      if run[i + 1] > run[high + 1] then high = i end
      last, i = i, i + 2
    end
    local a, b = math.min(low, high), math.max(low, high)
    put(first)
    if a > first then put(a) end
    if b > a and b < last then put(b) end
    if last > first then put(last) end
  end
  return out
end

local function path_of(runs)
  local parts = {}
  for _, run in ipairs(runs) do
    run = thinned(run)
    parts[#parts + 1] = "M" .. px(run[1]) .. " " .. px(run[2])
    if #run == 2 then parts[#parts + 1] = "h0" end          -- a lone point: round caps make it a dot
    for k = 3, #run, 2 do parts[#parts + 1] = "L" .. px(run[k]) .. " " .. px(run[k + 1]) end
  end
  return table.concat(parts)
end

-- Dots are a path too: one zero-length stroke each, and one only of those that are on the same pixel.
local function dots_of(runs)
  local parts, seen = {}, {}
  for _, run in ipairs(runs) do
    for k = 1, #run, 2 do
      local at = math.floor(run[k]) * 65536 + math.floor(run[k + 1])
      if not seen[at] then parts[#parts + 1] = "M" .. px(run[k]) .. " " .. px(run[k + 1]) .. "h0" end
      seen[at] = true
    end
  end
  return table.concat(parts)
end

-- The area between two lines, one piece for each run without gaps; too many pixels are thinned like lines.
local function band_of(line, frame)
  local low, high = {}, {}
  for i = 1, #line.y do
    local fine = finite(line.low[i]) and finite(line.high[i])
    low[i], high[i] = fine and line.low[i] or 0 / 0, fine and line.high[i] or 0 / 0
  end
  local below, parts = runs_of(line, frame, low), {}
  for r, run in ipairs(runs_of(line, frame, high)) do
    local points, back = {}, below[r] and thinned(below[r]) or {}
    run = thinned(run)
    for k = 1, #run, 2 do points[#points + 1] = px(run[k]) .. " " .. px(run[k + 1]) end
    for k = #back - 1, 1, -2 do points[#points + 1] = px(back[k]) .. " " .. px(back[k + 1]) end
    parts[r] = "M" .. table.concat(points, "L") .. "Z"
  end
  return ('<path class="band f%d" d="%s"/>'):format(line.color, table.concat(parts))
end

-- [Legend and marks]

local function class_of(line)
  if line.style == "muted" then return "s muted" .. (#line.y == 1 and " dots" or "") end
  if #line.y == 1 then return "s c" .. line.color .. " dots" end
  return "s c" .. line.color .. (line.style ~= "line" and " " .. line.style or "")
end

-- The series in the order of the legend: what is not drawn comes last.
local function hidden_last(series)
  local list = {}
  for _, hidden in ipairs{false, true} do
    for _, line in ipairs(series) do
      if (line.style == "hidden") == hidden then list[#list + 1] = line end
    end
  end
  return list
end

--- Names with a stroke of their line, in one row that wraps. Returns the elements and the rows used.
function lines.legend(series, left, right, top)
  local out, x, rows = {}, left, 0
  for _, line in ipairs(hidden_last(series)) do
    if line.name ~= "" then
      local name = svg.fit(line.name, right - left - 30)
      local width = 30 + text_width(name) + 22
      if rows == 0 then rows = 1 end
      if x + width - 22 > right and x > left then x, rows = left, rows + 1 end
      local y = top + (rows - 1) * 20
      local stroke = (line.style == "dots" or #line.y == 1) and "M%s %sm11 0h0" or "M%s %sh22"
      if line.style == "hidden" then x = x - 30
      else out[#out + 1] = ('<path class="%s" d="%s"/>'):format(class_of(line), stroke:format(px(x), px(y - 4.5))) end
      out[#out + 1] = svg.text(x + 30, y, line.style == "hidden" and "soft" or "ink", name)
      x = x + width
    end
  end
  return table.concat(out, "\n"), rows
end

-- How many segments of the lines pass through a box in pixels.
local function crossings(series, left, right, top, bottom)
  local count = 0
  for _, line in ipairs(series) do
    for _, run in ipairs(line.runs) do
      for k = 1, #run - 3, 2 do
        local x1, y1, x2, y2 = run[k], run[k + 1], run[k + 2], run[k + 3]
        if x1 < right and x2 > left then
          local slope = x2 > x1 and (y2 - y1) / (x2 - x1) or 0
          local a, b = y1 + slope * math.max(0, left - x1), y2 - slope * math.max(0, x2 - right)
          if math.max(a, b) > top and math.min(a, b) < bottom then count = count + 1 end
        end
      end
    end
  end
  return count
end

-- Where the words beside a point hide the least of the lines: x, y of their left end on the base line; nil where the
-- field is too low for words.
local function free_place(frame, series, x, y, width)
  local best, fewest
  for _, dy in ipairs{-13, 24, -30, 41, -50, 61, -80, 91, -120, 131} do
    for _, dx in ipairs{4, -4 - width} do
      local left, base = math.max(frame.left + 4, math.min(x + dx, frame.left + frame.width - width - 4)), y + dy
      local inside = base - 12 > frame.bottom - frame.height and base + 4 < frame.bottom
      local cost = crossings(series, left - 3, left + width + 3, base - 15, base + 7) + (inside and 0 or 1000)
      if not best or cost < fewest then best, fewest = {left, base}, cost end
    end
  end
  if fewest < 1000 then return best[1], best[2] end
end

-- A ring on a point with a few words beside it.
local function draw_mark(frame, mark, series)
  local x = frame.left + position(frame.x, mark.x) * frame.width
  local y = frame.bottom - position(frame.y, mark.y) * frame.height
  local color = (series[mark.series or 1] or series[1]).color
  local ring = ('<circle class="ring mark f%d" cx="%s" cy="%s" r="5.5"/>'):format(color, px(x), px(y))
  if not mark.label then return ring end
  local label = svg.fit(mark.label, frame.width - 8)
  local left, base = free_place(frame, series, x, y, text_width(label))
  if not left then return ring end
  return ring .. "\n" .. svg.text(left, base, "ink halo", label)
end

-- [The panel]

-- Margins: as much as titles and labels need.
local function frame_of(box, opts, series, rows)
  local top = box.top + rows * 20 + (rows > 0 and 8 or 0)
  local bottom = box.top + box.height - (opts.x ~= "" and 58 or 38)
  local air = box.air or 16
  local frame = {bottom = bottom, height = bottom - top, name_x = box.left + 4, start = box.left - air,
    edge = box.left + box.width + air}
  frame.y = axes.y(series, opts.log, math.max(2, math.floor(frame.height / 55)), opts.y_range,
    opts.whole)
  local margin = axes.widest(frame.y.ticks) + ((opts.y ~= "" or opts.log) and 22 or 0)
  frame.left = box.left + math.max(margin, box.margin or 0)
  frame.width = box.left + box.width - frame.left - 6
  frame.x = axes.x(series, opts.ticks or math.max(3, math.floor(frame.width / 95)), opts.dates, opts.x_range)
  frame.x.ticks = opts.x_ticks or frame.x.ticks
  return frame, margin
end

--- The margin that the labels of a panel's y axis need; panels above each other share the largest.
function lines.margin(box, opts, series)
  local _, margin = frame_of(box, opts, series, 1)
  return margin
end

local LOWEST = 30                            -- pixels of a field: a lower picture gives up its legend

--- Lines with axes and a legend inside a box {left, top, width, height, margin, air} in pixels: a list of elements.
-- margin: room for the y labels, at least; air: how far the x labels may reach beyond the box (16).
-- opts: x, y (names of the axes), log, dates, x_ticks, x_range and y_range ({low, high}), whole (y are counts),
-- ticks (about how many on x), marks.
function lines.panel(box, opts, series)
  local right = box.left + box.width
  local names, rows = lines.legend(series, box.left, right, box.top + 12)
  if box.height - (opts.x ~= "" and 66 or 46) - rows * 20 < LOWEST then names, rows = "", 0 end
  local frame = frame_of(box, opts, series, rows)
  local name = opts.x
  if frame.x.years and not opts.x_ticks then name = (name ~= "" and name .. ", " or "") .. frame.x.years end
  local out = {names, axes.draw(frame, {x = name, y = opts.y, log = opts.log})}
  for _, line in ipairs(series) do
    if line.low then out[#out + 1] = band_of(line, frame) end
  end
  for _, line in ipairs(series) do
    line.runs = line.style == "hidden" and {} or runs_of(line, frame)
    local d = line.style == "dots" and dots_of(line.runs) or path_of(line.runs)
    if d ~= "" then out[#out + 1] = ('<path class="%s" d="%s"/>'):format(class_of(line), d) end
  end
  for _, mark in ipairs(opts.marks or {}) do
    if finite(mark.x) and finite(mark.y) and not (opts.log and mark.y <= 0) then
      out[#out + 1] = draw_mark(frame, mark, series)
    end
  end
  return out, frame
end

return lines
