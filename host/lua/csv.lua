-- csv.lua: tables of rows from comma separated files (RFC 4180: quotes, doubled quotes, newlines in quotes, CRLF).
--
-- The file is read piece by piece in C, straight into the array: neither text nor cells become Lua values. Every cell
-- of a wanted column is checked. What a file can get wrong is told as one sentence with the file, the line, the column
-- and the text: nil, 'temps.csv:12: column "Temp": "hot" is not a number', "format".

local core = require "lstm.core"
local options = require "lstm.options"
local windows = require "lstm.windows"

local csv = {}

local PARTS = {"days", "year", "month", "day", "weekday", "yearday", "hour", "seconds"}

-- {name = place}, 0 where several columns have the name.
local function index(names)
  local at = {}
  for j, name in ipairs(names) do at[name] = at[name] and 0 or j end
  return at
end

-- Where a column is: by its name, else by its number ("2"). at: index(names)
local function index_of(names, at, wanted)
  local found = at[wanted]
  if found == 0 then return nil, ('two columns are called "%s"'):format(wanted) end
  local number = not found and wanted:find("^%d+$") and tonumber(wanted)
  if number and names[number] then return number end
  if not found then return nil, options.unknown("column", wanted, names) end
  return found
end

-- The places of named columns: {place = value}, from a list of names or a table with names as keys.
local function places(names, at, wanted)
  local found = {}
  for key, value in pairs(wanted or {}) do
    local j, problem = index_of(names, at, type(key) == "number" and value or key)
    if not j then return nil, problem end
    found[j] = value
  end
  return found
end

-- The numbers that a date becomes, one column each.
local function add_date(list, j, name, parts)
  for _, text in ipairs(type(parts) == "table" and parts or {parts}) do
    local part, order = text:match("^(%l+) ?(%l*)$")
    list[#list + 1] = {index = j, name = type(parts) == "table" and name .. "." .. part or name, part = part,
      order = order ~= "" and order or nil}
  end
end

-- What to read: a list of {index =, name =, part =, text =}, numbers first; or nil, message.
local function plan(names, numeric, opts)
  local list, at = {}, index(names)
  local dates, problem = places(names, at, opts.dates)
  local texts, other = places(names, at, opts.text)
  if not dates or not texts then return nil, problem or other end
  local function add(j)
    if dates[j] then add_date(list, j, names[j], dates[j]) else list[#list + 1] = {index = j, name = names[j]} end
  end
  for _, name in ipairs(opts.columns or {}) do
    local j, unknown = index_of(names, at, name)
    if not j then return nil, unknown end
    add(j)
    dates[j] = nil
  end
  for j, name in ipairs(names) do
    if dates[j] or not opts.columns and numeric[j] and not texts[j] then
      local _, twice = index_of(names, at, name)
      if twice then return nil, twice end
      add(j)
    end
  end
  if #list == 0 and not next(texts) then return nil, "no column of numbers" end
  local width = #list
  local taken = {}
  for j in pairs(texts) do
    if taken[names[j]] then return nil, ('two columns are called "%s"'):format(names[j]) end
    taken[names[j]] = true
    list[#list + 1] = {index = j, name = names[j], text = true}
  end
  return list, width
end

-- The first record as column names; a file that starts with numbers only gets the names "1", "2", ...
local function names_of(fields, numbers, header)
  if header == nil then header = numbers < #fields end
  for j = 1, #fields do
    if not header or fields[j] == "" then fields[j] = tostring(j) end
  end
  return fields, header
end

local function read(reader, opts, name)
  local function bad(line, message)
    if not line then return nil, ("cannot read %s: %s"):format(name, message), "io" end
    return nil, ("%s:%d: %s"):format(name, line, message), "format"
  end
  local function wrong(message) return nil, name .. ": " .. message, "format" end
  local fields, numbers, message = reader:first(opts.separator, opts.decimal)
  if fields == false then return wrong "the file is empty" end
  if not fields then return bad(numbers, message) end
  local names, header = names_of(fields, numbers, opts.header)
  local numeric, line, broken = {}, nil, nil
  if not opts.columns then numeric, line, broken = reader:numeric(#names, header) end
  if not numeric then return bad(line, broken) end
  local list, width = plan(names, numeric, opts)
  if not list and not opts.columns and header and not next(numeric) then
    return bad(1, "there are column names, but no rows")
  elseif not list then
    return wrong(width)
  end
  local stores = {}
  local data, place, problem = reader:read(list, {width = #names, header = header, missing = opts.missing,
    fill = opts.fill}, stores)
  if data == false then return bad(1, "there are column names, but no rows") end
  if not data then return bad(place, problem) end
  if #data == 0 then return wrong "every row misses a value" end
  local columns = {}
  for k = 1, width do columns[k] = list[k].name end
  local rows = windows.table(data, columns)
  rows.header = header
  if next(stores) then rows.stored, rows.origin = stores, core.range(1, #data) end
  return rows
end

local function check_names(list, option, where)
  for key, name in pairs(list or {}) do
    if type(key) ~= "number" or type(name) ~= "string" then
      core.raise(("%s: %s must be a list of names; number %s is %s"):format(where, option, tostring(key),
        options.show(name)))
    end
  end
end

local function check_part(name, part, where)
  local word, order = tostring(part):match("^(%l+) ?(%l*)$")
  for _, known in ipairs(PARTS) do
    if known == word and (order == "" or order == "dmy" or order == "mdy") then return end
  end
  if word and order == "" then core.raise(where .. ": dates: " .. options.unknown("part of a date", word, PARTS)) end
  core.raise(('%s: dates: %s = %s: a part such as "days" or "month" is needed, perhaps with "dmy" or "mdy" behind it')
    :format(where, tostring(name), options.show(part)))
end

local spec = {
  columns = {type = "table"}, separator = {type = "string", choices = {",", ";", "\t", "|"}},
  header = {type = "boolean"}, decimal = {type = "string", choices = {".", ","}},
  missing = {type = "string", default = "error", choices = {"error", "interpolate", "drop", "fill"}},
  fill = {type = "number"}, text = {type = "table"}, dates = {type = "table"},
}

local function check(opts, where)
  opts = options.check(opts, spec, where, 3)
  check_names(opts.columns, "columns", where)
  check_names(opts.text, "text", where)
  for name, parts in pairs(opts.dates or {}) do
    if type(name) ~= "string" then
      core.raise(where .. ': dates must name columns, as in dates = {Date = "days"}')
    end
    for _, part in ipairs(type(parts) == "table" and parts or {parts}) do check_part(name, part, where) end
  end
  if opts.fill and opts.missing ~= "fill" then core.raise(where .. ': fill belongs to missing = "fill"') end
  return opts
end

--- A table of rows (see windows.lua) from text in CSV form.
-- opts: columns: list of names, or numbers as strings, to read (default: every column of numbers);
--   missing: what to do with an empty cell, NA, NaN, null or ?: "error" (default), "interpolate" (on the line between
--   its neighbours), "drop" (the row) or "fill" (with `fill`, default 0);
--   text: list of columns that are kept as text, for rows:text(name, i);
--   dates: {Date = part}: the date as a number: "days" (since 1970-01-01), "year", "month", "day", "weekday" (1 is
--   Monday), "yearday", "hour" or "seconds" (of the day); a list of parts makes the columns "Date.month", ...;
--   "days dmy" and "days mdy" tell what 3/4/2020 is;
--   separator "," ";" tab or "|" (default: the one the first line uses); decimal "." or "," (default: what the
--   first rows use, "." where commas separate);
--   header true/false (default: false only where the first line has nothing but numbers; the columns are then "1",
--   "2", ...).
-- name: what messages call the text (default "csv").
-- The table's field `header` tells whether the first line was taken for names.
-- Returns nil, message, "format" for text that is not right; raises on unknown options.
function csv.parse(text, opts, name)
  opts = check(opts, "csv.parse")
  if type(text) ~= "string" then core.raise("csv.parse: the text must be a string, got " .. options.show(text)) end
  return read(core.csv_reader(nil, text), opts, name or "csv")
end

--- lstm.csv(path [, opts]): a table of rows from a file. Options as for csv.parse.
-- Returns nil, message, status for a file that cannot be read or is not right.
local function open(_, path, opts)
  opts = check(opts, "csv")
  if type(path) ~= "string" then core.raise("csv: the path must be a string, got " .. options.show(path)) end
  local reader, message, status = core.csv_reader(path)
  if not reader then return nil, message, status end
  local rows, problem, kind = read(reader, opts, path)
  reader:close()
  if kind == "format" then problem = require "lstm.sniff".no_data(path, "a CSV file") or problem end
  return rows, problem, kind
end

return setmetatable(csv, {__call = open})
