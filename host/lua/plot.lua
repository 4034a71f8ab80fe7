-- plot.lua: pictures as SVG files that need nothing else: lines, a run's losses, a forecast, a confusion matrix.

local axes = require "lstm.axes"
local core = require "lstm.core"
local curves = require "lstm.curves"
local lines = require "lstm.lines"
local matrix = require "lstm.matrix"
local methods = require "lstm.methods"
local options = require "lstm.options"
local svg = require "lstm.svg"

local plot = methods.guard({}, "plot", nil)

local WIDTH = {type = "integer", default = 860, min = 200, max = 10000}
local HEIGHT = {type = "integer", default = 420, min = 150, max = 10000}

-- Every series that may be drawn, for the style sheet.
local function count_colors(list) return math.max(1, #list) end

-- The marks of a picture: {x =, y =, label =, series =}, checked.
local function read_marks(marks, where)
  for i, mark in ipairs(marks or {}) do
    if type(mark) ~= "table" or type(mark.x) ~= "number" or type(mark.y) ~= "number" then
      core.raise(("%s: mark %d must be {x = number, y = number, label = text}"):format(where, i))
    end
  end
  return marks
end

-- Ticks of the caller's own: {at =, label =}.
local function read_ticks(ticks, where)
  for i, tick in ipairs(ticks or {}) do
    if type(tick) ~= "table" or type(tick.at) ~= "number" or tick.label == nil then
      core.raise(("%s: x_ticks: element %d must be {at = number, label = text}"):format(where, i))
    end
    tick.label = svg.clean(tick.label)
  end
  return ticks
end

-- The title in its place, cut where the picture is too narrow, and where the rest begins.
local function heading(opts, out)
  if opts.title == "" then return 20 end
  out[#out + 1] = svg.text(20, 33, "title ink", svg.fit(opts.title, opts.width - 40, 19))
  return 52
end

local function append(out, more)
  for _, element in ipairs(more) do out[#out + 1] = element end
end

-- A picture of one panel. opts: those of the panel, title, width, height, inline.
local function picture(opts, series)
  local out = {}
  local top = heading(opts, out)
  append(out, (lines.panel({left = 20, top = top, width = opts.width - 40, height = opts.height - top}, opts, series)))
  opts.what, opts.colors = "line plot", count_colors(series)
  return svg.document(opts, out)
end

local spec = {
  file = {type = "string"}, title = "", x = "", y = "", log = false, ["#"] = true, marks = {type = "table"},
  x_ticks = {type = "table"}, dates = false, width = WIDTH, height = HEIGHT,
}

-- lstm.plot{file = "forecast.svg", title =, x =, y =, {values, name = "measured"}, ...}: a line plot.
-- values: an array [n] or [n][1], or a table of numbers; NaN leaves a gap. Each series: name (shown in the legend),
--   x (places on the x axis, as many; default 1, 2, ...; or dates: strings such as "1981-02-28" or "1981-02-28 14:30"),
--   style "line", "dash", "thin", "dots" or "muted" (thin and grey), band ({low, high}: an area around it).
-- opts: file (the SVG to write; without it the SVG is returned as a string), title, x and y (names of the axes), log
--   (true: logarithmic y axis; values that are not positive are gaps), width 860, height 420 (pixels),
--   marks (a list of {x =, y =, label =, series = number}: a ring on a point), dates (true: x are days since
--   1970-01-01), x_ticks (a list of {at =, label =} for the x axis; default: round numbers, or round dates).
-- Returns true (or the SVG), or nil, message, status where the file cannot be written. Raises on unknown options.
local function line_plot(_, opts)
  opts = options.check(opts, spec, "plot")
  if #opts == 0 then core.raise("plot: give at least one series, as in {values, name = ...}") end
  local series, dates = lines.read(opts, "plot")
  opts.dates = opts.dates or dates
  if opts.dates and opts.x == "" then opts.x = "date" end
  read_marks(opts.marks, "plot")
  read_ticks(opts.x_ticks, "plot")
  return svg.save(picture(opts, series), opts.file)
end

-- [History]

-- Two panels above each other that share their x axis: the losses get a little more than half.
local function two_panels(opts, upper, series, lower, others)
  opts.height = math.max(opts.height, 300)
  local out = {}
  local top = heading(opts, out)
  local room = opts.height - top
  local box = {left = 20, top = top, width = opts.width - 40, height = math.floor(room * 0.52)}
  box.margin = math.max(lines.margin(box, upper, series), lines.margin(box, lower, others))
  append(out, (lines.panel(box, upper, series)))
  box.top, box.height = top + box.height, room - box.height
  append(out, (lines.panel(box, lower, others)))
  opts.what = "line plot"
  return svg.document(opts, out)
end

--- A plot of a run's losses: training, validation where there is one, and then a ring on its best row.
-- history: what fit returns; file: the SVG to write, or nil to get it as a string.
-- opts: title ("Loss"), y ("loss"), log, width and height as for a line plot; metrics: a list of columns, or true for
--   all metrics, in a panel of their own below the losses.
-- Returns true (or the SVG), or nil, message, status. Raises for an empty history and unknown options.
function plot.history(history, file, opts)
  opts = options.check(opts, {
    title = "Loss", y = "loss", log = spec.log, width = WIDTH, height = HEIGHT, inline = false,
    metrics = {type = {"table", "boolean"}},
  }, "plot.history")
  if type(history) ~= "table" then core.raise("plot.history: a history expected, got " .. options.show(history)) end
  if #history == 0 then core.raise("plot.history: the history is empty") end
  if not history.column then core.raise("plot.history: a history expected, as fit returns it, got a plain table") end
  local metrics = curves.metrics(history, opts.metrics)
  local losses, marks, x = curves.of(history)
  local series = lines.read(losses, "plot.history")
  local upper = {x = #metrics == 0 and x or "", y = opts.y, log = opts.log, marks = marks}
  if #metrics == 0 then
    for key, value in pairs(upper) do opts[key] = value end
    return svg.save(picture(opts, series), file)
  end
  local lower = {x = x, y = #metrics == 1 and metrics[1]:gsub("_", " ") or "metrics"}
  local columns
  columns, lower.marks = curves.of(history, metrics)
  local others = lines.read(columns, "plot.history")
  for k, line in ipairs(others) do line.color = #series + k end
  opts.colors = #series + #metrics
  return svg.save(two_panels(opts, upper, series, lower, others), file)
end

-- [Forecast]

-- Root of the mean squared difference where both are finite.
local function rmse(a, b)
  local sum, n = 0, 0
  for i = 1, #a do
    local d = a[i] - b[i]
    if axes.finite(d) then sum, n = sum + d * d, n + 1 end
  end
  return n > 0 and math.sqrt(sum / n) or 0 / 0
end

local function with_error(name, values, truth)
  local value = rmse(values, truth)
  return axes.finite(value) and ("%s (RMSE %.4g)"):format(name, value) or name
end

local function last_of(list, count)
  local part = {}
  for i = math.max(1, #list - count + 1), #list do part[#part + 1] = list[i] end
  return part
end

-- How many residuals fall into each of some twenty bins: low, width of a bin, counts, the largest count.
local function histogram(residuals)
  local low, high = math.huge, -math.huge
  for _, value in ipairs(residuals) do low, high = math.min(low, value), math.max(high, value) end
  if low >= high then low, high = low - 0.5, high + 0.5 end
  local bins, counts, most = math.max(5, math.min(24, math.floor(math.sqrt(#residuals)))), {}, 0
  for k = 1, bins do counts[k] = 0 end
  for _, value in ipairs(residuals) do
    local k = math.min(bins, math.floor((value - low) / (high - low) * bins) + 1)
    counts[k] = counts[k] + 1
    most = math.max(most, counts[k])
  end
  return low, (high - low) / bins, counts, most
end

-- The panel on the right: how often the forecast was too low (left of 0) or too high.
local function draw_residuals(box, residuals, unit)
  local low, step, counts, most = histogram(residuals)
  local high = low + step * #counts
  local reach = math.max(math.abs(low), math.abs(high))
  local names = {x = unit ~= "" and "error, " .. unit or "error", y = "", x_range = {-reach, reach},
    y_range = {0, most * 1.05}, ticks = 5, whole = true}
  local out, frame = lines.panel(box, names, {})
  local bars = {}
  for k, count in ipairs(counts) do
    if count > 0 then
      local left = frame.left + axes.position(frame.x, low + (k - 1) * step) * frame.width
      local height = axes.position(frame.y, count) * frame.height
      bars[#bars + 1] = ("M%s %sv-%sh%sv%sz"):format(svg.px(left + 0.5), svg.px(frame.bottom), svg.px(height),
        svg.px(math.max(1, step / (2 * reach) * frame.width - 1)), svg.px(height))
    end
  end
  out[#out + 1] = ('<path class="bars f1" d="%s"/>'):format(table.concat(bars))
  return out
end

local function residuals_of(guess, truth)
  local list = {}
  for i = 1, #guess do
    local d = guess[i] - truth[i]
    if axes.finite(d) then list[#list + 1] = d end
  end
  return list
end

local forecast_spec = {
  truth = {required = true}, guess = {required = true}, naive = true, band = {type = {"table", "number"}},
  dates = {type = {"table", "userdata"}}, x = "", y = "", title = "", last = {type = "integer", min = 1}, coming = true,
  residuals = {type = "boolean"}, width = WIDTH, height = HEIGHT, inline = false,
}

-- The lists of a forecast, of one length.
local function read_forecast(opts)
  local where, data = "plot.forecast", {}
  for _, name in ipairs{"truth", "guess", "naive"} do
    data[name] = opts[name] ~= nil and lines.numbers(opts[name], where, name) or nil
  end
  local coming = opts.coming ~= nil and lines.numbers(opts.coming, where, "coming") or {}
  local dates = opts.dates and lines.places(opts.dates, where, "dates")
  if type(opts.band) == "table" then
    if #opts.band ~= 2 then core.raise("plot.forecast: band is {low values, high values}, or a number") end
    data.low = lines.numbers(opts.band[1], where, "band")
    data.high = lines.numbers(opts.band[2], where, "band")
  elseif opts.band then
    data.low, data.high = {}, {}
    for i, value in ipairs(data.guess) do data.low[i], data.high[i] = value - opts.band, value + opts.band end
  end
  for name, list in pairs(data) do
    if #list ~= #data.truth then
      core.raise(("plot.forecast: truth has %d values, but %s has %d"):format(#data.truth, name, #list))
    end
  end
  if #data.truth == 0 then core.raise("plot.forecast: there is nothing to draw, truth is empty") end
  if dates and #dates ~= #data.truth + #coming then
    core.raise(("plot.forecast: truth has %d values%s, but dates has %d"):format(#data.truth,
      #coming > 0 and (" and coming %d"):format(#coming) or "", #dates))
  end
  return data, coming, dates
end

-- With more points than this the last value, repeated, only hides the others: only its error is shown.
local PERSISTENCE = 120

-- What is drawn: the last `opts.last` values of each list, measured first, the forecast on top.
local function forecast_series(data, coming, places, opts)
  local n = #data.truth
  local count = math.min(n, opts.last or n)
  local guess_name = with_error("forecast", data.guess, data.truth)             -- the errors are those of all values
  local naive_name = data.naive and with_error("persistence", data.naive, data.truth)
  if not places then
    places = {}
    for i = 1, n + #coming do places[i] = i end
  end
  local part, x, after = {}, {}, {}
  for name, list in pairs(data) do part[name] = last_of(list, count) end
  if count < n then
    opts.title = (opts.title ~= "" and opts.title .. ", the" or "The") .. (" last %d of %d"):format(count, n)
  end
  for i = 1, count do x[i] = places[n - count + i] end
  for i = 1, #coming do after[i] = places[n + i] end
  local list = {{part.truth, x = x, name = "measured", style = "muted"}}
  if part.naive then list[2] = {part.naive, x = x, name = naive_name, style = "thin"} end
  list[#list + 1] = {part.guess, x = x, name = guess_name, band = part.low and {part.low, part.high}}
  if #coming > 0 then
    list[#list + 1] = {coming, x = after, style = "dash",
      name = #coming == 1 and "the next row" or ("the next %d rows"):format(#coming)}
  end
  local series = lines.read(list, "plot.forecast")
  for _, line in ipairs(series) do
    line.color = line.style == "thin" and 2 or line.style == "dash" and 3 or 1
    if line.style == "thin" and count > PERSISTENCE then
      line.style, line.name = "hidden", "not drawn: " .. line.name
    end
  end
  return series
end

--- A forecast beside what was measured, and what persistence (repeating the last value) would have said, with the RMSE
-- of both in the legend.
-- file: the SVG to write, or nil to get it as a string.
-- opts: truth, guess, naive (arrays [n] or [n][1], or tables of numbers; naive may be missing), band ({low, high}, or a
--   number: so much around the guess), coming (forecasts of the rows after those, dashed), dates (as many as truth and
--   coming together, as strings, or days since 1970-01-01), residuals (true: a histogram of the errors beside it), last
--   (draw only so many of the last measured values; errors are those of all), x and y (names of the axes), title,
--   width 860, height 420.
-- Returns true (or the SVG), or nil, message, status. Raises for lists of different length and unknown options.
function plot.forecast(file, opts)
  if type(file) == "table" and opts == nil then file, opts = nil, file end
  opts = options.check(opts, forecast_spec, "plot.forecast")
  local data, coming, dates = read_forecast(opts)
  local errors = opts.residuals and residuals_of(data.guess, data.truth) or {}
  if dates and opts.x == "" then opts.x = "date" end
  opts.dates = dates ~= nil
  local series = forecast_series(data, coming, dates, opts)
  local out = {}
  local top = heading(opts, out)
  local side = #errors > 0 and math.floor(math.min(260, opts.width * 0.32)) or 0
  local box = {left = 20, top = top, width = opts.width - 40 - (side > 0 and side + 16 or 0),
    height = opts.height - top, air = side > 0 and 6 or nil}
  append(out, (lines.panel(box, opts, series)))
  if side > 0 then
    box = {left = opts.width - 20 - side, top = top + 28, width = side, height = box.height - 28, air = 6}
    append(out, draw_residuals(box, errors, opts.y))
  end
  opts.what, opts.colors = "forecast", 3
  return svg.save(svg.document(opts, out), file)
end

-- [Confusion]

--- A confusion matrix: truth in rows, guesses in columns, each field with its count and its share of the row; on the
-- right the recall of each class, below its precision.
-- confusion: {labels = list of names, counts = int32 array [K][K] or nested lists}, as model:confusion gives it.
-- file: the SVG to write, or nil to get it as a string.
-- opts: title ("Confusion"), width (pixels; default by the number of classes).
-- Returns true (or the SVG), or nil, message, status. Raises for what is no confusion matrix and unknown options.
function plot.confusion(confusion, file, opts)
  opts = options.check(opts, {title = "Confusion", width = {type = "integer", min = 200, max = 10000}, inline = false},
    "plot.confusion")
  return svg.save(matrix.draw(matrix.read(confusion, "plot.confusion"), opts, heading), file)
end

--- A page that colours a text by the cells of a model, see report.lua.
function plot.cells(model, text, file, opts)
  local result, message, status = require "lstm.report".cells(model, text, file, opts)
  return result, message, status                     -- no tail call: errors count the levels
end

getmetatable(plot).__call = line_plot
return plot
