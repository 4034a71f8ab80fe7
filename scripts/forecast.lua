-- forecast.lua FILE.csv [options]: learns a series and forecasts its next value from the last few.
--
--   lstm scripts/forecast.lua examples/data/daily-min-temperatures.csv --out t.safetensors --plot forecast.svg
--   lstm scripts/forecast.lua examples/data/daily-min-temperatures.csv --load t.safetensors
--
-- The first 80 % of the rows are learned, the rest is forecast one step ahead, each time from what was measured before.
-- The last line on stdout is `test RMSE X persistence Y`, in the unit of the series: the error of the model, and that
-- of saying "the same as now", which every forecast has to beat.

local lstm = require "lstm"

local opt, given = lstm.args{
  about = "Learn a series of numbers from a CSV file and forecast its next value from the last few.",
  {"file", help = "CSV file with one row for each time step, oldest first"},
  {"--column", type = "string", value = "NAME",
    help = "what to forecast: a column's name or number (default: the only column of numbers)"},
  {"--no-header", flag = true, help = "the first line is data, not names (known by itself if it has only numbers)"},
  {"--missing", default = "error", choices = {"error", "interpolate", "drop"}, help = "what to do with empty cells"},
  {"--look-back", default = 10, min = 1, help = "rows that a forecast is made from"},
  {"--ahead", default = 1, min = 1, help = "how many rows ahead the forecast is"},
  {"--hidden", default = 50, min = 1, help = "cells"},
  {"--epochs", default = 50, min = 1, help = "times the data are gone through; with --resume, the total"},
  {"--batch", default = 32, min = 1, help = "windows for each training step"},
  {"--lr", default = 1e-3, above = 0, help = "learning rate"},
  {"--clip", type = "number", default = 0, min = 0, help = "largest gradient norm, 0 = any"},
  {"--init", default = "default", choices = {"default", "pytorch"}, help = "how weights begin"},
  {"--seed", default = 1, min = 0, help = "where random numbers begin"},
  {"--test", default = 0.2, above = 0, below = 1, help = "share of the rows, at the end, to test on"},
  {"--val", type = "number", default = 0, min = 0, below = 1,
    help = "share of the other rows, at their end, to choose the best epoch by; 0 = the last epoch counts"},
  {"--patience", type = "integer", min = 1, help = "stop after so many epochs without an improvement"},
  {"--out", type = "string", value = "FILE", help = "save the model here"},
  {"--load", type = "string", value = "MODEL",
    help = "do not train: forecast with a model that --out saved, and test it if there are enough rows"},
  {"--checkpoint", type = "string", value = "FILE", help = "save the run here, to resume it"},
  {"--resume", type = "string", value = "FILE",
    help = "go on exactly where a checkpoint stopped, with the options it was made with; the run goes on being saved" ..
      " there unless --checkpoint names another file"},
  {"--plot", type = "string", value = "FILE", help = "draw the test part here, as in forecast.svg"},
  {"--plot-rows", default = 400, min = 2, help = "how many of the last test rows to draw"},
  {"--loss-plot", type = "string", value = "FILE", help = "draw the loss here, as in loss.svg"},
  {"--verbose", default = 1, min = 0, max = 2, help = "0 no progress, 1 a line, 2 a line for each epoch"},
}

-- What shapes the model and the run: kept in the model file, so that --resume needs none of it again.
local kept = {"missing", "no_header", "look_back", "ahead", "hidden", "epochs", "batch", "lr", "clip", "init", "seed",
  "test", "val", "patience"}

-- What a resumed run is to be told again.
local unkept = {"out", "plot", "plot_rows", "loss_plot", "verbose"}

local stop = lstm.args.stop

local program = require "lstm.program"(opt, given, unkept)
local need, position_of = program.need, program.position_of

local function say(...) program:say(...) end

-- The model of --resume or --load, and its options for all that the command line leaves open.
local function open_model(path, free)
  local model = need(lstm.load(path))
  local meta = model.meta
  if not meta.forecast or not meta.column or not meta.scale then stop(path .. " was not made by this script") end
  if opt.resume and not position_of(model) then
    stop(path .. " is a model, not a checkpoint of a run: --load forecasts with it, --checkpoint makes the other")
  end
  program:check_conflict(path, meta.forecast, free)
  lstm.args.recall(opt, given, meta.forecast)
  opt.column = opt.column or meta.column
  return model
end

-- A run that is resumed needs something left to do.
local function check_epochs(model, count)
  local per_epoch = math.ceil(count / opt.batch)
  local done, due = position_of(model)
  local total = opt.epochs * per_epoch
  if total < done or total == done and not due then
    stop(("%s is already at epoch %d; --epochs counts from the beginning, so %d leaves nothing to do"):format(
      opt.resume, math.floor(done / per_epoch), opt.epochs))
  end
end

-- The rows of the one column to forecast.
local function read_rows()
  local header = nil
  if opt.no_header then header = false end
  local rows, message = lstm.csv(opt.file, {columns = opt.column and {opt.column} or nil, missing = opt.missing,
    header = header})
  if not rows then
    stop((message:gsub("%(missing = .*%)", "(--missing interpolate or --missing drop accepts that)")))
  end
  if rows.width > 1 then
    stop(("%s has %d columns of numbers (%s): say which one with --column"):format(opt.file, rows.width,
      table.concat(rows.columns, ", ")))
  end
  local column = rows.columns[1]
  if rows.header and tonumber(column) then
    say('"%s" in the first line of %s was taken for a name; --no-header takes that line as data', column, opt.file)
  end
  return rows, column
end

-- The option that leaves too few rows: the one that is furthest from what is usual.
local function check_length(rows)
  local known = math.floor(#rows * (1 - opt.test))
  local learned = math.floor(#rows * (1 - opt.test) * (1 - opt.val))
  local needed = opt.look_back + opt.ahead
  if learned >= needed and known < #rows and (opt.val == 0 or learned < known) then return end
  local blame = ("--look-back %d"):format(opt.look_back)
  if opt.ahead > opt.look_back then blame = ("--ahead %d"):format(opt.ahead) end
  if #rows * 0.8 >= needed then
    blame = ("--test %g"):format(opt.test)
    if opt.val > 0 and known >= needed then blame = ("--val %g"):format(opt.val) end
  end
  stop(("%s has %d rows, too few for %s: %d of them are left to learn from, at least %d are needed"):format(opt.file,
    #rows, blame, learned, needed))
end

-- [Results]

-- Predictions, measured values and persistence for a set of windows, in the unit of the column.
local function judge(model, scale, set, column)
  return {
    guess = scale:undo(model:predict(set), column), truth = scale:undo(set:targets(), column),
    naive = scale:undo(set:last(column), column),
  }
end

local function draw_forecast(result, column)
  if not opt.plot then return end
  local n = #result.truth
  local count = math.min(n, opt.plot_rows)
  local title = ("%s: forecast %d %s ahead"):format(column, opt.ahead, opt.ahead == 1 and "row" or "rows")
  if count < n then title = title .. (", the last %d of %d test rows"):format(count, n) end
  local places = {}
  for i = 1, count do places[i] = n - count + i end
  need(lstm.plot{
    file = opt.plot, title = title, x = "row of the test part", y = column,
    {result.guess:slice(-count, -1), x = places, name = "forecast"},
    {result.truth:slice(-count, -1), x = places, name = "measured", style = "muted"},
  })
  say("plot: %s", opt.plot)
end

local function print_next(model, scale, rows, column)
  local latest = scale:apply(rows:slice(-opt.look_back)).data:reshape{1, opt.look_back, 1}
  local what = tonumber(column) and "column " .. column or column
  local when = opt.ahead == 1 and "next value of " .. what or
    ("value of %s, %d rows after the last"):format(what, opt.ahead)
  print(("%s: %.6g"):format(when, scale:undo(model:predict(latest), column)[1][1]))
end

local function print_error(result)
  local error_of_model, naive = lstm.rmse(result.guess, result.truth), lstm.rmse(result.naive, result.truth)
  local gain = 100 * (1 - error_of_model / naive)
  if gain > 0 then
    say("the model's error is %.0f %% smaller than that of persistence (repeating the last value)", gain)
  else
    say("the model is no better than persistence (repeating the last value): try --look-back with a whole season of " ..
      "rows, more --epochs, or another --lr")
  end
  print(("test RMSE %.3f persistence %.3f"):format(error_of_model, naive))
end

-- --load: the next value, and the error on the last rows where there are enough.
local function forecast_and_exit()
  program:check_load_options{"file", "load", "column", "no_header", "missing", "look_back", "ahead", "hidden", "test",
    "plot", "plot_rows", "verbose"}
  local model = open_model(opt.load, {"test", "missing", "no_header"})
  local column, scale = model.meta.column, model.meta.scale
  local rows = read_rows()
  if rows.columns[1] ~= column then rows = lstm.table(rows.data, {column}) end      -- asked for by --column
  if #rows < opt.look_back then
    stop(("%s has %d rows, too few: the model looks at the last %d"):format(opt.file, #rows, opt.look_back))
  end
  print_next(model, scale, rows, column)
  local span = opt.look_back + opt.ahead - 1
  if math.floor(#rows * (1 - opt.test)) < math.max(1, span) or math.ceil(#rows * opt.test) < 1 then
    say("%s has %d rows, too few to test the model on", opt.file, #rows)
    os.exit(0, true)
  end
  local known, test = rows:split(1 - opt.test)
  local result = judge(model, scale, scale:apply(test):windows{look_back = opt.look_back, ahead = opt.ahead,
    target = column, before = scale:apply(known)}, column)
  draw_forecast(result, column)
  print_error(result)
  os.exit(0, true)
end

program:check_writable{"out", "checkpoint", "plot", "loss_plot"}
if opt.load then forecast_and_exit() end
local model = opt.resume and open_model(opt.resume, {"epochs", "patience"})
local rows, column = read_rows()
if opt.resume and column ~= model.meta.column then
  stop(("--column %s conflicts with --column %s, which %s was made with"):format(column, model.meta.column, opt.resume))
end
check_length(rows)

local known, test = rows:split(1 - opt.test)
local train, validation = known, nil
if opt.val > 0 then train, validation = known:split(1 - opt.val) end
local scale = lstm.minmax(train)                            -- fitted on the training part only

-- The windows of a part; the first ones reach back into the rows before it.
local function windows(part, before)
  return scale:apply(part):windows{look_back = opt.look_back, ahead = opt.ahead, target = column,
    before = before and scale:apply(before)}
end

model = model or lstm.model{input = 1, lstm.lstm(opt.hidden), output = 1, loss = "mse", init = opt.init,
  seed = opt.seed}
model.meta.forecast, model.meta.column, model.meta.scale = lstm.args.keep(opt, kept), column, scale

-- Without a part to choose by, the weights of the last epoch are the ones that count.
local function keep_last(_, _, trainer) trainer:keep_best() end

local set, test_set = windows(train), windows(test, known)
say("%s: %d rows of %s; %d windows to learn from, %d to test on; %d parameters", opt.file, #rows, column, #set,
  #test_set, model:parameters())
if opt.resume then check_epochs(model, #set) end
program:warn_unsaved()
local history = program:fit(model, set, {
  validation = validation and windows(validation, train), epochs = opt.epochs, batch = opt.batch, lr = opt.lr,
  clip = opt.clip, seed = opt.seed, patience = opt.patience, checkpoint = opt.checkpoint or opt.resume,
  resume = opt.resume, verbose = opt.verbose,
  on_epoch = not validation and keep_last or nil,
}, {y = "mean squared error, scaled", log = true})

if validation and history.best == #history then
  say("kept: the weights of the last epoch, %d, the best on the validation part", history[#history].epoch)
elseif not validation then
  say("kept: the weights of the last epoch, %d", history[#history].epoch)
end
local result = judge(model, scale, test_set, column)
draw_forecast(result, column)
print_next(model, scale, rows, column)
print_error(result)
