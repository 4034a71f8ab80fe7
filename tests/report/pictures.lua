-- pictures.lua FOLDER: extreme pictures, whose labels report.js looks at: none may touch another or leave the picture.

local lstm = require "lstm"

local folder = assert(arg[1], "a folder is needed")
local plot, random = lstm.plot, lstm.rng(1)
local function path(name) return folder .. "/" .. name .. ".svg" end

local function list(n, f)
  local values = {}
  for i = 1, n do values[i] = f(i) end
  return values
end

local LONG = "a very long name that goes on and on, in volts per square metre and then some more of it & <tags>"

-- Histories: one row, two, many, with metrics, with all on one value.
for name, n in pairs{one = 1, two = 2, many = 500} do
  local h = lstm.history.new()
  for i = 1, n do
    h:add{epoch = i, loss = 3 / i + 1e-9, val_loss = 3 / i + (i > n / 2 and i / n or 0), accuracy = 1 - 1 / (i + 1)}
  end
  for _, log in ipairs{false, true} do
    local file = name .. (log and "-log" or "")
    assert(plot.history(h, path("history-" .. file), {log = log}))
    assert(plot.history(h, path("metrics-" .. file), {log = log, metrics = true, title = LONG}))
  end
end

-- Lines of extreme ranges, sizes and names.
local ranges = {
  tiny = {1e-9, 3e-9, 2e-9}, close = {1.0000001, 1.0000002, 1.00000015}, negative = {-5e9, -3e9, -1e9},
  wide = {1e-9, 1e-3, 1, 1e5}, point = {7}, zero = {0, 0, 0}, huge = {1e30, -1e30}, millions = {123456, 9876543},
  gaps = {1, 0 / 0, 3, 1 / 0, 2},
}
for name, values in pairs(ranges) do
  for _, size in ipairs{{200, 150}, {300, 200}, {860, 420}} do
    for _, log in ipairs{false, true} do
      assert(plot{
        file = path(("line-%s-%d%s"):format(name, size[1], log and "-log" or "")), width = size[1], height = size[2],
        log = log, title = LONG, x = LONG, y = LONG, marks = {{x = 1, y = values[1], label = "best " .. values[1]}},
        {values, name = LONG}, {values, name = "b", style = "dash"}, {values, name = "c", style = "muted"},
      })
    end
  end
end

-- Dates, from minutes to centuries.
for name, last in pairs{minutes = "1999-12-31 23:50", hours = "2000-01-01 20:00", days = "2000-01-09",
  weeks = "2000-03-20", months = "2001-05-06", years = "2012-01-01", centuries = "2400-01-01"} do
  for _, width in ipairs{240, 500, 860} do
    local series = {{1, 2}, x = {"1999-12-31 23:20", last}}
    assert(plot{file = path(("dates-%s-%d"):format(name, width)), width = width, series})
  end
end

-- Forecasts of 1, 60 and 100,000 values.
for _, n in ipairs{1, 60, 100000} do
  local truth = list(n, function(i) return math.sin(i / 30) * 1e-3 + random:uniform() * 1e-4 end)
  local guess = list(n, function(i) return math.sin(i / 30) * 1e-3 end)
  assert(plot.forecast(path("forecast-" .. n), {truth = truth, guess = guess, naive = truth, residuals = true,
    band = 1e-4, title = LONG, y = LONG, dates = list(n, function(i) return 4000 + i end)}))
  assert(plot.forecast(path("forecast-narrow-" .. n), {truth = truth, guess = guess, naive = truth, residuals = true,
    width = 400, height = 240, y = "V", last = 50}))
end

-- Confusions of 1 to 30 classes with short and long names, one of them never seen.
for _, k in ipairs{1, 2, 6, 12, 20, 30} do
  for name, label in pairs{short = "c", long = LONG} do
    local counts = list(k, function(i)
      return list(k, function(j)
        if i == 2 then return 0 end
        return i == j and 12345 * i or (i + j) % 3 == 0 and i * j or 0
      end)
    end)
    local labels = list(k, function(i) return i .. label end)
    assert(plot.confusion({labels = labels, counts = counts}, path(("confusion-%s-%d"):format(name, k))))
  end
end
