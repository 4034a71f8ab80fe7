-- forecast.lua FILE.csv [options]: learns a series and forecasts what comes next from the last few rows.
--
--   lstm scripts/forecast.lua examples/data/daily-min-temperatures.csv --out t.safetensors --plot forecast.svg
--   lstm scripts/forecast.lua examples/data/daily-min-temperatures.csv --load t.safetensors --next 7
--   lstm scripts/forecast.lua air.csv --columns pollution,dew,temp,press --target pollution --steps 6
--
-- The first 80 % of the rows are learned, the rest is forecast, each time from what was measured before. stdout gets
-- what comes next and, last, `test RMSE X persistence Y`, in the unit of the series: the error of the model, and that
-- of saying "the same as now", which every forecast has to beat; of several targets each has its line, and the first
-- the last one, with `of NAME` at its end. For a column of zeros and ones the last line is
-- `test accuracy X % F1 Y persistence Z %`. Everything else goes to stderr.

local lstm = require "lstm"
local programs = require "lstm.program"
local series = require "lstm.series"

local opt, given = lstm.args(programs.with({
  about = "Learn a series of numbers from a CSV file and forecast what comes next from the last few rows.",
  examples = {
    {"series.csv --out series.safetensors --plot forecast.svg", "learn, test, forecast the next value, draw the test"},
    {"series.csv --load series.safetensors --next 12", "twelve rows ahead, each from the ones before"},
    {"air.csv --columns temp,dew,wind --target temp --steps 6", "learn from three columns, six rows at once"},
  },
  {"file", optional = true, help = "CSV file with one row for each time step"},
  {"--target", type = "string", value = "NAME", alias = {"--column"},
    help = "what to forecast: a column's name or number, or several (A,B); default: the first that measures something"},
  {"--columns", type = "string", value = "A,B,C", help = "what to learn from (default: the target alone)"},
  {"--binary", flag = true,
    help = "the target is 0 or 1: forecast how likely 1 is (known by itself if there is nothing else)"},
  {"--no-header", flag = true, help = "the first line is data, not names (known by itself if it has only numbers)"},
  {"--missing", default = "auto", choices = {"auto", "error", "interpolate", "drop"},
    help = "what to do with empty cells; auto interpolates and says so"},
  {"--look-back", default = 10, min = 1, help = "rows that a forecast is made from"},
  {"--ahead", default = 1, min = 1, help = "how many rows ahead the forecast is"},
  {"--steps", default = 1, min = 1, help = "how many rows the model forecasts at once"},
  {"--next", type = "integer", min = 1,
    help = "how many rows to forecast after the last; more than --steps: from its own forecasts (default --steps)"},
  {"--hidden", default = 50, min = 1, help = "cells per layer"},
  {"--layers", default = 1, min = 1, max = 16, help = "LSTM layers"},
  {"--dropout", type = "number", default = 0, min = 0, below = 1, help = "share of values dropped while training"},
  {"--scale", default = "minmax", choices = {"minmax", "zscore", "none"}, help = "what is done to each column first"},
  {"--scale-all", flag = true, help = "measure that on all rows, as some tutorials do, not only on the learned ones"},
  {"--epochs", type = "integer", min = 1,
    help = "times the data are gone through; with --resume, the total (default 50, more for few rows, fewer for many)"},
  {"--batch", default = 32, min = 1, help = "windows for each training step"},
  {"--lr", default = 1e-3, above = 0, help = "learning rate"},
  {"--epsilon", type = "number", default = 1e-8, above = 0, help = "Adam's"},
  {"--clip", type = "number", default = 0, min = 0, help = "largest gradient norm, 0 = any"},
  {"--test", default = 0.2, above = 0, below = 1, help = "share of the rows, at the end, to test on"},
  {"--val", type = "number", default = 0, min = 0, below = 1,
    help = "share of the other rows, at their end, to choose the best epoch by; 0 = the last epoch counts"},
  {"--tutorial", flag = true,
    help = "the loss of every second epoch on stdout, and a picture, forecast.svg; without FILE a sine with noise"},
  {"--plot", type = "string", value = "FILE", help = "draw the test part and what comes next here, as in forecast.svg"},
  {"--plot-rows", default = 400, min = 2,
    help = "how many of the last measured rows to draw (fewer where a few come next)"},
}, "patience", "init", "seed", "out", "load", "checkpoint", "resume", "loss_plot", "report",
  "verbose"))

-- What shapes the model and the run: kept in the model file, so that --resume needs none of it again.
local kept = {"missing", "no_header", "look_back", "ahead", "steps", "hidden", "layers", "dropout", "scale",
  "scale_all", "epochs", "batch", "lr", "epsilon", "clip", "init", "seed", "test", "val", "patience", "binary",
  "tutorial"}

-- What a resumed run is to be told again.
local unkept = {"next", "out", "plot", "plot_rows", "loss_plot", "report", "verbose"}

local stop = lstm.args.stop
local program = programs(opt, given, unkept)
local need = program.need

local function say(...) program:say(...) end

-- The last row that the model forecasts at once.
local function reach() return opt.ahead + opt.steps - 1 end

-- "a, b" -> {"a", "b"}
local function names_of(text)
  if not text then return nil end
  local names = {}
  for name in text:gmatch("[^,]+") do names[#names + 1] = name:match("^%s*(.-)%s*$") end
  return names
end

local function contains(list, name)
  for _, one in ipairs(list) do
    if one == name then return true end
  end
  return false
end

-- [Data]

-- The tutorial's series where there is no file: a sine with a little noise.
local function sine()
  local rng, values = lstm.rng(opt.seed), {}
  for i = 1, 1000 do values[i] = {math.sin(i / 8) + 0.1 * (rng:uniform() - 0.5)} end
  say("no FILE: a sine with a little noise, 1000 rows")
  return {rows = lstm.table(lstm.array(values), {"sine"}), columns = {"sine"}, targets = {"sine"}}
end

-- The rows to learn from or to forecast. targets, columns: names, nil where nothing was said.
local function read_data(targets, columns)
  if not opt.file then return sine() end
  local header = nil
  if opt.no_header then header = false end
  if targets and not columns then
    columns = targets
  elseif targets then
    local all = {}
    for _, name in ipairs(columns) do all[#all + 1] = name end
    for _, name in ipairs(targets) do
      if not contains(all, name) then all[#all + 1] = name end
    end
    columns = all
  end
  local how = {targets = targets, columns = columns, header = header, missing = opt.missing}
  return need(series.read(opt.file, how, say))
end

-- Whether the targets are zeros and ones, and nothing else.
local function is_binary(data)
  for _, name in ipairs(data.targets) do
    local column = data.rows:column(name)
    local squares = column * column - column
    if squares:min() ~= 0 or squares:max() ~= 0 or column:min() == column:max() then return false end
  end
  return true
end

local function check_binary(data)
  local found = is_binary(data)
  local names = table.concat(data.targets, " and ")
  if opt.binary and not found then
    stop(("--binary: column %s must have zeros and ones only, and both of them"):format(names))
  elseif found and not opt.binary then
    say("%s has zeros and ones only: forecasting how likely a 1 is (--binary)", names)
  end
  opt.binary = found
end

-- How many rows each part has, and what it needs.
local function lengths_of(rows)
  local known = math.floor(#rows * (1 - opt.test) + 1e-6)
  local learned = opt.val > 0 and math.floor(known * (1 - opt.val) + 1e-6) or known
  return learned, known
end

-- Where --look-back was not given: less than usual where there are few rows.
local function choose_look_back(rows)
  local learned = lengths_of(rows)
  if given.look_back or opt.resume or learned < 8 or learned >= 3 * opt.look_back then return end
  opt.look_back = math.max(1, math.floor(learned / 4))
  say("only %d rows to learn from: --look-back %d", learned, opt.look_back)
end

-- The option that leaves too few rows: the one that is furthest from what is usual.
local function check_length(rows)
  local learned, known = lengths_of(rows)
  local needed = opt.look_back + opt.ahead + opt.steps - 1
  if learned >= needed and #rows - known >= opt.steps and (opt.val == 0 or known - learned >= opt.steps) then return end
  local blame = ("--look-back %d"):format(opt.look_back)
  if opt.ahead > opt.look_back then blame = ("--ahead %d"):format(opt.ahead) end
  if opt.steps > math.max(opt.look_back, opt.ahead) then blame = ("--steps %d"):format(opt.steps) end
  if #rows * 0.8 >= needed and #rows * 0.2 >= opt.steps then
    blame = ("--test %g"):format(opt.test)
    if opt.val > 0 and known >= needed then blame = ("--val %g"):format(opt.val) end
  end
  stop(("%s has %d rows, too few for %s: %d of them are left to learn from, at least %d are needed"):format(
    opt.file or "the sine", #rows, blame, learned, needed))
end

-- [Learning]

-- What scales the columns; zeros and ones stay what they are.
local function new_scaler(data, learned)
  if opt.scale == "none" then return nil end
  local scale = lstm[opt.scale](opt.scale_all and data.rows or data.rows:slice(1, learned))
  for _, name in ipairs(opt.binary and data.targets or {}) do scale.offset[name], scale.factor[name] = 0, 1 end
  return scale
end

local function shape_of(data, before)
  return {look_back = opt.look_back, ahead = opt.ahead, steps = opt.steps, target = data.targets, before = before}
end

-- The windows to learn from, and those to choose by (or nil).
local function make_sets(data)
  local learned, known = lengths_of(data.rows)
  local scale = new_scaler(data, learned)
  local rows = scale and scale:apply(data.rows) or data.rows
  local train = rows:slice(1, learned)
  local validation = learned < known and rows:slice(learned + 1, known):windows(shape_of(data, train)) or nil
  return train:windows(shape_of(data)), validation
end

local function new_model(data)
  local layers = {input = #data.columns, output = #data.targets * opt.steps, init = opt.init, seed = opt.seed,
    loss = opt.binary and "binary_cross_entropy" or "mse"}
  for _ = 1, opt.layers do
    layers[#layers + 1] = lstm.lstm(opt.hidden)
    if opt.dropout > 0 then layers[#layers + 1] = lstm.dropout(opt.dropout) end
  end
  return lstm.model(layers)
end

-- At each epoch: without a part to choose by, the weights of the last one are those that count.
local function on_epoch(validation)
  return function(row, _, trainer)
    if opt.tutorial and row.epoch % 2 == 0 then
      io.write(("epoch %d loss %.6f\n"):format(row.epoch, row.loss))
      io.flush()
    end
    if not validation then trainer:keep_best() end
  end
end

local function tell_kept(history, validation)
  if not validation then
    say("kept: the weights of the last epoch, %d", history[#history].epoch)
  elseif history.best == #history then
    say("kept: the weights of the last epoch, %d, the best on the validation part", history[#history].epoch)
  end
end

local function learn(model, data)
  local train, validation = make_sets(data)
  program:choose_epochs(#train, 50, opt.tutorial and 0 or 1000, opt.tutorial and math.huge or 20000)
  model.meta.forecast = lstm.args.keep(opt, kept)
  local _, known = lengths_of(data.rows)
  say("%s: %d rows of %s%s; %d windows to learn from, %d to test on; %d parameters, %d epoch%s", opt.file or "sine",
    #data.rows, table.concat(data.columns, ", "), #data.columns > #data.targets and
    (", to forecast %s"):format(table.concat(data.targets, ", ")) or "", #train, #data.rows - known - opt.steps + 1,
    model:parameters(), opt.epochs, opt.epochs == 1 and "" or "s")
  if opt.resume then program:check_epochs(model, #train) end
  program:warn_unsaved()
  local history = program:fit(model, train, {
    validation = validation, epochs = opt.epochs, batch = opt.batch, lr = opt.lr, epsilon = opt.epsilon,
    clip = opt.clip, seed = opt.seed, patience = opt.patience, checkpoint = opt.checkpoint or opt.resume,
    resume = opt.resume, verbose = opt.verbose, on_epoch = on_epoch(validation),
  }, {y = opt.binary and "nats per row" or "mean squared error, scaled", log = true})
  tell_kept(history, validation)
  return history
end

-- [Results]

local printed = {}                                   -- the lines of stdout, which a report repeats

local function put(...)
  printed[#printed + 1] = (...):format(select(2, ...))
  print(printed[#printed])
end

-- Forecasts of the rows after `known`, what was measured, and persistence: arrays [n][steps * targets], in the units of
-- the columns.
local function judge(model, data, known)
  local rows = data.rows:slice(math.max(1, known - opt.look_back - opt.ahead + 2), #data.rows)
  local windows = rows:windows(shape_of(data))
  return {guess = model:predict(rows), truth = windows:targets(), naive = windows:last(), first = known + 1,
    rows = rows}
end

-- The numbers of one target and step: an array [n].
local function part(values, data, k, step)
  local n, width = values:shape()
  return values:reshape{n, width or 1}:column((step - 1) * #data.targets + k)
end

-- What follows the last row: a table of rows and, where the series has dates, their days.
local function forecast(model, data)
  local count = opt.next or reach()
  return model:forecast(data.rows, count), data.days and series.after(data.days, count) or nil
end

local function shown(value) return opt.binary and ("%.1f %% likely 1"):format(100 * value) or ("%.6g"):format(value) end

local function called(name) return tonumber(name) and "column " .. name or name end

local function print_next(data, rows, days)
  local columns = {}
  for k, name in ipairs(data.targets) do columns[k] = rows:column(name) end
  if #rows == 1 or opt.ahead > 1 and opt.steps == 1 and not opt.next then
    for k, name in ipairs(data.targets) do
      put("%s of %s%s: %s", #rows == 1 and "next value" or "value", called(name),
        #rows == 1 and "" or (", %d rows after the last"):format(#rows), shown(columns[k][#rows]))
    end
    return
  end
  local timed = days and #days > 1 and days[2] - days[1] < 1
  put("next %d rows of %s:", #rows, table.concat(data.targets, ", "))
  for i = 1, #rows do
    local words = {}
    for k in ipairs(data.targets) do words[k] = shown(columns[k][i]) end
    put("  %s  %s", days and series.date(days[i], timed) or "+" .. i, table.concat(words, "  "))
  end
end

-- Forecasts of the first step for the last rows, of which not all steps have been measured: an array [n][...] or nil.
local function last_guesses(model, data)
  local extra = opt.steps - 1
  if extra == 0 then return nil end
  local numbers, count = {}, opt.look_back + opt.ahead - 1 + extra
  for i = 1, count + extra do numbers[i] = math.min(#data.rows, #data.rows - count + i) end      -- the last row again
  return model:predict(data.rows:pick(numbers))
end

-- What is drawn of target k: test rows up to the last one measured, and the rows that come next.
local function lists_of(data, result, more, k)
  local lists = {guess = part(result.guess, data, k, 1):totable(), truth = {}, naive = {}}
  local rest = more and part(more, data, k, 1) or {}
  for i = 1, #rest do lists.guess[#lists.guess + 1] = rest[i] end
  local column = data.rows:column(data.targets[k])
  for i = 1, #lists.guess do
    local at = result.first + i - 1
    lists.truth[i], lists.naive[i] = column[at], column[at - opt.ahead]
  end
  return lists
end

-- The same of all targets, with the days of all rows where there are any and the coming rows have theirs.
local function drawn_lists(model, result, data, rows, days)
  local all, more = {}, last_guesses(model, data)
  for k, name in ipairs(data.targets) do
    local lists = lists_of(data, result, more, k)
    lists.coming = rows:column(name):totable()
    lists.dates = days and {}
    for i = 1, days and #lists.truth or 0 do lists.dates[i] = data.days[result.first + i - 1] end
    for _, day in ipairs(days or {}) do lists.dates[#lists.dates + 1] = day end
    all[k] = lists
  end
  return all
end

-- How many of the measured rows are drawn: not so many that a few rows after them cannot be seen.
local function drawn_rows(coming)
  if given.plot_rows or coming == 1 then return opt.plot_rows end
  return math.max(60, math.min(opt.plot_rows, 15 * coming))
end

local function draw(model, history, result, data, all)
  if not (opt.plot or opt.report) then return end
  local pictures = {}
  for k, lists in ipairs(all) do
    local name, coming = called(data.targets[k]), #lists.coming
    lists.title = ("%s: forecast %d %s ahead%s"):format(name, opt.ahead, opt.ahead == 1 and "row" or "rows",
      coming > 1 and (", and the next %d rows"):format(coming) or "")
    lists.x, lists.y, lists.last = not lists.dates and "row of the test part" or nil, name, drawn_rows(coming)
    pictures[k] = lists
  end
  program:draw{title = table.concat(data.targets, ", "), model = model, history = history, log = true,
    data = result.rows, forecast = pictures, results = table.concat(printed, "\n")}
end

-- The same in the terminal.
local function chart(all, data)
  if opt.verbose == 0 or opt.plot or not rawget(lstm, "chart") and not lstm.chart then return end
  local lists = all[1]
  local n, m = #lists.truth, #lists.coming
  local from = math.max(1, n - math.max(20, 80 - m) + 1)
  local function piece(values, first, last, shift, name)
    local y, x = {}, {}
    for i = first, last do
      y[#y + 1], x[#x + 1] = values[i - shift], lists.dates and series.date(lists.dates[i]) or i
    end
    return {y, name = name, x = x}
  end
  say("%s", lstm.chart({piece(lists.truth, from, n, 0, "measured"), piece(lists.guess, from, n, 0, "forecast"),
    piece(lists.coming, n + 1, n + m, n, m == 1 and "the next row" or ("the next %d rows"):format(m))}, {height = 12,
    title = ("%s: the last test rows and what comes next (--plot FILE.svg draws it)"):format(called(data.targets[1]))}))
end

-- Shares of right answers, for zeros and ones.
local function print_shares(result, data, k)
  local truth, guess, naive, ones = {}, {}, {}, 0
  for step = 1, opt.steps do
    local t, g = part(result.truth, data, k, step), part(result.guess, data, k, step)
    local n = part(result.naive, data, k, step)
    for i = 1, #t do
      truth[#truth + 1], guess[#guess + 1], naive[#naive + 1] = t[i], g[i] >= 0.5 and 1 or 0, n[i]
      ones = ones + t[i]
    end
  end
  local metrics = lstm.metrics
  for _, list in ipairs{truth, naive} do
    for i, value in ipairs(list) do list[i] = value >= 0.5 and 1 or 0 end
  end
  local right, same = metrics.accuracy(truth, guess), metrics.accuracy(truth, naive)
  local most = math.max(ones, #truth - ones) / #truth
  say("%s: %.1f %% of the test rows are %d; always to say so is right as often", called(data.targets[k]), 100 * most,
    ones * 2 > #truth and 1 or 0)
  if right <= math.max(most, same) then
    say("the model is no better than that: try --look-back with a whole season of rows, more --columns, or --epochs")
  end
  local f1 = contains(truth, 1) and metrics.f1(truth, guess, 1) or 0
  return ("test accuracy %.1f %% F1 %.3f persistence %.1f %%"):format(100 * right, f1 == f1 and f1 or 0, 100 * same)
end

-- Root mean squared errors of the model and of persistence; of all steps together.
local function errors_of(result, data, k)
  local sums, each = {0, 0}, {}
  for step = 1, opt.steps do
    local truth = part(result.truth, data, k, step)
    local mine = lstm.rmse(part(result.guess, data, k, step), truth)
    local naive = lstm.rmse(part(result.naive, data, k, step), truth)
    sums[1], sums[2], each[step] = sums[1] + mine ^ 2, sums[2] + naive ^ 2, {mine, naive}
  end
  return math.sqrt(sums[1] / opt.steps), math.sqrt(sums[2] / opt.steps), each
end

-- name: of the target, where there are several.
local function tell_gain(mine, naive, name)
  local gain = 100 * (1 - mine / naive)
  if gain > 0 then
    say("%sthe model's error is %.0f %% smaller than that of persistence (repeating the last value)", name, gain)
  else
    say("%sthe model is no better than persistence (repeating the last value): try --look-back with a whole season " ..
      "of rows, more --epochs, or another --lr", name)
  end
end

local function print_errors(result, data, k)
  local mine, naive, each = errors_of(result, data, k)
  if opt.steps > 1 then
    for step, pair in ipairs(each) do
      if opt.steps <= 10 or step <= 3 or step == opt.steps then
        put("step %d of %s: RMSE %.3f persistence %.3f", step, called(data.targets[k]), pair[1], pair[2])
      elseif step == 4 then
        put("...")
      end
    end
  end
  tell_gain(mine, naive, #data.targets > 1 and called(data.targets[k]) .. ": " or "")
  return ("test RMSE %.3f persistence %.3f"):format(mine, naive)
end

-- The last line is that of the first target.
local function print_results(result, data)
  for k = #data.targets, 1, -1 do
    local line = (opt.binary and print_shares or print_errors)(result, data, k)
    local name = called(data.targets[k])
    put("%s", k > 1 and name .. ": " .. line or #data.targets > 1 and line .. " of " .. name or line)
  end
end

-- Where --next goes on from the model's own forecasts: how far off these are, from some of the rows of the test part.
local function print_rolled(model, data, known)
  local count, rows = opt.next or 0, data.rows
  if count <= reach() then return end
  if opt.binary then return say("how often rows %d to %d are right is not measured", reach() + 1, count) end
  local last = #rows - count                         -- of the rows that such a forecast may begin after
  if last < known then
    return say("how far off rows %d to %d are is unknown: the test part has %d rows, too few to measure it",
      reach() + 1, count, #rows - known)
  end
  local starts = math.min(last - known + 1, math.max(5, math.min(50, math.floor(2000 / count))))
  local mine, naive = {}, {}
  for k in ipairs(data.targets) do mine[k], naive[k] = 0, 0 end
  for s = 1, starts do
    local at = known + math.floor((last - known) * (s - 1) / math.max(1, starts - 1))
    local guess = model:forecast(rows:slice(1, at), count)
    for k, name in ipairs(data.targets) do
      local truth, now = rows:slice(at + 1, at + count):column(name), rows:column(name)[at]
      mine[k] = mine[k] + lstm.rmse(guess:column(name), truth) ^ 2
      naive[k] = naive[k] + lstm.rmse(truth * 0 + now, truth) ^ 2
    end
  end
  for k, name in ipairs(data.targets) do
    put("rows 1 to %d of %s, each from the forecasts before: RMSE %.3f persistence %.3f (%d start%s in the test part)",
      count, called(name), math.sqrt(mine[k] / starts), math.sqrt(naive[k] / starts), starts, starts == 1 and "" or "s")
  end
end

local function finish(model, data, known, history)
  local rows, days = forecast(model, data)
  if not known then return print_next(data, rows, days) end
  local result = judge(model, data, known)
  local drawn = opt.plot or opt.report or opt.verbose > 0
  local lists = drawn and drawn_lists(model, result, data, rows, days)
  chart(lists, data)
  print_next(data, rows, days)
  print_rolled(model, data, known)
  print_results(result, data)
  draw(model, history, result, data, lists)
end

-- [The program]

-- Ends the program where the rows to forecast are beyond what such a model can tell.
local function check_next(columns, targets)
  local count = opt.next or 0
  if count <= reach() or #targets == #columns then return end
  stop(("--next %d goes beyond the %d row%s that the model forecasts at once, and it does not forecast all of the " ..
    "columns that it reads (%s): train with --steps %d, or with --target %s"):format(count, reach(),
    reach() == 1 and "" or "s", table.concat(columns, ", "), count, table.concat(columns, ",")))
end

-- Where a model of one column meets a file: the column to read, which may have another name here.
local function renamed(model, found)
  local own, path = model.pipeline.columns[1], opt.load or opt.resume
  local there = series.named(found, own)
  if not given.target then
    if not there then
      stop(('%s has no column "%s", which %s has learned: --target NAME tells which one stands for it'):format(opt.file,
        own, path))
    end
    return own
  end
  local name = series.named(found, opt.target)
  if name and name ~= there and there then
    stop(('--target %s: %s forecasts "%s", which %s has, too: leave --target out, or learn without %s'):format(
      opt.target, path, own, opt.file, opt.load and "--load" or "--resume"))
  elseif name and not there then
    say('column "%s" is taken for "%s", which %s has learned', name, own, path)
  end
  return opt.target
end

-- Rows of the columns that a model reads. One column may have another name here.
local function read_for(model)
  local own = model.pipeline
  if given.columns then
    stop("--columns are those that the model has learned from: " .. table.concat(own.columns, ","))
  end
  local wanted = given.target and names_of(opt.target) or own.targets
  if #own.columns == 1 and #wanted == 1 and opt.file then
    local header = nil
    if opt.no_header then header = false end
    local found = series.peek(opt.file, header)      -- what cannot be read is told below
    if found then wanted = {renamed(model, found)} end
  elseif table.concat(wanted, ",") ~= table.concat(own.targets, ",") then
    stop(("--target %s conflicts with --target %s, which the model was made with"):format(opt.target,
      table.concat(own.targets, ",")))
  end
  local data = read_data(#own.columns == 1 and wanted or own.targets, #own.columns > 1 and own.columns or nil)
  if #own.columns == 1 and data.rows.columns[1] ~= own.columns[1] then
    data.rows = lstm.table(data.rows.data, {own.columns[1]})
  end
  data.columns, data.targets = own.columns, own.targets
  return data
end

-- --load: what comes next, and the error on the last rows where there are enough.
local function load_and_exit()
  program:check_load_options{"file", "load", "target", "no_header", "missing", "look_back", "ahead", "steps", "next",
    "hidden", "test", "plot", "plot_rows", "report", "verbose"}
  local model = program:open(opt.load, "forecast")
  if not model.pipeline then program:check_maker(opt.load, {}, "forecast") end
  program:check_conflict(opt.load, model.meta.forecast, {"test", "missing", "no_header"})
  lstm.args.recall(opt, given, model.meta.forecast)
  local data = read_for(model)
  local needed = opt.look_back + opt.ahead - 1
  if #data.rows < needed then
    stop(("%s has %d rows, too few: the model looks at the last %d"):format(opt.file, #data.rows, needed))
  end
  local _, known = lengths_of(data.rows)
  if known < needed or #data.rows - known < opt.steps then
    say("%s has %d rows, too few to test the model on", opt.file, #data.rows)
    known = nil
  end
  check_next(data.columns, data.targets)
  finish(model, data, known)
  os.exit(0, true)
end

if not opt.file and not opt.tutorial and not opt.resume then stop("FILE is missing", 2) end
if opt.tutorial and not opt.load then opt.plot = opt.plot or "forecast.svg" end
program:check_writable{"out", "checkpoint", "plot", "loss_plot", "report"}
if opt.load then load_and_exit() end
local model = opt.resume and program:reopen("forecast", {"epochs", "patience"})
local data = model and read_for(model) or read_data(names_of(opt.target), names_of(opt.columns))
if not model then check_binary(data) end
check_next(data.columns, data.targets)
choose_look_back(data.rows)
check_length(data.rows)
model = model or new_model(data)
local history = learn(model, data)
local _, known = lengths_of(data.rows)
finish(model, data, known, history)
