-- plot.lua: line plots as SVG files that need nothing else.
--
-- A plot is readable on a light and on a dark page (it follows prefers-color-scheme), its text stays text, and a
-- series of a million points becomes a path of a few thousand that looks the same.

local core = require "lstm.core"
local options = require "lstm.options"
local utf = require "lstm.utf"

local plot = {}

local FONT = 13                              -- pixels; titles are larger
local STYLES = {"line", "dash", "dots", "muted"}
local LIGHT = {"#0969da", "#d1570b", "#1a7f37", "#8250df", "#cf222e", "#0b7285"}
local DARK = {"#58a6ff", "#f0883e", "#3fb950", "#bc8cff", "#ff7b72", "#39c5cf"}

local function finite(value) return value - value == 0 end

-- Text for XML: escaped, without characters that XML does not have, and valid UTF-8 whatever was given.
local function escape(text)
  text = tostring(text)
  local bad = utf.broken_at(text)
  while bad do
    text = text:sub(1, bad - 1) .. "?" .. text:sub(bad + 1)
    bad = utf.broken_at(text)
  end
  text = text:gsub("[%z\1-\8\11\12\14-\31]", " ")
  return (text:gsub("[&<>\"']", {["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;"}))
end

-- About how wide a text is in a sans-serif font, in pixels.
local function text_width(text, size)
  local _, continuation = text:gsub("[\128-\191]", "")
  return (#text - continuation) * size * 0.6
end

-- One decimal is finer than a screen; no "-0" and no trailing ".0".
local function px(value)
  local text = ("%.1f"):format(value):gsub("%.0$", "")
  return text == "-0" and "0" or text
end

-- [Scales]

-- The step 1, 2 or 5 times a power of ten that divides `range` into at most about `count` parts.
local function nice_step(range, count)
  local raw = range / count
  local power = 10 ^ math.floor(math.log(raw) / math.log(10) + 1e-9)
  for _, factor in ipairs{1, 2, 5} do
    if raw <= factor * power * (1 + 1e-9) then return factor * power end
  end
  return 10 * power
end

-- 12345.0 -> "12,345", with the decimals that `step` needs. Thousands are marked where the axis reaches 10,000.
local function tick_label(value, step, largest)
  if math.abs(value) < step * 1e-6 then return "0" end
  if step < 1e-6 or math.abs(value) >= 1e9 then return (("%.3g"):format(value):gsub("e%+?(%-?)0*", "e%1")) end
  local decimals = math.max(0, math.ceil(-math.log(step) / math.log(10) - 1e-9))
  local sign, whole, rest = ("%." .. decimals .. "f"):format(value):match("^(%-?)(%d+)(.*)$")
  if largest >= 1e4 and #whole > 3 then
    whole = whole:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
  end
  return (sign == "-" and "\226\136\146" or "") .. whole .. rest               -- a real minus sign
end

local function linear_ticks(low, high, count)
  local step = nice_step(high - low, count)
  local ticks, largest = {}, math.max(math.abs(low), math.abs(high))
  for k = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6) do
    ticks[#ticks + 1] = {at = k * step, label = tick_label(k * step, step, largest)}
  end
  return ticks, step
end

-- Ticks at 1, 2 and 5 times the powers of ten; powers only where there are many; linear ticks within less than one.
local function log_ticks(low, high, count)
  local decades = math.log(high / low) / math.log(10)
  local factors = decades > 4 and {1} or decades > 2 and {1, 3} or {1, 2, 5}
  local ticks = {}
  local first, last = math.floor(math.log(low) / math.log(10) - 1e-9), math.ceil(math.log(high) / math.log(10) + 1e-9)
  local every = decades > 2 * count and math.ceil(decades / count) or 1
  for power = first, last, every do
    for _, factor in ipairs(factors) do
      local at = factor * 10 ^ power
      if at >= low * (1 - 1e-9) and at <= high * (1 + 1e-9) then
        ticks[#ticks + 1] = {at = at, label = tick_label(at, math.min(1, 10 ^ power), high)}
      end
    end
  end
  if #ticks >= 3 then return ticks end
  ticks = linear_ticks(low, high, count)
  for i = #ticks, 1, -1 do
    if ticks[i].at <= 0 then table.remove(ticks, i) end
  end
  return ticks
end

-- The smallest and largest of the finite values of `key` over all series; positive ones only for a log axis.
local function range_of(series, key, log)
  local low, high = math.huge, -math.huge
  for _, line in ipairs(series) do
    for i, value in ipairs(line[key]) do
      local other = line[key == "x" and "y" or "x"][i]
      if finite(value) and finite(other) and (not log or value > 0) then
        if value < low then low = value end
        if value > high then high = value end
      end
    end
  end
  if low > high then return log and 0.1 or 0, 1 end
  return low, high
end

-- Where an axis ends above its largest value: at the tick below if that is all but reached, a little above the value if
-- it is only just beyond a tick (a whole step of nothing would flatten the rest), else at the next tick.
local function axis_end(value, step)
  local beyond = value / step - math.floor(value / step)
  if beyond <= 0.02 then return math.floor(value / step) * step end
  if beyond < 0.2 then return value + 0.03 * step end
  return math.ceil(value / step) * step
end

-- A y axis that covers the data with a little air and ends at ticks where that costs little.
local function y_axis(series, log, count)
  local low, high = range_of(series, "y", log)
  if log then
    if low == high then low, high = low / 2, high * 2 end
    local air = (high / low) ^ 0.05
    low, high = low / air ^ 2, high * air
    return {low = low, high = high, log = true, ticks = log_ticks(low, high, count)}
  end
  if low == high then
    local half = low == 0 and 1 or math.abs(low) / 10
    low, high = low - half, high + half
  end
  local step = nice_step(high - low, count)
  low, high = -axis_end(-low, step), axis_end(high, step)
  return {low = low, high = high, ticks = linear_ticks(low, high, count)}
end

local function x_axis(series, count)
  local low, high = range_of(series, "x")
  if low == high then low, high = low - 1, high + 1 end
  return {low = low, high = high, ticks = linear_ticks(low, high, count)}
end

-- Where a value is on its axis, 0..1.
local function position(axis, value)
  if axis.log then return math.log(value / axis.low) / math.log(axis.high / axis.low) end
  return (value - axis.low) / (axis.high - axis.low)
end

-- [Data]

-- An array ([n] or [n][1]) or a table of numbers -> a table of numbers.
local function numbers(value, what)
  if type(value) == "userdata" or type(value) == "table" and value.shape then
    local n, width, more = value:shape()
    if more or width and width ~= 1 then
      error(("plot: %s must have one axis, got %s"):format(what, table.concat({value:shape()}, " x ")), 4)
    end
    return width and value:reshape{n}:totable() or value:totable()
  end
  if type(value) ~= "table" then
    error(("plot: %s must be an array or a table of numbers, got %s"):format(what, options.show(value)), 4)
  end
  for i, number in ipairs(value) do
    if type(number) ~= "number" then
      error(("plot: %s: element %d is %s"):format(what, i, options.show(number)), 4)
    end
  end
  return value
end

local function read_series(given)
  local series, colors = {}, 0
  for i, item in ipairs(given) do
    local what = ("series %d"):format(i)
    if type(item) ~= "table" or item.shape then item = {item} end
    local checked = options.check(item, {
      name = "", x = true, style = {type = "string", default = "line", choices = STYLES}, ["#"] = true,
    }, "plot: " .. what, 4)
    if checked[1] == nil then error(("plot: %s has no values, as in {values, name = ...}"):format(what), 4) end
    local line = {name = checked.name, style = checked.style, y = numbers(checked[1], what)}
    if checked.x ~= nil then
      line.x = numbers(checked.x, what .. " x")
      if #line.x ~= #line.y then
        error(("plot: %s has %d values, but %d places on x"):format(what, #line.y, #line.x), 4)
      end
    else
      line.x = {}
      for k = 1, #line.y do line.x[k] = k end
    end
    if #line.y == 1 and line.style == "line" then line.style = "dots" end
    if line.style ~= "muted" then colors = colors + 1 end            -- grey lines leave the colours to the others
    line.color = math.max(1, colors)
    series[i] = line
  end
  return series
end

-- Runs of points without gaps, in pixels: {{x1, y1, x2, y2, ...}, ...}.
local function runs_of(line, frame)
  local runs, run = {}, nil
  for i, value in ipairs(line.y) do
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

-- [Drawing]

local function path_of(runs)
  local parts = {}
  for _, run in ipairs(runs) do
    if #run > 4 * 800 then run = thinned(run) end
    parts[#parts + 1] = "M" .. px(run[1]) .. " " .. px(run[2])
    if #run == 2 then parts[#parts + 1] = "h0" end          -- a lone point: round caps make it a dot
    for k = 3, #run, 2 do parts[#parts + 1] = "L" .. px(run[k]) .. " " .. px(run[k + 1]) end
  end
  return table.concat(parts)
end

-- Dots are a path too: one zero-length stroke each.
local function dots_of(runs)
  local parts = {}
  for _, run in ipairs(runs) do
    for k = 1, #run, 2 do parts[#parts + 1] = "M" .. px(run[k]) .. " " .. px(run[k + 1]) .. "h0" end
  end
  return table.concat(parts)
end

local function style_sheet(count)
  local light, dark = {}, {}
  for i = 1, count do
    local k = (i - 1) % #LIGHT + 1
    light[i] = (".c%d{stroke:%s}.f%d{fill:%s}"):format(i, LIGHT[k], i, LIGHT[k])
    dark[i] = (".c%d{stroke:%s}.f%d{fill:%s}"):format(i, DARK[k], i, DARK[k])
  end
  return table.concat({
    "<style>",
    "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:" .. FONT .. "px}",
    ".bg{fill:#ffffff}.title{font-size:18px;font-weight:600}.ink{fill:#1f2328}.soft{fill:#59636e}",
    ".grid{stroke:#e6eaee;stroke-width:1}.axis{stroke:#aab2bb;stroke-width:1}",
    ".s{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}",
    ".dash{stroke-dasharray:7 6}.dots{stroke-width:4.5}.muted{stroke-width:1.3;stroke:#8b949e}.mark{stroke-width:2.5}",
    ".ring{stroke:#ffffff}.halo{stroke:#ffffff;stroke-width:4px;stroke-linejoin:round;paint-order:stroke}",
    table.concat(light),
    "@media (prefers-color-scheme:dark){",
    ".bg{fill:#0d1117}.ink{fill:#e6edf3}.soft{fill:#9198a1}.grid{stroke:#232a33}.axis{stroke:#4a525c}",
    ".muted{stroke:#7d8590}.ring,.halo{stroke:#0d1117}",
    table.concat(dark),
    "}</style>",
  }, "\n")
end

local function element_text(x, y, class, text, more)
  return ('<text x="%s" y="%s" class="%s"%s>%s</text>'):format(px(x), px(y), class, more or "", escape(text))
end

local function class_of(line)
  if line.style == "muted" then return "s muted" end
  return "s c" .. line.color .. (line.style ~= "line" and " " .. line.style or "")
end

-- Names with a stroke of their line, in one row that wraps. Returns the elements and the rows used.
local function legend(series, left, right, top)
  local out, x, rows = {}, left, 0
  for _, line in ipairs(series) do
    if line.name ~= "" then
      local width = 30 + text_width(line.name, FONT) + 22
      if rows == 0 then rows = 1 end
      if x + width > right and x > left then x, rows = left, rows + 1 end
      local y = top + (rows - 1) * 20
      local stroke = line.style == "dots" and "M%s %sm11 0h0" or "M%s %sh22"
      out[#out + 1] = ('<path class="%s" d="%s"/>'):format(class_of(line), stroke:format(px(x), px(y - 4.5)))
      out[#out + 1] = element_text(x + 30, y, "ink", line.name)
      x = x + width
    end
  end
  return table.concat(out, "\n"), rows
end

-- Grid, tick labels, axes and their names.
local function draw_axes(frame, opts)
  local out = {}
  for _, tick in ipairs(frame.y.ticks) do
    local y = frame.bottom - position(frame.y, tick.at) * frame.height
    out[#out + 1] = ('<path class="grid" d="M%s %sh%s"/>'):format(px(frame.left), px(y), px(frame.width))
    out[#out + 1] = element_text(frame.left - 9, y + 4.5, "soft", tick.label, ' text-anchor="end"')
  end
  for _, tick in ipairs(frame.x.ticks) do
    local x = frame.left + position(frame.x, tick.at) * frame.width
    out[#out + 1] = ('<path class="axis" d="M%s %sv5"/>'):format(px(x), px(frame.bottom))
    out[#out + 1] = element_text(x, frame.bottom + 21, "soft", tick.label, ' text-anchor="middle"')
  end
  out[#out + 1] = ('<path class="axis" d="M%s %sh%s"/>'):format(px(frame.left), px(frame.bottom), px(frame.width))
  if opts.x ~= "" then
    out[#out + 1] = element_text(frame.left + frame.width / 2, frame.bottom + 44, "soft", opts.x,
      ' text-anchor="middle"')
  end
  if opts.y ~= "" or opts.log then
    local name = opts.y .. (opts.log and (opts.y ~= "" and " (log scale)" or "log scale") or "")
    local x, y = 24, frame.bottom - frame.height / 2
    out[#out + 1] = element_text(x, y, "soft", name,
      (' text-anchor="middle" transform="rotate(-90 %s %s)"'):format(px(x), px(y)))
  end
  return table.concat(out, "\n")
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

-- Where the words beside a point hide the least of the lines: x, y of their left end on the base line.
local function free_place(frame, series, x, y, width)
  local best, fewest
  for _, dy in ipairs{-13, 24, -30, 41, -50, 61, -80, 91, -120, 131} do
    for _, dx in ipairs{4, -4 - width} do
      local left, base = math.max(frame.left + 4, math.min(x + dx, frame.left + frame.width - width - 4)), y + dy
      local inside = left > frame.left and left + width < frame.left + frame.width and
        base - 12 > frame.bottom - frame.height and base + 4 < frame.bottom
      local cost = crossings(series, left - 3, left + width + 3, base - 15, base + 7) + (inside and 0 or 1000)
      if not best or cost < fewest then best, fewest = {left, base}, cost end
    end
  end
  return best[1], best[2]
end

-- A ring on a point with a few words beside it.
local function draw_mark(frame, mark, series)
  local x = frame.left + position(frame.x, mark.x) * frame.width
  local y = frame.bottom - position(frame.y, mark.y) * frame.height
  local color = (series[mark.series or 1] or series[1]).color
  local ring = ('<circle class="ring mark f%d" cx="%s" cy="%s" r="5.5"/>'):format(color, px(x), px(y))
  if not mark.label then return ring end
  local left, base = free_place(frame, series, x, y, text_width(mark.label, FONT))
  return ring .. "\n" .. element_text(left, base, "ink halo", mark.label)
end

-- Margins: as much as titles and labels need.
local function frame_of(opts, series, legend_rows)
  local top = 20 + (opts.title ~= "" and 26 or 0) + legend_rows * 20 + 12
  local bottom = opts.height - (opts.x ~= "" and 58 or 38)
  local frame = {top = top, bottom = bottom, height = bottom - top}
  frame.y = y_axis(series, opts.log, math.max(2, math.floor(frame.height / 55)))
  local widest = 0
  for _, tick in ipairs(frame.y.ticks) do widest = math.max(widest, text_width(tick.label, FONT)) end
  frame.left = 20 + widest + ((opts.y ~= "" or opts.log) and 22 or 0)
  frame.width = opts.width - frame.left - 26
  frame.x = x_axis(series, math.max(2, math.floor(frame.width / 95)))
  frame.x.ticks = opts.x_ticks or frame.x.ticks
  return frame
end

local function draw(opts, series, marks)
  local left = 20
  local legend_top = 20 + (opts.title ~= "" and 26 or 0) + 12
  local names, rows = legend(series, left, opts.width - 20, legend_top)
  local frame = frame_of(opts, series, rows)
  local out = {
    ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">'):format(
      opts.width, opts.height, opts.width, opts.height),
    "<title>" .. escape(opts.title ~= "" and opts.title or "line plot") .. "</title>",
    style_sheet(#series),
    ('<rect class="bg" width="%d" height="%d" rx="8"/>'):format(opts.width, opts.height),
  }
  if opts.title ~= "" then out[#out + 1] = element_text(left, 33, "title ink", opts.title) end
  out[#out + 1] = names
  out[#out + 1] = draw_axes(frame, opts)
  for _, line in ipairs(series) do
    line.runs = runs_of(line, frame)
    local d = line.style == "dots" and dots_of(line.runs) or path_of(line.runs)
    if d ~= "" then out[#out + 1] = ('<path class="%s" d="%s"/>'):format(class_of(line), d) end
  end
  for _, mark in ipairs(marks or {}) do
    if finite(mark.x) and finite(mark.y) and not (opts.log and mark.y <= 0) then
      out[#out + 1] = draw_mark(frame, mark, series)
    end
  end
  out[#out + 1] = "</svg>\n"
  return table.concat(out, "\n")
end

local spec = {
  file = {type = "string"}, title = "", x = "", y = "", log = false, ["#"] = true, marks = {type = "table"},
  x_ticks = {type = "table"},
  width = {type = "integer", default = 860, min = 200, max = 10000},
  height = {type = "integer", default = 420, min = 150, max = 10000},
}

-- The picture of checked options; blames the caller of the public function.
local function picture(opts)
  if #opts == 0 then error("plot: give at least one series, as in {values, name = ...}", 3) end
  return draw(opts, read_series(opts), opts.marks)
end

local function save(svg, file)
  if not file then return svg end
  local ok, message, status = core.writefile(file, svg)
  if not ok then return nil, message, status end
  return true
end

-- lstm.plot{file = "forecast.svg", title =, x =, y =, {values, name = "measured"}, ...}: a line plot.
-- values: an array [n] or [n][1], or a table of numbers; NaN leaves a gap. Each series: name (shown in the legend),
--   x (places on the x axis, as many; default 1, 2, ...), style "line", "dash", "dots" or "muted" (thin and grey).
-- opts: file (the SVG to write; without it the SVG is returned as a string), title, x and y (names of the axes), log
--   (true: logarithmic y axis; values that are not positive are gaps), width 860, height 420 (pixels),
--   marks (a list of {x =, y =, label =, series = number}: a ring on a point), x_ticks (a list of {at =, label =}
--   for the x axis, as for dates; default: round numbers).
-- Returns true (or the SVG), or nil, message, status where the file cannot be written. Raises on unknown options.
local function line_plot(_, opts)
  opts = options.check(opts, spec, "plot")
  local svg = picture(opts)
  return save(svg, opts.file)
end

-- The column to plot against: epochs where each row is another one, else steps, else the row's number.
local function history_x(history)
  local first = history[1]
  if first.epoch then
    local rising = true
    for i = 2, #history do rising = rising and (history[i].epoch or 0) > (history[i - 1].epoch or 0) end
    if rising then return "epoch" end
  end
  return first.step and "step" or nil
end

--- A plot of a run's losses: training, validation where there is one, and then a ring on its best row.
-- history: what fit returns; file: the SVG to write, or nil to get it as a string.
-- opts: title ("Loss"), y ("loss"), log, width and height as for a line plot.
-- Returns true (or the SVG), or nil, message, status. Raises for an empty history and unknown options.
function plot.history(history, file, opts)
  opts = options.check(opts, {
    title = "Loss", y = "loss", log = spec.log, width = spec.width, height = spec.height,
  }, "plot.history")
  if type(history) ~= "table" or #history == 0 then error("plot.history: the history is empty", 2) end
  local name = history_x(history)
  local places = name and history:column(name) or nil
  opts.x = name or "row"
  opts[1] = {history:column("loss"), x = places, name = "training"}
  local validated = false
  for _, row in ipairs(history) do validated = validated or row.val_loss ~= nil end
  if validated then opts[2] = {history:column("val_loss"), x = places, name = "validation"} end
  local best = history.best and history[history.best].val_loss
  if best then
    opts.marks = {{
      x = places and places[history.best] or history.best, y = best, series = 2, label = ("best %.4g"):format(best),
    }}
  end
  local svg = picture(opts)
  return save(svg, file)
end

return setmetatable(plot, {__call = line_plot})
