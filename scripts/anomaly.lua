-- anomaly.lua [FILE.csv] [options]: learns what a sensor usually does, and tells where it does something else.
--
--   lstm scripts/anomaly.lua                                   a made-up example with faults, and how many are found
--   lstm scripts/anomaly.lua pump.csv --out pump.safetensors --plot anomalies.svg
--   lstm scripts/anomaly.lua today.csv --load pump.safetensors
--
-- The first half of the rows (--learn) is taken for normal: a network learns to foretell each row from those before it.
-- A row's score is how far it is from the forecast, in units of the usual error (root mean square over the columns);
-- what exceeds a limit that the last of the normal rows set stands out. stdout gets the rows that stand out, those that
-- belong together in one line, and, last, `N of M rows stand out, in E places`; where it is known which rows are
-- faults, `precision X recall Y F1 Z` of the places. Everything else goes to stderr.

local lstm = require "lstm"
local programs = require "lstm.program"
local series = require "lstm.series"

local opt, given = lstm.args(programs.with({
  about = "Learn what sensors usually do, and tell where they do something else.",
  examples = {
    {"", "a made-up example with faults, and how many of them are found"},
    {"pump.csv --out pump.safetensors --plot anomalies.svg", "learn the first half, score the rest"},
    {"today.csv --load pump.safetensors", "score all rows of another file"},
  },
  {"file", optional = true, help = "CSV file with one row for each time step (default: a made-up example)"},
  {"--columns", type = "string", value = "A,B,C",
    help = "what to watch (default: every column that measures something)"},
  {"--truth", type = "string", value = "NAME", help = "a column that is 1 in rows that are known to be faults, else 0"},
  {"--learn", default = 0.5, above = 0, max = 1, help = "share of the rows, at the beginning, that are normal"},
  {"--val", default = 0.2, above = 0, below = 1, help = "share of these, at their end, that set the limit"},
  {"--rule", default = "robust", choices = {"robust", "quantile"},
    help = "the limit: so many (--factor) deviations above the median of the scores, or a quantile of them" ..
      " (--quantile)"},
  {"--factor", default = 6.0, above = 0, help = "robust: deviations, as the median of the absolute ones tells them"},
  {"--quantile", default = 0.999, above = 0, max = 1, help = "quantile: share of the normal rows below the limit"},
  {"--show", default = 20, min = 0, help = "places to print, the worst ones"},
  {"--no-header", flag = true, help = "the first line is data, not names (known by itself if it has only numbers)"},
  {"--missing", default = "auto", choices = {"auto", "error", "interpolate", "drop"},
    help = "what to do with empty cells; auto interpolates and says so"},
  {"--look-back", default = 20, min = 1, help = "rows that a forecast is made from"},
  {"--hidden", default = 32, min = 1, help = "cells"},
  {"--epochs", type = "integer", min = 1,
    help = "times the data are gone through; with --resume, the total (default 20, more for few rows, fewer for many)"},
  {"--batch", default = 32, min = 1, help = "windows for each training step"},
  {"--lr", default = 3e-3, above = 0, help = "learning rate"},
  {"--clip", type = "number", default = 5, min = 0, help = "largest gradient norm, 0 = any"},
  {"--plot", type = "string", value = "FILE", help = "draw series, forecast and score here, as in anomalies.svg"},
}, "patience", "init", "seed", "out", "load", "checkpoint", "resume", "loss_plot", "verbose"))

-- What shapes the model and the run: kept in the model file, so that --load and --resume need none of it again.
local kept = {"learn", "val", "rule", "factor", "quantile", "missing", "no_header", "look_back", "hidden", "epochs",
  "batch", "lr", "clip", "patience", "init", "seed"}

-- What a resumed run is to be told again.
local unkept = {"truth", "show", "out", "plot", "loss_plot", "verbose"}

local stop = lstm.args.stop
local program = programs(opt, given, unkept)
local need = program.need

local function say(...) program:say(...) end

-- [Data]

-- Faults of the made-up example, all in its second half: what a row becomes. k: rows since the fault began.
local faults = {
  {name = "spike", length = 2, change = function(row, _, _, sign) return {row[1] + 4 * sign, row[2]} end},
  {name = "shift", length = 25, change = function(row, _, _, sign) return {row[1], row[2] + 3 * sign} end},
  {name = "stuck", length = 30, change = function(_, before) return before end},
  {name = "wave", length = 40, change = function(row, _, k) return {row[1] + 2 * math.sin(k * 2), row[2]} end},
}

-- Two sensors of one machine that breathes once in 48 rows, and which rows are faults.
local function example()
  local rng, values, truth, drift = lstm.rng(opt.seed), {}, {}, 0
  local count, wave = 3000, 2 * math.pi / 48
  for i = 1, count do
    drift = 0.9 * drift + 0.2 * (rng:uniform() - 0.5)
    values[i] = {20 + 5 * math.sin(i * wave) + drift + 0.3 * (rng:uniform() - 0.5),
      100 + 3 * math.cos(i * wave + 0.5) - drift + 0.2 * (rng:uniform() - 0.5)}
    truth[i] = 0
  end
  local at, number = 1600, 0
  while at + 100 < count do
    local fault = faults[number % #faults + 1]
    local before = {values[at - 1][1], values[at - 1][2]}
    for k = 0, fault.length - 1 do
      values[at + k] = fault.change(values[at + k], before, k, number % 8 < 4 and 1 or -1)
      truth[at + k] = 1
    end
    at, number = at + 90 + rng:index(60), number + 1
  end
  say("a made-up example: %d rows, %d faults (spike, shift, stuck, wave) after row 1600", count, number)
  local columns = {"temperature", "pressure"}
  return {rows = lstm.table(lstm.array(values), columns), columns = columns, also = lstm.array(truth), made_up = true}
end

local function names_of(text)
  local names = text and {}
  for name in (text or ""):gmatch("[^,]+") do names[#names + 1] = name:match("^%s*(.-)%s*$") end
  return names
end

local function read_data(columns)
  if not opt.file then return example() end
  local header = nil
  if opt.no_header then header = false end
  local how = {columns = columns, all = true, also = opt.truth, header = header, missing = opt.missing}
  return need(series.read(opt.file, how, say))
end

-- How many rows are learned from, and how many are normal in all.
local function lengths_of(rows)
  local normal = math.floor(#rows * opt.learn + 1e-6)
  return math.floor(normal * (1 - opt.val) + 1e-6), normal
end

local function check_length(rows)
  local learned, normal = lengths_of(rows)
  if learned > opt.look_back and normal - learned >= 20 then return end
  stop(("%s has %d rows, too few: --learn %g and --val %g leave %d to learn from and %d to set the limit by; %d and " ..
    "20 are needed"):format(opt.file, #rows, opt.learn, opt.val, learned, normal - learned, opt.look_back + 1))
end

-- [Scores]

-- Forecasts of the rows after the first look_back, and what was measured: arrays [n][columns], in the columns' units.
local function forecasts(model, rows)
  return model:predict(rows), rows:windows{look_back = opt.look_back}:targets()
end

-- The usual error of each column: its root mean square over these rows.
local function usual_errors(guess, truth, columns)
  local scale = {}
  for j, name in ipairs(columns) do
    scale[name] = math.max(lstm.rmse(guess:column(j), truth:column(j)), 1e-12)
  end
  return scale
end

-- The score of each row, a list.
local function scores_of(guess, truth, columns, scale)
  local divisors = {}
  for j, name in ipairs(columns) do divisors[j] = scale[name] end
  local d = (guess - truth) / lstm.array(divisors)
  local scores = (d * d):mean(2):totable()
  for i, value in ipairs(scores) do scores[i] = math.sqrt(value) end
  return scores
end

-- The value below which a share of the sorted list is.
local function quantile(sorted, share) return sorted[math.max(1, math.min(#sorted, math.ceil(share * #sorted)))] end

local function limit_of(scores)
  local sorted = {}
  for i, value in ipairs(scores) do sorted[i] = value end
  table.sort(sorted)
  if opt.rule == "quantile" then return quantile(sorted, opt.quantile) end
  local median, apart = quantile(sorted, 0.5), {}
  for i, value in ipairs(sorted) do apart[i] = math.abs(value - median) end
  table.sort(apart)
  return median + opt.factor * 1.4826 * quantile(apart, 0.5)           -- 1.4826: of a normal distribution
end

-- Rows above the limit that are no further apart than a forecast looks back: {first =, last =, rows =, worst =,
-- score =}.
local function places_of(scores, limit, first)
  local places = {}
  for i = first, #scores do
    if scores[i] > limit then
      local place = places[#places]
      if not place or i - place.last > opt.look_back then
        place = {first = i, last = i, rows = 0, score = 0}
        places[#places + 1] = place
      end
      place.last, place.rows = i, place.rows + 1
      if scores[i] > place.score then place.score, place.worst = scores[i], i end
    end
  end
  return places
end

-- [Results]

-- A row of the file: its number, and its date where there is one. i: number of its forecast.
local function row_name(data, i)
  local row, days = i + opt.look_back, data.days
  return days and ("%d (%s)"):format(row, series.date(days[row], days[2] - days[1] < 1)) or ("%d"):format(row)
end

-- The number of the column that is furthest from its forecast.
local function culprit(data, result, i)
  local worst, place = -1, 1
  for j, column in ipairs(data.columns) do
    local off = math.abs(result.guess[i][j] - result.truth[i][j]) / result.scale[column]
    if off > worst then worst, place = off, j end
  end
  return place
end

-- "temp 99.2 instead of 71.3"
local function cause(data, result, i)
  local j = culprit(data, result, i)
  return ("%s %.5g instead of %.5g"):format(data.columns[j], result.truth[i][j], result.guess[i][j])
end

local function print_places(data, result)
  local shown = {}
  for _, place in ipairs(result.places) do shown[#shown + 1] = place end
  table.sort(shown, function(a, b) return a.score > b.score end)
  for k = #shown, opt.show + 1, -1 do shown[k] = nil end
  if #shown < #result.places then
    say("%d places stand out; the %d worst:", #result.places, #shown)
  end
  table.sort(shown, function(a, b) return a.first < b.first end)
  for _, place in ipairs(shown) do
    local where = row_name(data, place.first)
    if place.last > place.first then where = where .. " to " .. row_name(data, place.last) end
    print(("row%s %s: score %.1f (limit %.1f), row %d: %s"):format(place.last > place.first and "s" or "", where,
      place.score, result.limit, place.worst + opt.look_back, cause(data, result, place.worst)))
  end
end

-- Runs of ones in the known truth: {first =, last =} by number of the forecast.
local function known_faults(truth, first)
  local list = {}
  for i = first, #truth - opt.look_back do
    if truth[i + opt.look_back] >= 0.5 then
      local fault = list[#list]
      if fault and fault.last == i - 1 then fault.last = i else list[#list + 1] = {first = i, last = i} end
    end
  end
  return list
end

-- A place is right where it touches a fault or the rows after it, whose forecasts look back at it.
local function touches(place, fault)
  return place.first <= fault.last + opt.look_back and place.last >= fault.first
end

local function count_touching(list, others, test)
  local count = 0
  for _, one in ipairs(list) do
    for _, other in ipairs(others) do
      if test(one, other) then
        count = count + 1
        break
      end
    end
  end
  return count
end

local function print_quality(data, result)
  local known = known_faults(data.also, result.first)
  if #known == 0 then return say("none of the rows that were scored is known to be a fault") end
  local right = count_touching(result.places, known, touches)
  local found = count_touching(known, result.places, function(fault, place) return touches(place, fault) end)
  local precision, recall = #result.places > 0 and right / #result.places or 0, found / #known
  local f1 = precision + recall > 0 and 2 * precision * recall / (precision + recall) or 0
  print(("%d of %d faults found, %d of %d places are none"):format(found, #known, #result.places - right,
    #result.places))
  print(("precision %.3f recall %.3f F1 %.3f"):format(precision, recall, f1))
end

-- [The picture]

-- The column that is furthest off at the worst place; the first where none stands out.
local function column_to_draw(data, result)
  local worst
  for _, place in ipairs(result.places) do
    if not worst or place.score > worst.score then worst = place end
  end
  return worst and culprit(data, result, worst.worst) or 1
end

-- One column and its forecast above, the score and its limit below.
local function draw(data, result)
  if not opt.plot then return end
  local lines, svg = require "lstm.lines", require "lstm.svg"
  local j = column_to_draw(data, result)
  local name = data.columns[j]
  local places, values, guess, n = {}, data.rows:column(name), {}, #result.scores
  for i = 1, #values do places[i] = data.days and data.days[i] or i end
  for i = 1, #values do guess[i] = i > opt.look_back and result.guess[i - opt.look_back][j] or 0 / 0 end
  local scores, limit = {}, {}
  for i = 1, #values do
    scores[i] = i > opt.look_back and result.scores[i - opt.look_back] or 0 / 0
    limit[i] = i >= result.first + opt.look_back and result.limit or 0 / 0
  end
  local marks = {}
  for _, place in ipairs(result.places) do
    local row = place.worst + opt.look_back
    marks[#marks + 1] = {x = places[row], y = scores[row], series = 1}
  end
  local upper = lines.read({{values, x = places, name = "measured", style = "muted"},
    {guess, x = places, name = "forecast"}}, "anomaly")
  local lower = lines.read({{scores, x = places, name = "score"},
    {limit, x = places, name = ("limit %.3g"):format(result.limit), style = "dash"}}, "anomaly")
  local opts = {title = ("%s: %d place%s stand%s out in %d rows"):format(name, #result.places,
    #result.places == 1 and "" or "s", #result.places == 1 and "s" or "", n - result.first + 1),
    width = 860, height = 520, what = "anomalies", colors = 2}
  local range = {places[1], places[#places]}
  local above = {x = "", y = name, dates = data.days ~= nil, x_range = range}
  local below = {x = data.days and "date" or "row", y = "score", dates = data.days ~= nil, marks = marks,
    x_range = range}
  local out = {svg.text(20, 33, "title ink", svg.fit(opts.title, opts.width - 40, 19))}
  local box = {left = 20, top = 52, width = opts.width - 40, height = 250}
  local under = {left = 20, top = 302, width = opts.width - 40, height = opts.height - 302}
  box.margin = math.max(lines.margin(box, above, upper), lines.margin(under, below, lower))
  under.margin = box.margin
  for _, part in ipairs{{box, above, upper}, {under, below, lower}} do
    for _, element in ipairs((lines.panel(part[1], part[2], part[3]))) do out[#out + 1] = element end
  end
  need(svg.save(svg.document(opts, out), opt.plot))
  say("plot: %s", opt.plot)
end

-- [The program]

-- Sets the usual errors and the limit by the normal rows that were not learned from.
local function calibrate(model, data)
  local learned, normal = lengths_of(data.rows)
  local rows = data.rows:slice(math.max(1, learned - opt.look_back + 1), normal)
  local guess, truth = forecasts(model, rows)
  local scale = usual_errors(guess, truth, data.columns)
  model.meta.anomaly_scale = scale
  model.meta.anomaly_limit = limit_of(scores_of(guess, truth, data.columns, scale))
end

-- Scores the rows after the first `normal`.
local function judge(model, data, normal)
  local result = {scale = model.meta.anomaly_scale, limit = model.meta.anomaly_limit}
  result.guess, result.truth = forecasts(model, data.rows)
  result.scores = scores_of(result.guess, result.truth, data.columns, result.scale)
  result.first = math.max(1, normal - opt.look_back + 1)
  result.places = places_of(result.scores, result.limit, result.first)
  print_places(data, result)
  draw(data, result)
  local rows = 0
  for _, place in ipairs(result.places) do rows = rows + place.rows end
  print(("%d of %d rows stand out, in %d place%s"):format(rows, #result.scores - result.first + 1, #result.places,
    #result.places == 1 and "" or "s"))
  if data.also then print_quality(data, result) end
end

local function load_and_exit()
  program:check_load_options{"file", "load", "truth", "show", "no_header", "missing", "plot", "verbose"}
  local model = program:open(opt.load, "anomaly")
  if not model.pipeline or not model.meta.anomaly_limit then program:check_maker(opt.load, {}, "anomaly") end
  lstm.args.recall(opt, given, model.meta.anomaly)
  local data = read_data(model.pipeline.columns)
  data.columns = model.pipeline.columns
  if #data.rows <= opt.look_back then
    stop(("%s has %d rows, too few: the model looks at the last %d"):format(opt.file, #data.rows, opt.look_back))
  end
  judge(model, data, data.made_up and select(2, lengths_of(data.rows)) or 0)
  os.exit(0, true)
end

local function learn(model, data)
  local learned, normal = lengths_of(data.rows)
  local rows = lstm.zscore(data.rows:slice(1, learned)):apply(data.rows)
  local train = rows:slice(1, learned)
  local shape = {look_back = opt.look_back}
  local set = train:windows(shape)
  program:choose_epochs(#set, 20, 1500, 20000)
  model.meta.anomaly = lstm.args.keep(opt, kept)
  say("%d rows of %s; %d to learn from, %d to set the limit by, %d to score; %d epoch%s", #data.rows,
    table.concat(data.columns, ", "), learned, normal - learned, #data.rows - normal, opt.epochs,
    opt.epochs == 1 and "" or "s")
  if opt.resume then program:check_epochs(model, #set) end
  program:warn_unsaved()
  program:fit(model, set, {
    validation = rows:slice(learned + 1, normal):windows{look_back = opt.look_back, before = train},
    epochs = opt.epochs, batch = opt.batch, lr = opt.lr, clip = opt.clip, seed = opt.seed, patience = opt.patience,
    checkpoint = opt.checkpoint or opt.resume, resume = opt.resume, verbose = opt.verbose,
  }, {y = "mean squared error, scaled", log = true})
end

if opt.truth and not opt.file then stop("--truth names a column of FILE, which is missing", 2) end
program:check_writable{"out", "checkpoint", "plot", "loss_plot"}
if opt.load then load_and_exit() end
local model = opt.resume and program:reopen("anomaly", {"epochs", "patience"})
local data = read_data(model and model.pipeline.columns or names_of(opt.columns))
check_length(data.rows)
model = model or lstm.model{input = #data.columns, lstm.lstm(opt.hidden), output = #data.columns, loss = "mse",
  init = opt.init, seed = opt.seed}
learn(model, data)
calibrate(model, data)
if opt.out then need(model:save(opt.out)) end                            -- again, with its limit
judge(model, data, select(2, lengths_of(data.rows)))
