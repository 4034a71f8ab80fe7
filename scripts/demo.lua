-- demo.lua [options]: what `make demo` shows. A network learns to write C from lstm.h itself, another one forecasts
-- the weather of Melbourne. About a minute; --short takes a few seconds.

local lstm = require "lstm"

local opt = lstm.args{
  about = "Train a text model on lstm.h, forecast temperatures, and show both.",
  {"--seconds", type = "number", default = 55, above = 0, help = "how long to learn the text"},
  {"--short", flag = true, help = "a few seconds in all, for a quick check"},
  {"--text", default = "lstm.h", value = "FILE", help = "text to learn"},
  {"--csv", default = "examples/data/daily-min-temperatures.csv", value = "FILE", help = "series to forecast"},
  {"--folder", default = "build/demo", help = "where files go; it must exist"},
  {"--seed", default = 1, min = 0, help = "where random numbers begin"},
}
local seconds = opt.short and math.min(opt.seconds, 3) or opt.seconds
local epochs = opt.short and 3 or 50
local color = lstm.progress.color(1)

local width = math.min(78, lstm.progress.columns() - 1)      -- of the lines that are printed
local stop = lstm.args.stop

-- The value, or the program ends with the sentence that came instead.
local function need(value, message)
  if not value then stop(message) end
  return value
end

local function say(format, ...)
  io.write(format:format(...), "\n")
  io.flush()
end

local function paint(text, code) return color and "\27[" .. code .. "m" .. text .. "\27[0m" or text end
local function bold(text) return paint(text, "1") end
local function file(name) return opt.folder .. "/" .. name end

-- [A text]

-- What the model writes after `prime`, in printable ASCII.
local function sample(model, prime, length, temperature)
  local text = model:sample{prime = prime, length = length, temperature = temperature, seed = opt.seed}
  return (text:gsub("[^\n\32-\126]", "?"))
end

-- Fits for so many seconds, with a line that follows the clock and a short sample now and then. The learning rate falls
-- with the time that is left, so that the last weights are calm ones.
local function fit_for(model, train, validation)
  local bar = lstm.progress.new{title = "learning", budget = seconds}
  local rate = 4e-3
  local shares = opt.short and {} or {0.04, 0.15, 0.4}                    -- of the time: when to show a sample
  local history, message = model:fit(train, {
    validation = validation, seq = 64, batch = 32, steps = 1000000, validate_every = opt.short and 25 or 200,
    optimizer = "adam", lr = rate, clip = 5, seed = opt.seed, verbose = 0,
    on_step = function(row, trainer)
      trainer:lr(rate * math.max(0.05, 1 - bar:elapsed() / seconds))
      bar:update(row.step, {loss = row.loss})
      if shares[1] and bar:elapsed() >= shares[1] * seconds then
        table.remove(shares, 1)
        local line = sample(model, "static ", 58, 0.6):gsub("%s+", " ")
        bar:say(("%6.1f s  %s"):format(bar:elapsed(), line):sub(1, width))
      end
      return not bar:over()
    end,
  })
  bar:close()
  need(history, message)
end

local function learn_text()
  say("\n%s", bold("1  A network reads " .. opt.text .. " and learns to write C"))
  local text = need(lstm.readfile(opt.text))
  local vocab = lstm.vocab(text)
  local train, validation = vocab:encode(text):split(0.95)
  local model = lstm.model{
    input = vocab, lstm.embedding(opt.short and 16 or 64), lstm.lstm(opt.short and 32 or 192), output = vocab,
    seed = opt.seed,
  }
  say("   %d characters, %d different; %d parameters, random to begin with", #train, vocab:size(),
    model:parameters())
  say("   The loss on the line below is that of text it has seen; lower is better.\n")
  fit_for(model, train, validation)
  say("\n%s", bold("   It writes:"))
  local written = sample(model, "/* ", opt.short and 120 or 900, 0.55)
  written = written:match("^(.*\n).-$") or written .. "\n"             -- to the end of the last whole line
  for line in written:gmatch("([^\n]*)\n") do say("   | %s", line:sub(1, width - 5)) end
  say("\n   %.2f nats per character (how surprised it is, 0 = never) on text that it\n" ..
    "   has not read; guessing would cost %.2f",
    model:evaluate(validation).loss, math.log(vocab:size()))
  need(model:save(file("c.safetensors")))
end

-- [A series]

-- The first day of each month among the last `count` rows; nil where the file has no dates.
local function month_ticks(count)
  local dates, ticks = {}, {}
  for year, month, day in need(lstm.readfile(opt.csv)):gmatch('%f[^\n%z]"?(%d%d%d%d)%-(%d%d)%-(%d%d)') do
    dates[#dates + 1] = {year = year, month = tonumber(month), day = day}
  end
  local names = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}
  for i = 1, count do
    local date = dates[#dates - count + i]
    if date and date.day == "01" and names[date.month] then
      ticks[#ticks + 1] = {at = i, label = ("%s 1, %s"):format(names[date.month], date.year)}
    end
  end
  return #ticks > 0 and ticks or nil
end

local function forecast()
  say("\n%s", bold("2  Another network forecasts Melbourne's weather from the last ten days"))
  local rows = need(lstm.csv(opt.csv, {columns = {"Temp"}}))
  local train, validation, test = rows:split(0.7, 0.1)      -- by time; the last part is never looked at before the end
  local scale = lstm.minmax(train)                          -- fitted on the training part only
  local function windows(part, before)
    return scale:apply(part):windows{look_back = 10, target = "Temp", before = before and scale:apply(before)}
  end
  local unseen = windows(test, validation)
  local model = lstm.model{input = 1, lstm.lstm(50), output = 1, loss = "mse", seed = opt.seed}
  say("   tomorrow's lowest temperature; %d days to learn from, %d to forecast\n", #train + #validation, #test)
  local history, message = model:fit(windows(train), {
    validation = windows(validation, train), epochs = epochs, batch = 32, lr = 1e-3, clip = 0, seed = opt.seed,
  })
  need(history, message)
  local guess = scale:undo(model:predict(unseen), "Temp")
  local truth = scale:undo(unseen:targets(), "Temp")
  local naive = scale:undo(unseen:last("Temp"), "Temp")
  local model_error, naive_error = lstm.rmse(guess, truth), lstm.rmse(naive, truth)
  say("\n   error of persistence (repeating the last value)   %.2f degrees", naive_error)
  say("   error of the network                              %s", bold(("%.2f degrees"):format(model_error)))
  local gain = 100 * (1 - model_error / naive_error)
  if gain > 0 then
    say("   %.0f %% better, on days it has never seen", gain)
  else
    say("   not better yet: %d rounds through the data are too few", epochs)
  end
  local days = math.min(120, #truth)
  need(lstm.plot{
    file = file("forecast.svg"), title = ("Lowest temperature of the day, Melbourne: the last %d days"):format(days),
    x = "day", y = "degrees Celsius", x_ticks = month_ticks(days),
    {guess:slice(-days, -1), name = "forecast, made the day before"},
    {truth:slice(-days, -1), name = "measured", style = "muted"},
  })
  need(lstm.plot.history(history, file("loss.svg"), {title = "How the forecast was learned", y = "mean squared error",
    log = true}))
  need(model:save(file("temperature.safetensors")))
end

learn_text()
forecast()

say("\n%s", bold("Files"))
say("   %-34s the forecast: open it in a browser", file("forecast.svg"))
say("   %-34s how the loss fell", file("loss.svg"))
say("   %-34s the model that writes C, for PyTorch too", file("c.safetensors"))
say("   %-34s the model that forecasts", file("temperature.safetensors"))
say("\n%s", bold("Next"))
say("   learn a text of yours, or a series (--help lists all options):")
say("     ./lstm chars ANY.txt --out text.safetensors")
say("     ./lstm forecast ANY.csv --out series.safetensors")
say("   let the model write more C, with the program or in a line of Lua:")
say("     ./lstm chars --load %s --prime \"int \"", file("c.safetensors"))
say("     ./lstm -e 'm = assert(require \"lstm\".load \"%s\")", file("c.safetensors"))
say("       print(m:sample{prime = \"int \"})'")
say("   the same library from C, with nothing to install:")
say("     cc -O2 -I. examples/train.c -o train && ./train\n")
