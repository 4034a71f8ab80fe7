-- summary.lua: what print(model) shows: the layers in columns, what goes in and comes out, and the pipeline.

local layers = require "lstm.layers"
local options = require "lstm.options"

local SHOWN = 8                                      -- names of columns or labels in a line

local function last_recurrent(list)
  local last
  for i, layer in ipairs(list) do
    if layers.is_recurrent(layer) then last = i end
  end
  return last
end

-- The library's line for each layer in columns: {number and kind with options, "2 -> 5", "160"}, and its last line.
local function read_core(model)
  local list, rows, foot = model.core:describe().layers, {}, ""
  local reader = last_recurrent(list)
  for line in model.core:summary():gmatch("[^\n]+") do
    local text, from, to, count = line:match("^(.-): (%d+) %-> (%d+), (%d+) parameters$")
    if text then
      local i = #rows + 1
      if i == reader and not text:find(" read=", 1, true) then text = text .. " read=" .. list[i].read end
      rows[i] = {("%2d  %s"):format(i, text), ("%s -> %s"):format(from, to), count}
    elseif line:find("^%d+ parameters") then
      foot = line
    end
  end
  return rows, foot
end

local function in_columns(rows)
  local width, lines = {0, 0, 0}, {}
  for _, row in ipairs(rows) do
    for k = 1, 3 do width[k] = math.max(width[k], #row[k]) end
  end
  local format = ("%%-%ds   %%-%ds  %%%ds parameters"):format(width[1], width[2], width[3])
  for i, row in ipairs(rows) do lines[i] = format:format(row[1], row[2], row[3]) end
  return lines
end

local function what_goes_in(model)
  local inputs, _, _, takes_ids = model.core:sizes()
  local text = ("input %d%s"):format(inputs, takes_ids and " tokens" or "")
  local columns = model.pipeline and model.pipeline.columns
  if model.vocab then return ("%s: %s"):format(text, tostring(model.vocab)) end
  return columns and ("%s: %s"):format(text, options.list(columns, SHOWN)) or text
end

local function what_comes_out(model)
  local _, outputs = model.core:sizes()
  local text = ("output %d, %s"):format(outputs, model.core:output())
  local own = model.pipeline
  if model.output_vocab then return ("%s: %s"):format(text, tostring(model.output_vocab)) end
  if model.labels then return ("%s: %s"):format(text, options.list(model.labels, SHOWN)) end
  if not (own and own.targets) then return text end
  return ("%s: %s%s"):format(text, options.list(own.targets, SHOWN), own.steps > 1 and (" of %d rows"):format(own.steps)
    or "")
end

-- Each column of a scaler: "Temp 0 to 26.3", or its mean and deviation.
local function scaled(scaler)
  local words = {}
  for i, name in ipairs(scaler.columns) do
    if i > SHOWN / 2 then
      words[i] = ("and %d more"):format(#scaler.columns - i + 1)
      break
    end
    local offset, factor = scaler.offset[name], scaler.factor[name]
    words[i] = scaler.kind == "minmax" and ("%s %.4g to %.4g"):format(name, offset, offset + factor) or
      ("%s %.4g +- %.4g"):format(name, offset, factor)
  end
  return ("scaler %s: %s"):format(scaler.kind, table.concat(words, ", "))
end

local function pipeline_of(own)
  local words = {}
  if own.look_back then
    words[1] = ("look_back %d, ahead %d, steps %d"):format(own.look_back, own.ahead, own.steps)
  end
  words[#words + 1] = own.scaler and scaled(own.scaler) or "no scaler"
  return "pipeline: " .. table.concat(words, "; ")
end

local function meta_of(meta)
  local names = {}
  for name in pairs(meta) do names[#names + 1] = tostring(name) end
  table.sort(names)
  return #names > 0 and "meta: " .. options.list(names, SHOWN) or nil
end

--- The lines that print(model) shows, as one string.
return function(model)
  local rows, foot = read_core(model)
  local lines = in_columns(rows)
  table.insert(lines, 1, what_goes_in(model))
  lines[#lines + 1] = what_comes_out(model)
  lines[#lines + 1] = ("loss %s; %s"):format(model.loss, foot)
  if model.pipeline then lines[#lines + 1] = pipeline_of(model.pipeline) end
  lines[#lines + 1] = meta_of(model.meta)
  return table.concat(lines, "\n")
end
