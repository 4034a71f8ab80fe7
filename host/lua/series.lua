-- series.lua: a series from a CSV file, for programs that forecast: which columns are numbers, which one has dates, and
-- what a newcomer most likely means where nothing was said.

local core = require "lstm.core"
local lstm = require "lstm"
local options = require "lstm.options"
local sniff = require "lstm.sniff"

local series = {}

local HEAD, LINES = 65536, 60                        -- of a file: what is looked at to tell its columns apart

local function trim(text) return (text:match("^%s*(.-)%s*$")) end

-- The separator that the first line uses most, outside quotes.
local function separator_of(line)
  local best, most = ",", 0
  line = line:gsub('"[^"]*"', "")
  for _, separator in ipairs{",", ";", "\t", "|"} do
    local _, n = line:gsub(separator, "")
    if n > most then best, most = separator, n end
  end
  return best
end

-- The cells of a line; a line break in quotes is not looked for.
local function cells_of(line, separator)
  local cells, at = {}, 1
  repeat
    local last = at                                  -- where the cell ends, with its quotes
    if line:sub(at, at) == '"' then
      repeat last = (line:find('"', last + 1, true) or #line) + 1 until line:sub(last, last) ~= '"'
    end
    last = line:find(separator, last, true) or #line + 1
    local text = line:sub(at, last - 1)
    cells[#cells + 1] = trim((text:gsub('^"(.*)"%s*$', "%1"):gsub('""', '"')))
    at = last + 1
  until last > #line
  return cells
end

local MISSING = {[""] = true, na = true, ["n/a"] = true, nan = true, null = true, none = true, ["?"] = true}

-- A number, where a comma may be its point.
local function number_of(cell)
  if cell:find("^[+-]?%d*,%d+$") then cell = cell:gsub(",", ".") end
  return not cell:find("[xXnN]") and tonumber(cell) or nil
end

local function is_date(cell)
  return cell:find("^%d%d%d%d%-%d%d?") or cell:find("^%d%d%d%d/%d%d?/%d%d?") or
    cell:find("^%d%d?[/.]%d%d?[/.]%d%d%d?%d?") or cell:find("^%d%d%d%d%d%d%d%dT")
end

-- What most of a column's cells are: "number", "date" or "text"; nil where all are missing. And whether all numbers go
-- up by one, as the numbers of rows do.
local function kind_of(rows, j)
  local count, numbers, dates, steps, before = 0, 0, 0, 0, nil
  for _, row in ipairs(rows) do
    local cell = row[j] or ""
    if not MISSING[cell:lower()] then
      count = count + 1
      local number = number_of(cell)
      if number then
        numbers = numbers + 1
        steps = steps + (before and number == before + 1 and 1 or 0)
        before = number
      elseif is_date(cell) then
        dates = dates + 1
      end
    end
  end
  if count == 0 then return nil end
  local kind = numbers * 2 > count and "number" or dates * 2 > count and "date" or "text"
  return kind, kind == "number" and count > 3 and steps == count - 1
end

--- What is in a CSV file, from its first lines: {names =, kinds = by number, counts = (whether a column only counts),
-- header = (whether there is one), rows = (their cells), ragged = (whether some have more of them), empty = (whether a
-- column has none)}; or nil, message, status.
function series.peek(path, header)
  local file, message = io.open(path, "rb")
  if not file then return nil, "cannot read " .. message, "io" end
  local problem = sniff.no_data(path, "a CSV file")
  if problem then
    file:close()
    return nil, problem, "format"
  end
  local text = (file:read(HEAD) or ""):gsub("^\239\187\191", "")
  file:close()
  local rows, separator = {}, nil
  for line in text:gmatch("[^\r\n]+") do
    if line:find("%S") then
      separator = separator or separator_of(line)
      rows[#rows + 1] = cells_of(line, separator)
    end
    if #rows > LINES then break end
  end
  if #rows == 0 then return nil, path .. ": the file is empty", "format" end
  local numbers = 0
  for _, cell in ipairs(rows[1]) do numbers = numbers + (number_of(cell) and 1 or 0) end
  if header == nil then header = numbers < #rows[1] end
  local names = header and table.remove(rows, 1) or {}
  local found = {names = names, kinds = {}, counts = {}, header = header, rows = rows}
  local width = #(header and names or rows[1])
  for _, row in ipairs(rows) do found.ragged = found.ragged or #row ~= width end         -- as the commas of a text
  for j = 1, #(rows[1] or names) do
    if not names[j] or names[j] == "" then names[j] = tostring(j) end
    found.kinds[j], found.counts[j] = kind_of(rows, j)
    found.empty = found.empty or not found.kinds[j]
  end
  return found
end

-- Words that name a part of a date or a number of a row rather than a measurement.
local calendar = {year = true, month = true, day = true, hour = true, minute = true, weekday = true, week = true,
  quarter = true, id = true, index = true, no = true, row = true, time = true, timestamp = true, unixtime = true}
local likely = {close = true, value = true, target = true, y = true}

-- How dates such as 3/4/2020 are meant, where any of them tells: " dmy" or " mdy", else "".
local function order_of(rows, j)
  for _, row in ipairs(rows) do
    local first, second = (row[j] or ""):match("^(%d%d?)[/.](%d%d?)[/.]%d")
    if first and tonumber(first) > 12 then return " dmy" end
    if second and tonumber(second) > 12 then return " mdy" end
  end
  return ""
end

-- The columns of numbers, those that measure something, and the first column of dates with their order.
local function sort_columns(found)
  local numbers, measured, date, order = {}, {}, nil, nil
  for j, name in ipairs(found.names) do
    if found.kinds[j] == "number" then
      numbers[#numbers + 1] = name
      if not found.counts[j] and not calendar[name:lower()] then measured[#measured + 1] = name end
    elseif found.kinds[j] == "date" then
      date, order = date or name, order or order_of(found.rows, j)
    end
  end
  return numbers, measured, date, order
end

-- What to forecast where nothing was said.
local function guess_target(measured, numbers)
  for _, name in ipairs(measured) do
    if likely[name:lower()] then return name end
  end
  return measured[1] or numbers[1]
end

-- A copy of a list of names, without one of them.
local function all_of(names, without)
  local list = {}
  for _, name in ipairs(names) do
    if name ~= without then list[#list + 1] = name end
  end
  return list
end

-- Reads the file; empty cells are refused first, so that they can be told of.
local function read(path, opts, how, say)
  local missing = how.missing
  opts.missing = missing ~= "auto" and missing or "error"
  local rows, message, status = lstm.csv(path, opts)
  if rows or missing ~= "auto" or not message:find("the value is missing", 1, true) then
    if message then message = message:gsub("%(missing = .*%)", "(--missing interpolate or drop accepts that)") end
    return rows, message, status
  end
  local place = message:gsub("%s*%(missing = .*%)", "")
  opts.missing = "interpolate"
  rows, message, status = lstm.csv(path, opts)
  if not rows then return nil, message, status end
  opts.missing = "drop"
  local whole = lstm.csv(path, opts)
  local more = #rows - (whole and #whole or 0) - 1   -- rows with a gap, beside the one that was named
  say("%s%s: gaps are filled on the straight line between their neighbours (--missing drop leaves such rows out," ..
    " error refuses them)", place, more > 0 and (", as in %d more row%s"):format(more, more == 1 and "" or "s") or "")
  return rows
end

-- The number of a column that is called so, or has that number; nil where there is none.
local function place_of(found, name)
  for j, own in ipairs(found.names) do
    if own == name then return j end
  end
  local number = name:find("^%d+$") and tonumber(name)
  return found.names[number or 0] and number or nil
end

--- The name of the column that is called so, or has this number; nil where there is none. found: what peek returned.
function series.named(found, name) return found.names[place_of(found, name) or 0] end

-- A sentence about a column that was named, where it has no numbers.
local function no_numbers(path, found, name, numbers)
  local j = place_of(found, name)
  local kind = j and found.kinds[j]
  if kind ~= "date" and kind ~= "text" then return nil end
  local what = kind == "date" and "dates" or "text"
  for _, row in ipairs(found.rows) do
    local cell = row[j] or ""
    if cell ~= "" and not number_of(cell) and #cell < 30 then
      what = ("%s (%s)"):format(what, cell)
      break
    end
  end
  return ('%s: column "%s" has %s, not numbers; %s'):format(path, found.names[j], what, #numbers == 0 and
    "none of the others has numbers" or "columns of numbers: " .. table.concat(numbers, ", "))
end

-- Takes the dates out of the columns to learn from, and says so. Returns the others; or nil, message where one that was
-- named has no numbers.
local function check_named(path, found, how, numbers, say)
  for _, list in ipairs{how.targets or {}, {how.also}} do
    for _, name in ipairs(list) do
      local problem = no_numbers(path, found, name, numbers)
      if problem then return nil, problem end
    end
  end
  local left = {}
  for _, name in ipairs(how.columns or {}) do
    local problem = no_numbers(path, found, name, numbers)
    local date = problem and found.kinds[place_of(found, name)] == "date"
    if problem and not (date and #how.columns > 1) then return nil, problem end
    if date then
      say('column "%s" has dates, which say when and are not learned from: it is left out', name)
    else
      left[#left + 1] = name
    end
  end
  if how.columns and #left == 0 then return nil, no_numbers(path, found, how.columns[1], numbers) end
  return how.columns and left
end

-- Why there is no column of numbers.
local function nothing_in(path, found)
  if found.header and #found.rows == 0 and #found.names > 1 then
    return ("%s has a line of column names (%s), but no rows below it"):format(path, table.concat(found.names, ", "))
  elseif #found.names == 1 or found.ragged then
    return path .. ": no column of numbers; it looks like a text, which lstm chars learns"
  end
  return ("%s: no column of numbers: %s have dates or text"):format(path, options.list(found.names))
end

-- The rows in the other order.
local function reversed(rows)
  local order = {}
  for i = 1, #rows do order[i] = #rows + 1 - i end
  return rows:pick(order)
end

-- The days of rows, from whole days and the seconds of each: day[i] is exact, where a float32 has a few minutes.
local function clock(days, seconds)
  return setmetatable({}, {
    __len = function() return #days end,
    __index = function(_, i)
      return type(i) == "number" and math.floor(days[i] - seconds[i] / 86400 + 0.5) + seconds[i] / 86400 or nil
    end,
  })
end

-- How often the days go up, and down.
local function direction(days)
  local up, down, before = 0, 0, days[1]
  for i = 2, #days do
    local now = days[i]
    if now > before then up = up + 1 elseif now < before then down = down + 1 end
    before = now
  end
  return up, down
end

-- The rows, oldest first, and the days of each, where the dates never go back.
local function in_time(rows, date, how, say)
  local function days_of_rows() return clock(rows:column(date .. ".days"), rows:column(date .. ".seconds")) end
  local days = days_of_rows()
  local up, down = direction(days)
  if down > up then
    say('the newest row of %s comes first (column "%s"): read from its end', how.path, date)
    rows = reversed(rows)
    days, down = days_of_rows(), up
  end
  if down == 0 then return rows, days end
  say('the dates in column "%s" go back %d times: rows are taken in the order of the file', date, down)
  return rows, nil
end

-- Rows with their dates, where the file has a column of them that can be read.
local function read_with_dates(path, names, date, header, how, say)
  if date then
    local opts = {columns = names, header = header, dates = {[date] = {"days" .. how.order, "seconds" .. how.order}}}
    local rows = read(path, opts, how, say)
    if rows then
      local columns, wanted, days = rows.columns, {}, nil            -- luacheck: ignore 311
      rows, days = in_time(rows, date, how, say)
      for j = 1, #columns do
        if columns[j] ~= date .. ".days" and columns[j] ~= date .. ".seconds" then wanted[#wanted + 1] = columns[j] end
      end
      local part = rows:select(wanted)
      part.header = rows.header
      return part, nil, nil, days
    end
  end
  return read(path, {columns = names, header = header}, how, say)
end

-- A series from a CSV file. how: columns (a list of names, or nil), targets (likewise), all (true: where neither was
-- given, all columns that measure something), also (the name of one more column, which is read apart), header (nil:
-- found out), missing ("auto", "error", "interpolate", "drop"); say(format, ...): where choices are told.
-- Returns {rows =, columns =, targets =, also = array, days = (array, where there are dates), date = (its name)}; or
-- nil, message, status.
function series.read(path, how, say)
  if not core.exists(path) or lstm.folder(path) then return lstm.readfile(path) end       -- fails, and says why
  if not core.file_size(path) then
    return nil, path .. " is a pipe, which cannot be read twice: save what comes out of it in a file", "io"
  end
  how.path = path
  local found, message, status = series.peek(path, how.header)
  if not found then return nil, message, status end
  local numbers, measured, date, order = sort_columns(found)
  how.order = order or ""
  if #numbers == 0 and not (#found.rows > 0 and found.empty and (how.targets or how.columns)) then
    return nil, nothing_in(path, found), "format"
  end
  local targets, columns, problem = how.targets, check_named(path, found, how, numbers, say)
  if problem then return nil, problem, "format" end
  if how.all and not columns then
    columns = all_of(#measured > 0 and measured or numbers, how.also)
  end
  if how.all then
    targets = {}
    for k, name in ipairs(columns) do targets[k] = name end
  elseif not targets then
    targets = {columns and columns[1] or guess_target(measured, numbers)}
    local choice = columns or (#measured > 0 and measured or numbers)      -- not those that only count rows
    local listed = table.concat(choice, ", ")
    if columns and #choice > 1 then
      say("forecasting %s (--target NAME chooses another of %s)", targets[1], listed)
    elseif #choice > 1 then
      say("%s has %d columns of numbers (%s): forecasting %s from itself; --target NAME chooses another, " ..
        "--columns A,B,C learns from several", path, #choice, listed, targets[1])
    end
  end
  columns = columns or targets
  local rows, days, also
  local names = all_of(columns)
  names[#names + 1] = how.also
  rows, message, status, days = read_with_dates(path, names, date, how.header, how, say)
  if not rows then return nil, message, status end
  if how.also then
    also = rows:column(rows.columns[#names])
    rows = rows:select(all_of(rows.columns, rows.columns[#names]))
  end
  if rows.header and tonumber(rows.columns[1]) then
    say('"%s" in the first line of %s was taken for a name; --no-header takes that line as data', rows.columns[1],
      path)
  end
  -- a number of a column becomes its name
  local named = {}
  for j, name in ipairs(columns) do named[name] = rows.columns[j] end
  for k, name in ipairs(targets) do targets[k] = named[name] or name end
  return {rows = rows, columns = rows.columns, targets = targets, also = also, days = days,
    date = days and date or nil}
end

-- [Dates]

-- 1970-01-01 + days -> year, month, day (Howard Hinnant's civil_from_days).
local function civil(days)
  local z = math.floor(days) + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local month = mp < 10 and mp + 3 or mp - 9
  return yoe + era * 400 + (month <= 2 and 1 or 0), month, doy - math.floor((153 * mp + 2) / 5) + 1
end

local function days_of(year, month, day)
  local y = month <= 2 and year - 1 or year
  local era = math.floor(y / 400)
  local yoe = y - era * 400
  local doy = math.floor((153 * (month > 2 and month - 3 or month + 9) + 2) / 5) + day - 1
  return era * 146097 + yoe * 365 + math.floor(yoe / 4) - math.floor(yoe / 100) + doy - 719468
end

--- A day as text: 2024-02-28, with the time of day where there is one, or where `timed` is true.
function series.date(days, timed)
  local minutes = math.floor(days * 1440 + 0.5)
  local text = ("%04d-%02d-%02d"):format(civil(minutes / 1440))
  local rest = minutes % 1440
  return rest == 0 and not timed and text or ("%s %02d:%02d"):format(text, math.floor(rest / 60), rest % 60)
end

-- How many months lie between two days of the same number; nil where they are others, or none.
local function months_between(from, to)
  local y1, m1, d1 = civil(from)
  local y2, m2, d2 = civil(to)
  local months = 12 * (y2 - y1) + m2 - m1
  return d1 == d2 and months > 0 and months or nil
end

-- How far the last rows are apart: in months where that fits, else in days; nil where they are not apart by the same.
local function pace_of(days)
  local n = #days
  local from = math.max(2, n - 11)
  if n < 3 then return nil end
  local months, least, most = months_between(days[n - 1], days[n]), math.huge, -math.huge
  for i = from, n do
    local gap = days[i] - days[i - 1]
    least, most = math.min(least, gap), math.max(most, gap)
    if months ~= months_between(days[i - 1], days[i]) then months = nil end
  end
  if months then return "months", months end
  if most - least > 0.02 * most then return nil end
  return "days", (days[n] - days[from - 1]) / (n - from + 1)
end

--- The days of `count` rows after the last, where the rows come at a steady pace; else nil.
function series.after(days, count)
  local unit, pace = pace_of(days)
  if not unit then return nil end
  local list, last = {}, days[#days]
  local year, month, day = civil(last)
  for i = 1, count do
    if unit == "days" then
      list[i] = last + i * pace
    else
      local total = year * 12 + month - 1 + i * pace
      local first, after = days_of(math.floor(total / 12), total % 12 + 1, 1),
        days_of(math.floor((total + 1) / 12), (total + 1) % 12 + 1, 1)
      list[i] = math.min(first + day - 1, after - 1)                 -- the 30th of February is its last day
    end
  end
  return list
end

return series
