-- csv.lua: numbers from comma separated files (RFC 4180: quotes, doubled quotes, newlines in quotes, CRLF).
--
-- Every cell of a wanted column is checked. What a file can get wrong is told as one sentence with the file, the
-- line, the column and the text: nil, 'temps.csv:12: column "Temp": "hot" is not a number', "format".

local core = require "lstm.core"
local options = require "lstm.options"
local windows = require "lstm.windows"

local csv = {}

local MISSING = {[""] = true, na = true, ["n/a"] = true, nan = true, null = true, none = true, ["?"] = true}
local LARGEST = 3.4028235e38                         -- of a float32

-- The separator that the first line uses most, outside quotes.
local function detect_separator(text)
  local line = text:match("^[^\r\n]*"):gsub('"[^"]*"', "")
  local best, most = ",", 0
  for _, separator in ipairs{",", ";", "\t"} do
    local _, n = line:gsub(separator, "")
    if n > most then best, most = separator, n end
  end
  return best
end

-- Reads the quoted field whose opening quote is at i: its text and the position after the closing quote, or nil and
-- what is wrong.
local function quoted_field(text, i)
  local parts, from = {}, i + 1
  while true do
    local close = text:find('"', from, true)
    if not close then return nil, "a quote is opened and never closed" end
    parts[#parts + 1] = text:sub(from, close - 1)
    if text:byte(close + 1) ~= 34 then return table.concat(parts), close + 1 end
    parts[#parts + 1] = '"'
    from = close + 2
  end
end

-- The record that starts at i: its fields and the position after its line end; or nil and what is wrong.
local function record(text, i, separator)
  local fields, stop = {}, "[" .. separator .. "\r\n]"
  while true do
    if text:byte(i) == 34 then
      local field, after = quoted_field(text, i)
      if not field then return nil, after end
      fields[#fields + 1], i = field, after
      if i <= #text and not text:find("^" .. stop, i) then
        return nil, ('text follows the closing quote of "%s"'):format(field)
      end
    else
      local last = (text:find(stop, i) or #text + 1) - 1
      fields[#fields + 1], i = text:sub(i, last), last + 1
    end
    if text:sub(i, i) ~= separator then
      return fields, i + (text:sub(i, i + 1) == "\r\n" and 2 or 1)
    end
    i = i + 1
  end
end

-- All records as {fields, line = number}; blank lines are left out. Or nil, line, what is wrong.
local function read_records(text, separator)
  local records, i, line = {}, 1, 1
  if text:sub(1, 3) == "\239\187\191" then i = 4 end                  -- a byte order mark
  while i <= #text do
    local fields, after = record(text, i, separator)
    if not fields then return nil, line, after end
    if #fields > 1 or fields[1]:find("%S") then records[#records + 1] = {fields = fields, line = line} end
    local _, newlines = text:sub(i, after - 1):gsub("\r?\n", "")
    i, line = after, line + newlines
  end
  return records
end

local function trim(text) return text:match("^%s*(.-)%s*$") end

-- A decimal number that a float32 can hold, or nil.
local function decimal(text)
  if not text:find("^[+-]?%d+%.?%d*[eE]?[+-]?%d*$") and not text:find("^[+-]?%.%d+[eE]?[+-]?%d*$") then return nil end
  local number = tonumber((text:gsub("^%+", "")))
  if not number or math.abs(number) > LARGEST then return nil end
  return number
end

-- The first record as column names; a file that starts with numbers only gets the names "1", "2", ...
local function header_of(records, header)
  local names, numbers = {}, 0
  for j, cell in ipairs(records[1].fields) do
    names[j] = trim(cell)
    if decimal(names[j]) then numbers = numbers + 1 end
  end
  if header == nil then header = numbers < #names end
  if header then table.remove(records, 1) end
  for j = 1, #names do
    if not header or names[j] == "" then names[j] = tostring(j) end
  end
  return names, header
end

-- Where a column is: by its name, else by its number ("2").
local function index_of(names, wanted)
  local found
  for j, name in ipairs(names) do
    if name == wanted then
      if found then return nil, ('two columns are called "%s"'):format(name) end
      found = j
    end
  end
  local number = not found and wanted:find("^%d+$") and tonumber(wanted)
  if number and names[number] then return number end
  if not found then return nil, options.unknown("column", wanted, names) end
  return found
end

-- Columns whose first cell with a value is a number.
local function numeric_columns(names, records)
  local wanted = {}
  for j, name in ipairs(names) do
    for _, row in ipairs(records) do
      local cell = trim(row.fields[j] or "")
      if not MISSING[cell:lower()] then
        if decimal(cell) then wanted[#wanted + 1] = name end
        break
      end
    end
  end
  return wanted
end

local function cell_error(name, cell)
  local hint = ""
  if cell:find("^[+-]?%d+,%d+$") then hint = " (the decimal sign must be a point)" end
  return ('column "%s": "%s" is not a number%s'):format(name, #cell > 40 and cell:sub(1, 37) .. "..." or cell, hint)
end

-- The column's numbers, false where one is missing; or nil, line, message.
local function read_column(records, j, name, missing)
  local values, count = {}, 0
  for i, row in ipairs(records) do
    local cell = trim(row.fields[j])
    local number = decimal(cell)
    if not number and not MISSING[cell:lower()] then return nil, row.line, cell_error(name, cell) end
    if not number and missing == "error" then
      return nil, row.line, ('column "%s": the value is missing (missing = "interpolate" or "drop" accepts that)')
        :format(name)
    end
    values[i] = number or false
    if number then count = count + 1 end
  end
  if count == 0 then return nil, records[1].line, ('column "%s" has no values'):format(name) end
  return values
end

-- Fills gaps on the straight line between the neighbours; at the ends, with the nearest value.
local function interpolate(values)
  local before
  local i, n = 1, #values
  while i <= n do
    if values[i] then
      before, i = i, i + 1
    else
      local after = i
      while after <= n and not values[after] do after = after + 1 end
      for k = i, after - 1 do
        if not before or after > n then
          values[k] = values[before or after]
        else
          values[k] = values[before] + (values[after] - values[before]) * (k - before) / (after - before)
        end
      end
      before, i = after, after + 1
    end
  end
end

-- Columns of numbers -> one flat table by rows, without the rows that miss a value; and how many rows stay.
local function by_rows(columns, n)
  local flat, rows = {}, 0
  for i = 1, n do
    local complete = true
    for j = 1, #columns do complete = complete and columns[j][i] end
    if complete then
      rows = rows + 1
      for j = 1, #columns do flat[#flat + 1] = columns[j][i] end
    end
  end
  return flat, rows
end

local spec = {
  columns = {type = "table"}, separator = {type = "string", choices = {",", ";", "\t"}}, header = {type = "boolean"},
  missing = {type = "string", default = "error", choices = {"error", "interpolate", "drop"}},
}

local function parse(text, opts, name)
  local function bad(line, message) return nil, ("%s:%d: %s"):format(name, line, message), "format" end
  if not text:find("%S") then return nil, name .. ": the file is empty", "format" end
  local records, line, message = read_records(text, opts.separator or detect_separator(text))
  if not records then return bad(line, message) end
  local names, header = header_of(records, opts.header)
  if #records == 0 then return bad(1, "there are column names, but no rows") end
  for _, row in ipairs(records) do
    if #row.fields ~= #names then
      local cells = #row.fields == 1 and "1 cell" or #row.fields .. " cells"
      return bad(row.line, ("%s, but there %s"):format(cells, #names == 1 and "is 1 column" or "are " .. #names ..
        " columns"))
    end
  end
  local wanted = opts.columns or numeric_columns(names, records)
  if #wanted == 0 then return nil, name .. ": no column of numbers", "format" end
  local columns, found = {}, {}
  for k, column in ipairs(wanted) do
    local j, problem = index_of(names, column)
    if not j then return nil, name .. ": " .. problem, "format" end
    found[k] = names[j]
    columns[k], line, message = read_column(records, j, names[j], opts.missing)
    if not columns[k] then return bad(line, message) end
    if opts.missing == "interpolate" then interpolate(columns[k]) end
  end
  local flat, rows = by_rows(columns, #records)
  if rows == 0 then return nil, name .. ": every row misses a value", "format" end
  local result = windows.table(core.array(flat):reshape{rows, #found}, found)
  result.header = header
  return result
end

local function check(opts, where)
  opts = options.check(opts, spec, where, 3)
  for i, column in ipairs(opts.columns or {}) do
    if type(column) ~= "string" then
      error(("%s: columns must be a list of names; number %d is %s"):format(where, i, options.show(column)), 3)
    end
  end
  return opts
end

--- A table of rows (see windows.lua) from text in CSV form.
-- opts: columns: list of names, or numbers as strings, to read (default: every column of numbers);
--   missing: what to do with an empty cell, NA, NaN, null or ?: "error" (default), "interpolate" (on the line between
--   its neighbours) or "drop" (the row);
--   separator "," ";" or tab (default: the one the first line uses); header true/false (default: false only where
--   the first line has nothing but numbers; the columns are then "1", "2", ...).
-- name: what messages call the text (default "csv").
-- The table's field `header` tells whether the first line was taken for names.
-- Returns nil, message, "format" for text that is not right; raises on unknown options.
function csv.parse(text, opts, name)
  opts = check(opts, "csv.parse")
  return parse(text, opts, name or "csv")
end

--- lstm.csv(path [, opts]): a table of rows from a file. Options as for csv.parse.
-- Returns nil, message, status for a file that cannot be read or is not right.
local function read(_, path, opts)
  opts = check(opts, "csv")
  if type(path) ~= "string" then core.raise("csv: the path must be a string, got " .. options.show(path)) end
  local text, message, status = core.readfile(path)
  if not text then return nil, message, status end
  return parse(text, opts, path)
end

return setmetatable(csv, {__call = read})
