-- forecast.lua FILE.csv [options]: learns a series and forecasts its next value from the last few.
--
--   lstm scripts/forecast.lua examples/data/daily-min-temperatures.csv --plot forecast.svg
--
-- The first 80 % of the rows are learned, the rest is forecast one step ahead, each time from what was measured before.
-- The last line on stdout is `test RMSE X persistence Y`, in the unit of the series: the error of the model, and that
-- of saying "the same as now", which every forecast has to beat.

local lstm = require "lstm"

local opt, given = lstm.args{
  about = "Learn a series of numbers from a CSV file and forecast its next value from the last few.",
  {"file", help = "CSV file with one row for each time step, oldest first"},
  {"--column", type = "string", value = "NAME", help = "what to forecast (default: the only column of numbers)"},
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
  {"--checkpoint", type = "string", value = "FILE", help = "save the run here, to resume it"},
  {"--resume", type = "string", value = "FILE",
    help = "go on exactly where a checkpoint stopped, with the options it was made with"},
  {"--plot", type = "string", value = "FILE", help = "draw the test part here, as in forecast.svg"},
  {"--loss-plot", type = "string", value = "FILE", help = "draw the loss here, as in loss.svg"},
  {"--verbose", default = 1, min = 0, max = 2, help = "0 no progress, 1 a line, 2 a line for each epoch"},
}

-- What shapes the model and the run: kept in the model file, so that --resume needs none of it again.
local kept = {"missing", "look_back", "ahead", "hidden", "epochs", "batch", "lr", "clip", "init", "seed", "test", "val",
  "patience"}

local function stop(message, code)
  io.stderr:write("forecast.lua: ", message, "\n")
  os.exit(code or 1, true)
end

-- The value, or the program ends with the sentence that came instead.
local function need(value, message)
  if not value then stop(message) end
  return value
end

local function say(...)
  if opt.verbose > 0 then io.stderr:write(string.format(...), "\n") end
end

-- After Ctrl-C: what is saved, and how to go on.
local function stop_interrupted(message)
  message = message:gsub(", resume with.*", "")
  local path = opt.checkpoint or opt.resume
  stop(message .. (path and "; go on with --resume " .. path or ""), 130)
end

-- Hours of work must not end at a folder that does not exist.
local function check_place(path)
  if not path then return end
  local probe = path .. ".probe"
  local fine, message = lstm.writefile(probe, "")
  if not fine then stop((message:gsub("%.probe", ""))) end
  os.remove(probe)
end

-- Options of the run that is resumed, for all that the command line leaves open.
local function resume_options(meta)
  if not meta.forecast then stop(opt.resume .. " was not made by this script") end
  lstm.args.recall(opt, given, meta.forecast)
  opt.column = opt.column or meta.column
end

-- The rows of the one column to forecast.
local function read_rows()
  local rows = need(lstm.csv(opt.file, {columns = opt.column and {opt.column} or nil, missing = opt.missing}))
  if rows.width > 1 then
    stop(("%s has %d columns of numbers (%s): say which one with --column"):format(opt.file, rows.width,
      table.concat(rows.columns, ", ")))
  end
  return rows, rows.columns[1]
end

local function check_length(rows)
  local fewest = math.min(math.floor(#rows * (1 - opt.test) * (1 - opt.val)), math.ceil(#rows * opt.test))
  if fewest < 1 or math.floor(#rows * (1 - opt.test) * (1 - opt.val)) < opt.look_back + opt.ahead then
    stop(("%s has %d rows, too few: --look-back %d needs more of them to learn from"):format(opt.file, #rows,
      opt.look_back))
  end
end

for _, name in ipairs{"out", "plot", "loss_plot"} do check_place(opt[name]) end
local model
if opt.resume then
  model = need(lstm.load(opt.resume))
  resume_options(model.meta)
end
local rows, column = read_rows()
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
local history, message, status = model:fit(set, {
  validation = validation and windows(validation, train), epochs = opt.epochs, batch = opt.batch, lr = opt.lr,
  clip = opt.clip, seed = opt.seed, patience = opt.patience, checkpoint = opt.checkpoint or opt.resume,
  resume = opt.resume, verbose = opt.verbose,
  on_epoch = not validation and keep_last or nil,
})
if not history and status ~= "interrupted" then stop(message) end
if opt.out then
  need(model:save(opt.out))
  say("model: %s", opt.out)
end
if not history then stop_interrupted(message) end

local guess = scale:undo(model:predict(test_set), column)                 -- back in the unit of the column, by name
local truth = scale:undo(test_set:targets(), column)
local naive = scale:undo(test_set:last(column), column)

if opt.plot then
  need(lstm.plot{
    file = opt.plot, title = ("%s: forecast %d ahead"):format(column, opt.ahead), x = "row of the test part",
    y = column,
    {truth, name = "measured", style = "muted"}, {guess, name = "forecast"},
  })
  say("plot: %s", opt.plot)
end
if opt.loss_plot then
  need(lstm.plot.history(history, opt.loss_plot, {y = "mean squared error, scaled", log = true}))
  say("plot: %s", opt.loss_plot)
end
local latest = scale:apply(rows:slice(-opt.look_back)).data:reshape{1, opt.look_back, 1}
print(("forecast of %s, %d after the last row: %.6g"):format(column, opt.ahead,
  scale:undo(model:predict(latest), column)[1][1]))
print(("test RMSE %.3f persistence %.3f"):format(lstm.rmse(guess, truth), lstm.rmse(naive, truth)))
