-- curves.lua: which columns of a history are drawn, against what, and where the ring stands; for pictures and charts.

local curves = {}

-- Whether a row stands at the end of its epoch, as the first one does: else its epoch is no place on an axis.
local function ends_epoch(row, first)
  return not row.step or not first.step or row.step * first.epoch == row.epoch * first.step
end

-- The column to plot against: epochs where each row ends another one, else steps, else the row's number.
local function places_name(history)
  local first = history[1]
  if type(first) ~= "table" then require "lstm.core".raise("plot: a history is needed, as fit returns one") end
  if first.epoch then
    local rising = true
    for i = 2, #history do
      rising = rising and (history[i].epoch or 0) > (history[i - 1].epoch or 0) and ends_epoch(history[i], first)
    end
    if rising then return "epoch" end
  end
  return first.step and "step" or nil
end

local function has(history, name)
  for _, row in ipairs(history) do
    if row[name] ~= nil then return true end
  end
  return false
end

local SHOWN = {loss = "training", val_loss = "validation"}
local usual = {epoch = true, step = true, loss = true, val_loss = true, lr = true, norm = true, seconds = true}

-- The ring on the best row: on the curve that was watched, if it is among those drawn.
local function best_mark(history, names, places)
  local watched = history.monitor or (has(history, "val_loss") and "val_loss" or "loss")
  for k, name in ipairs(names) do
    local row = name == watched and history.best and history[history.best]
    if row and row[name] and name ~= "loss" then
      return {{x = places[history.best], y = row[name], series = k, label = ("best %.4g"):format(row[name])}}
    end
  end
end

--- The columns beside the losses that were asked for: a list (each must be there), or true for all metrics.
function curves.metrics(history, wanted)
  if not wanted then return {} end
  if type(wanted) == "table" then
    for _, name in ipairs(wanted) do history:column(name) end        -- raises for one that is not there
    return wanted
  end
  local names = {}
  for _, name in ipairs(history:columns()) do
    if not usual[name] then names[#names + 1] = name end
  end
  return names
end

--- The losses of a history, or the columns of `names`, as lstm.plot takes them: a list of {values, x =, name =}, the
-- marks, and the name of the x axis.
function curves.of(history, names)
  local name, places, list = places_name(history), {}, {}
  for i = 1, #history do places[i] = name and history[i][name] or i end
  names = names or {"loss", has(history, "val_loss") and "val_loss" or nil}
  for k, column in ipairs(names) do
    list[k] = {history:column(column), x = places, name = SHOWN[column] or column:gsub("_", " ")}
  end
  return list, best_mark(history, names, places), name or "row"
end

return curves
