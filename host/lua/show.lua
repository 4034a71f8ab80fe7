-- show.lua: values as a person wants to see them: arrays with their shape and an elided middle, tables of rows with
-- theirs, other tables readable to the second level, everything else as it describes itself.

local WIDTH, ROWS, COLUMNS, ITEMS, DEPTH = 100, 8, 8, 40, 2

-- The places 1..n, or the first and last ones of at most `most`, with false for the gap.
local function places(n, most)
  local list = {}
  for i = 1, n do
    if n <= most or i <= math.ceil(most / 2) or i > n - math.floor(most / 2) then
      list[#list + 1] = i
    elseif list[#list] then
      list[#list + 1] = false
    end
  end
  return list
end

local function number_text(x, kind) return (kind == "int32" and "%d" or "%.4g"):format(x) end

-- Cells of equal width, right-aligned.
local function aligned(rows)
  local width = 1
  for _, row in ipairs(rows) do
    for _, cell in ipairs(row) do width = math.max(width, #cell) end
  end
  for i, row in ipairs(rows) do
    for j, cell in ipairs(row) do row[j] = (" "):rep(width - #cell) .. cell end
    rows[i] = table.concat(row, " ")
  end
  return rows
end

-- Characters of a text, at least where it is UTF-8.
local function width_of(text) return select(2, text:gsub("[^\128-\191]", "")) end

local WORDS = 24

-- The beginning of a text, on one line.
local function shortened(text)
  text = text:gsub("%c", " ")
  if width_of(text) <= WORDS then return text end
  local kept = {}
  for c in text:gmatch("[^\128-\191][\128-\191]*") do
    if #kept < WORDS - 3 then kept[#kept + 1] = c end
  end
  return table.concat(kept) .. "..."
end

-- Lines of cells, each column as wide as it must be, right-aligned.
local function by_columns(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for j, cell in ipairs(row) do widths[j] = math.max(widths[j] or 1, width_of(cell)) end
  end
  for i, row in ipairs(rows) do
    for j, cell in ipairs(row) do row[j] = (" "):rep(widths[j] - width_of(cell)) .. cell end
    rows[i] = "  " .. table.concat(row, "  ")
  end
  return rows
end

local function row_cells(row, n, kind)
  local cells = {}
  for _, j in ipairs(places(n, COLUMNS)) do cells[#cells + 1] = j and number_text(row[j], kind) or "..." end
  return cells
end

-- An array with two axes as lines.
local function matrix_lines(a, rows, columns, kind, most)
  local cells = {}
  for _, i in ipairs(places(rows, most)) do
    cells[#cells + 1] = i and row_cells(a[i], columns, kind) or {"..."}
  end
  return aligned(cells)
end

local function add_blocks(lines, a, shape, kind, label)
  if #shape == 2 then
    for _, line in ipairs(matrix_lines(a, shape[1], shape[2], kind, label and 4 or ROWS)) do
      lines[#lines + 1] = "  " .. line
    end
    return
  end
  for _, i in ipairs(places(shape[1], 2)) do
    if i then
      local rest = {}
      for k = 2, #shape do rest[k - 1] = shape[k] end
      if #shape == 3 then lines[#lines + 1] = (label or "") .. "[" .. i .. "]" end
      add_blocks(lines, a[i], rest, kind, (label or "") .. "[" .. i .. "]")
    else
      lines[#lines + 1] = "..."
    end
  end
end

local function is_array(value) return type(value) == "userdata" and getmetatable(value) == "lstm.array" end

local function heading(a)
  return ("array %s [%s]"):format(a:kind(), table.concat({a:shape()}, "]["))
end

local function show_array(a)
  local shape, kind = {a:shape()}, a:kind()
  local lines = {heading(a)}
  for _, n in ipairs(shape) do if n == 0 then return lines[1] end end
  if #shape == 1 then return lines[1] .. "  " .. table.concat(row_cells(a, shape[1], kind), " ") end
  add_blocks(lines, a, shape, kind)
  return table.concat(lines, "\n")
end

local function is_rows(value)
  local meta = type(value) == "table" and getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__name") == "lstm.table"
end

-- The text columns of a table of rows, by name.
local function text_columns(rows)
  local names = {}
  for name in pairs(rows.stored or {}) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local SHOWN = 10

-- A table of rows: its description, the names of its columns, and its first and last rows with their numbers.
local function show_rows(rows)
  local texts, n = text_columns(rows), rows:__len()
  local head, lines = {""}, {}
  for _, name in ipairs(texts) do head[#head + 1] = name end
  for _, j in ipairs(places(rows.width, COLUMNS)) do head[#head + 1] = j and rows.columns[j] or "..." end
  lines[1] = head
  for _, i in ipairs(places(n, SHOWN)) do
    local cells = {i and ("%d"):format(i) or "..."}
    for _, name in ipairs(i and texts or {}) do cells[#cells + 1] = shortened(rows:text(name, i)) end
    for _, j in ipairs(i and places(rows.width, COLUMNS) or {}) do
      cells[#cells + 1] = j and ("%.6g"):format(rows.data[i][j]) or "..."
    end
    lines[#lines + 1] = cells
  end
  return tostring(rows) .. "\n" .. table.concat(by_columns(lines), "\n")
end

local escapes = {["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\", ['"'] = '\\"'}

-- A string inside a table: in quotes, its middle elided.
local function quoted(s)
  local cut = ""
  if #s > 60 then s, cut = s:sub(1, 50), (" ... (%d bytes)"):format(#s) end
  return '"' .. s:gsub('[%c\\"]', function(c) return escapes[c] or ("\\%d"):format(c:byte()) end) .. '"' .. cut
end

local function describes_itself(value)
  local meta = getmetatable(value)
  return type(meta) ~= "table" or rawget(meta, "__tostring") ~= nil
end

local show_table

-- A value inside a table: one line.
local function inner(value, depth, seen)
  if type(value) == "string" then return quoted(value) end
  if is_array(value) then return heading(value) end
  if type(value) == "table" and not (getmetatable(value) and describes_itself(value)) then
    return show_table(value, depth + 1, seen)
  end
  if type(value) == "function" then return "function" end
  local fine, text = pcall(tostring, value)
  if not fine then return "<" .. type(value) .. ">" end
  return (text:match("^[^\n]*"))
end

local function by_kind(a, b)
  if type(a) ~= type(b) then return type(a) == "number" or type(b) ~= "number" and type(a) < type(b) end
  if type(a) == "number" or type(a) == "string" then return a < b end
  return tostring(a) < tostring(b)
end

local function sorted_keys(t, length)
  local keys = {}
  for key in next, t do
    if not (type(key) == "number" and key >= 1 and key <= length and key == math.floor(key)) then
      keys[#keys + 1] = key
    end
  end
  table.sort(keys, by_kind)
  return keys
end

local function key_text(key)
  if type(key) == "string" then return key:find("^[%a_][%w_]*$") and key or "[" .. quoted(key) .. "]" end
  return "[" .. tostring(key) .. "]"
end

-- The items of a table as texts: the list, then the names.
local function items_of(t, depth, seen)
  local items, length = {}, rawlen and rawlen(t) or #t
  for _, i in ipairs(places(length, depth > 1 and 6 or ITEMS)) do
    items[#items + 1] = i and inner(rawget(t, i), depth, seen) or "..."
  end
  local keys, most = sorted_keys(t, length), depth > 1 and 6 or ITEMS
  for k, key in ipairs(keys) do
    if k > most then
      items[#items + 1] = ("... %d more"):format(#keys - most)
      break
    end
    items[#items + 1] = key_text(key) .. " = " .. inner(t[key], depth, seen)
  end
  return items
end

function show_table(t, depth, seen)
  if next(t) == nil then return "{}" end
  if seen[t] or depth > DEPTH then return "{...}" end
  seen[t] = true
  local items = items_of(t, depth, seen)
  seen[t] = nil
  local line = "{" .. table.concat(items, ", ") .. "}"
  if depth > 1 or #line <= WIDTH and not line:find("\n", 1, true) then return line end
  local has_names = sorted_keys(t, rawlen and rawlen(t) or #t)[1] ~= nil
  if has_names then return "{\n  " .. table.concat(items, ",\n  ") .. "\n}" end
  return "{" .. table.concat(items, ", ") .. "}"                 -- a long list wraps where the terminal ends
end

local show = {}

--- A value as text; strings as they are.
function show.value(value)
  if is_array(value) then return show_array(value) end
  if is_rows(value) then return show_rows(value) end
  if type(value) == "table" and not (getmetatable(value) and describes_itself(value)) then
    return show_table(value, 1, {})
  end
  return tostring(value)
end

--- Several values: on one line with tabs between where each is short, else below each other.
function show.values(...)
  local texts, separator = {}, "\t"
  for i = 1, select("#", ...) do
    texts[i] = show.value((select(i, ...)))
    if texts[i]:find("\n", 1, true) then separator = "\n" end
  end
  return table.concat(texts, separator)
end

return show
