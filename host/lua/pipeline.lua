-- pipeline.lua: what stands between raw data and a model: the columns it reads, the window, and the scaler. A model
-- learns it in fit and keeps it in its file, so that a loaded model takes raw rows, with nothing else.
--
-- Of windows: {columns =, look_back =, ahead =, steps =, targets = (names), scaler = (or nil)}; of sequences
-- {scaler =}. What carries a scaler (scaled rows, their windows) has been through it; what carries none is raw.

local core = require "lstm.core"
local metadata = require "lstm.meta"
local options = require "lstm.options"
local sequences = require "lstm.sequences"
local windows = require "lstm.windows"

local pipeline = {}

local function kind_of(data) return type(data) == "table" and rawget(data, "kind") or nil end
local function scaler_of(data) return rawget(data, "scaler") end

-- The names of what a set of windows has as targets.
local function targets_of(set)
  local names = rawget(set, "target_columns")
  if names then return names end
  return rawget(set, "target") and {set.target} or set.columns
end

--- Takes over from training data what a model needs to do the same with raw data. Other kinds of data change nothing.
function pipeline.learn(model, train)
  local kind = kind_of(train)
  if kind == "windows" then
    model.pipeline = {
      columns = train.columns, look_back = train.look_back, ahead = train.ahead, steps = rawget(train, "steps") or 1,
      targets = targets_of(train), scaler = scaler_of(train),
    }
  elseif kind == "sequences" then
    model.pipeline = scaler_of(train) and {scaler = scaler_of(train)} or nil
  end
end

-- Whether two scalers do the same.
local function same_scaler(a, b)
  if a == b or not a or not b then return a == b end
  for _, name in ipairs(a.columns) do
    if a.offset[name] ~= b.offset[name] or a.factor[name] ~= b.factor[name] then return false end
  end
  return true
end

local function same_names(a, b) return table.concat(a, "\n") == table.concat(b, "\n") end

-- What windows of the same columns foretell that the model does not, as two texts; nil where they agree. Where they
-- differ a loss would compare what has nothing to do with each other.
local function other_targets(own, set)
  if not same_names(set.columns, own.columns) then return nil end
  local targets = targets_of(set)
  if not same_names(targets, own.targets) then return options.list(targets), options.list(own.targets) end
  local function when(ahead, steps) return ("%d ahead%s"):format(ahead, steps > 1 and ", steps " .. steps or "") end
  local theirs, ours = when(set.ahead, rawget(set, "steps") or 1), when(own.ahead, own.steps)
  if theirs ~= ours then return theirs, ours end
end

-- The same names in another order.
local function reordered(names, wanted)
  local a, b = {}, {}
  for i, name in ipairs(names) do a[i] = name end
  for i, name in ipairs(wanted) do b[i] = name end
  if same_names(a, b) then return false end
  table.sort(a)
  table.sort(b)
  return same_names(a, b)
end

--- Raises where windows or sequences are scaled in another way than those that the model learned from, or where windows
-- of the same columns have other targets.
function pipeline.check(model, data, where)
  local own, kind = model.pipeline, kind_of(data)
  if not own or kind ~= "windows" and kind ~= "sequences" then return end
  local scaler = scaler_of(data)
  local function refuse(sentence, ...) core.raise(("%s: " .. sentence):format(where, kind, ...)) end
  if own.scaler and not scaler then
    local wanted = where:find("^fit") and "" or "the raw table of rows itself, or "
    refuse("the model learned from scaled values, these %s are raw: give %s", kind == "windows" and
      wanted .. "windows of scale:apply(rows)" or "scale:apply(sequences)")
  elseif scaler and not own.scaler then
    refuse("the model learned from raw values, these %s are scaled")
  elseif not same_scaler(own.scaler, scaler) then
    refuse("these %s are scaled by another scaler than those that the model learned from: model.pipeline.scaler")
  elseif kind == "windows" and own.columns and reordered(data.columns, own.columns) then
    refuse("these %s have the columns %s, the model reads %s: rows:select{...} brings them in order",
      options.list(data.columns), options.list(own.columns))
  elseif kind == "windows" and own.columns then
    local theirs, ours = other_targets(own, data)
    if theirs then refuse("the targets of these %s are %s, those that the model learned %s", theirs, ours) end
  end
end

-- --- rows -----------------------------------------------------------------------------------------------------------

local function rows_needed(own) return own.look_back + own.ahead + own.steps - 1 end

-- The columns that the model reads, in its order.
local function selected(rows, names, where)
  local known = {}
  for _, name in ipairs(rows.columns) do known[name] = true end
  for _, name in ipairs(names) do
    if not known[name] then
      core.raise(('%s: the model reads the column "%s", which the rows do not have (they have %s)'):format(where, name,
        options.list(rows.columns)))
    end
  end
  if same_names(rows.columns, names) then return rows end
  return rows:select(names)
end

local function check_window(model, where)
  if model.pipeline and model.pipeline.look_back then return model.pipeline end
  return core.raise(where .. ": the model did not learn from windows, so it cannot tell how far to look back: " ..
    "use rows:windows{look_back = ...}")
end

local function scaled(own, rows) return own.scaler and own.scaler:apply(rows) or rows end

-- Outputs in the targets' own units.
local function undone(own, values)
  if not own.scaler then return values end
  return own.scaler:undo(values, #own.targets == 1 and own.targets[1] or own.targets)
end

-- The windows of a table of rows, raw or scaled by the model's own scaler; and what brings outputs back, for raw ones.
local function of_rows(model, rows, where)
  local own = check_window(model, where)
  local scaler = scaler_of(rows)
  if scaler and not same_scaler(scaler, own.scaler) then
    core.raise(("%s: these rows are scaled %s: give the raw ones"):format(where,
      own.scaler and "by another scaler than the model's" or "already, but the model learned from raw values"))
  end
  rows = selected(rows, own.columns, where)
  local count, needed = #rows.data, rows_needed(own)
  if count < needed then
    core.raise(("%s: %d rows are too few: the model looks back %d rows, and windows with their targets need %d " ..
      "(model:forecast(rows, n) goes on after the last row)"):format(where, count, own.look_back, needed))
  end
  local set = (scaler and rows or scaled(own, rows)):windows{
    look_back = own.look_back, ahead = own.ahead, steps = own.steps ~= 1 and own.steps or nil,
    target = #own.targets == 1 and own.targets[1] or own.targets,
  }
  return set, not scaler and function(values) return undone(own, values) end or nil
end

-- --- sequences ------------------------------------------------------------------------------------------------------

-- Raw sequences, scaled: a set, {x = list, y =}, or one sequence [T][I]. Arrays of many sequences stay as they are.
local function of_sequences(own, data)
  if type(data) == "userdata" then
    return select(3, data:shape()) and data or own.scaler:apply(sequences.new{x = {data}}).x[1]
  end
  if kind_of(data) == "sequences" then
    return scaler_of(data) and data or own.scaler:apply(data)
  elseif type(data) == "table" and not kind_of(data) and type(data.x) == "table" and sequences.is_list(data.x) then
    return own.scaler:apply(sequences.new{x = data.x, y = data.y})
  end
  return data
end

--- Data as the network takes it, from raw data; other data stay as they are. Returns them and, for rows, a function
-- that brings the outputs back into the targets' units. Raises for what was scaled in another way.
function pipeline.input(model, data, where)
  if kind_of(data) == "table" then return of_rows(model, data, where) end
  local own = model.pipeline
  if own and own.scaler and not own.look_back then return of_sequences(own, data) end
  pipeline.check(model, data, where)
  return data
end

--- Measured errors of one target in its own unit, in place.
function pipeline.rescaled(model, result)
  local own = model.pipeline
  local factor = own.scaler and #own.targets == 1 and own.scaler.factor[own.targets[1]]
  for _, name in ipairs{"rmse", "mae"} do
    if factor and result[name] then result[name] = result[name] * factor end
  end
  return result
end

-- --- forecasts ------------------------------------------------------------------------------------------------------

-- The places of the targets among the columns, and the other columns' names.
local function places_of(own)
  local place, others, target = {}, {}, {}
  for _, name in ipairs(own.targets) do target[name] = true end
  for j, name in ipairs(own.columns) do
    place[name] = j
    if not target[name] then others[#others + 1] = name end
  end
  return place, others
end

-- How many rows after the given ones the model reads to write n of them.
local function rows_fed(own, n)
  return n < own.ahead and 0 or math.floor((n - own.ahead) / own.steps) * own.steps
end

local function known_future(own, known, others, needed)
  if #others == 0 or needed == 0 then return nil end
  if not known then
    local reach = own.ahead + own.steps - 1
    core.raise(("forecast: the model reads %s, which it does not foretell: it can go on for %d row%s; for more give " ..
      "known = a table of their future"):format(options.list(others), reach, reach == 1 and "" or "s"))
  end
  if kind_of(known) ~= "table" then
    core.raise("forecast: known must be a table of rows (as lstm.csv returns), got " .. options.show(known))
  end
  if scaler_of(known) then core.raise("forecast: the rows of known are scaled: give the raw ones") end
  if #known.data < needed then
    core.raise(("forecast: known has %d rows, %d are needed"):format(#known.data, needed))
  end
  return scaled(own, selected(known, others, "forecast"):slice(1, needed))
end

-- The scaled rows at the end of the table that the forecast begins with, and room for those that are fed.
local function tail_of(own, rows, fed)
  local keep = own.look_back + own.ahead - 1
  local tail = scaled(own, selected(rows, own.columns, "forecast"):slice(#rows.data - keep + 1, #rows.data)).data
  local all = core.zeros{keep + fed, #own.columns}
  for i = 1, keep do all[i] = tail[i] end
  return all, keep
end

-- Writes `count` rows of outputs into the input rows from `at` on, as far as these are read.
local function feed(own, all, at, output, count, place)
  local width = #own.targets
  for s = 1, math.min(count, #all - at + 1) do
    for k, name in ipairs(own.targets) do
      if place[name] then all[at + s - 1][place[name]] = output[(s - 1) * width + k] end
    end
  end
end

local function put_known(all, keep, future, others, place)
  for i = 1, future and #future.data or 0 do
    for j, name in ipairs(others) do all[keep + i][place[name]] = future.data[i][j] end
  end
end

-- Row k comes from the window that ends `ahead` rows before it; while that is among the given rows, one row at a time,
-- so that each is written from the latest rows; then all steps of a window.
local function roll(model, own, all, keep, n, place)
  local result, width = core.zeros{n, #own.targets}, #own.targets
  local state, done = model:state(), 0
  while done < n do
    local last = keep + done + 1 - own.ahead
    local count = last < keep and 1 or own.steps
    local output = state:reset():forward(all:slice(last - own.look_back + 1, last))
    for s = 1, math.min(count, n - done) do
      for k = 1, width do result[done + s][k] = output[(s - 1) * width + k] end
    end
    feed(own, all, keep + done + 1, output, count, place)
    done = done + count
  end
  return result
end

--- What follows the rows: see Model:forecast.
function pipeline.forecast(model, rows, n, given)
  local opts = options.check(given, {known = {type = "table"}}, "forecast")
  if kind_of(rows) ~= "table" then
    core.raise("forecast: a table of rows (as lstm.csv returns) is needed, got " .. options.show(rows))
  end
  local own = check_window(model, "forecast")
  if scaler_of(rows) then core.raise("forecast: the rows are scaled already: give the raw ones") end
  local count, wanted = options.value(n, {type = "integer", min = 1})
  if not count then core.raise(("forecast: n must be %s, got %s"):format(wanted, options.show(n))) end
  local there, needed = #rows.data, own.look_back + own.ahead - 1
  if there < needed then
    core.raise(("forecast: %d rows are too few: the model looks back %d"):format(there, needed))
  end
  local place, others = places_of(own)
  local fed = rows_fed(own, count)
  local future = known_future(own, opts.known, others, fed)
  local all, keep = tail_of(own, rows, fed)
  put_known(all, keep, future, others, place)
  return windows.table(undone(own, roll(model, own, all, keep, count, place)), own.targets)
end

-- --- in the file ----------------------------------------------------------------------------------------------------

--- The string that travels in the model file.
function pipeline.tometa(own) return metadata.encode(own, "pipeline") end

-- A plain table: what a file says may be a vocabulary or a scaler where a list is needed.
local function is_plain(value) return type(value) == "table" and getmetatable(value) == nil end

local function is_names(list)
  if not is_plain(list) or #list == 0 then return false end
  for i = 1, #list do
    if type(list[i]) ~= "string" then return false end
  end
  return true
end

local function is_count(value) return options.value(value, {type = "integer", min = 1}) ~= nil end

local function knows(scaler, names)
  for _, name in ipairs(names) do
    if not scaler.offset[name] then return false end
  end
  return true
end

--- A pipeline from such a string, for a model of these sizes; nil where it is damaged or fits another model.
function pipeline.frommeta(text, inputs, outputs)
  local own = metadata.decode(text)
  if not is_plain(own) then return nil end
  local scaler = own.scaler
  if scaler ~= nil and (type(scaler) ~= "table" or type(scaler.undo) ~= "function") then return nil end
  if own.look_back == nil then return scaler and {scaler = scaler} or nil end
  if not (is_names(own.columns) and is_names(own.targets)) then return nil end
  for _, name in ipairs{"look_back", "ahead", "steps"} do
    if not is_count(own[name]) then return nil end
  end
  if #own.columns ~= inputs or #own.targets * own.steps ~= outputs then return nil end
  if scaler and not (knows(scaler, own.columns) and knows(scaler, own.targets)) then return nil end
  return own
end

return pipeline
