-- classes.lua: labelled sequences from files, for programs that classify.
--
--   folder/English.txt, folder/French.txt       a class each: a sequence of characters on each line
--   folder/walking/1.csv, folder/running/1.csv  a class each: a file for each sequence, with a row for each step; .npy
--                                               arrays [T][W] and .txt texts too
--   gestures.ts                                 what the UEA and UCR archives have, with its labels

local lstm = require "lstm"

local classes = {}

local function extension(name) return (name:match("%.(%w+)$") or ""):lower() end

local function bad(format, ...) return nil, format:format(...), "format" end

local function all_ascii(text) return not text:find("[\128-\255]") end

-- The lines of a text file that are not blank, without white space around them.
local function lines_of(path)
  local text, message, status = lstm.readfile(path)
  if not text then return nil, message, status end
  local broken = not all_ascii(text) and require "lstm.utf".broken_at(text)
  if broken then
    local _, line = text:sub(1, broken):gsub("\n", "")
    return bad("%s:%d: this is not UTF-8 text", path, line + 1)
  end
  local lines = {}
  for line in text:gmatch("[^\r\n]+") do
    line = line:match("^%s*(.-)%s*$")
    if line ~= "" then lines[#lines + 1] = line end
  end
  return lines
end

-- One sequence from a file: an array [T][W], or a text.
local function read_sequence(path)
  local kind = extension(path)
  if kind == "csv" then
    local rows, message, status = lstm.csv(path)
    if not rows then return nil, message, status end
    return rows.data
  elseif kind == "npy" then
    local array, message, status = lstm.npy(path)
    if not array then return nil, message, status end
    if array:kind() ~= "float32" then array = lstm.array(array:totable()) end
    return array
  end
  local text, message, status = lstm.readfile(path)
  if not text then return nil, message, status end
  if not text:find("%S") then return bad("%s is empty", path) end
  return text
end

--- One sequence from a .csv, .npy or text file: an array [T][W] or a string; or nil, message, status.
classes.sequence = read_sequence

local function width_of(value)
  if type(value) == "string" then return 0 end
  return select(2, value:shape()) or 1
end

-- Adds sequences of a class; all must be texts, or have as many columns.
local function add(set, value, label, path)
  local width = width_of(value)
  set.width = set.width or width
  set.from = set.from or path
  if width ~= set.width then
    local function what(n) return n == 0 and "text" or ("%d column%s"):format(n, n == 1 and "" or "s") end
    return bad("%s has %s, but %s has %s", path, what(width), set.from, what(set.width))
  end
  set.x[#set.x + 1], set.y[#set.y + 1] = value, label
  return true
end

-- The files of a class's folder.
local function read_class(set, folder, label)
  local found = false
  for _, name in ipairs(lstm.folder(folder)) do
    local kind, path = extension(name), folder .. "/" .. name
    if name:sub(1, 1) ~= "." and (kind == "csv" or kind == "npy" or kind == "txt") then
      local value, message, status = read_sequence(path)
      local fine = value and true
      if fine then fine, message, status = add(set, value, label, path) end
      if not fine then return nil, message, status end
      found = true
    end
  end
  if not found then return bad("%s has no .csv, .npy or .txt files, one for each sequence of the class", folder) end
  return true
end

-- A class from NAME.txt: its lines, each only once.
local function read_lines(set, path, label)
  local lines, message, status = lines_of(path)
  if not lines then return nil, message, status end
  local seen = {}
  for _, line in ipairs(lines) do
    if not seen[line] then
      local fine, problem = add(set, line, label, path)
      if not fine then return nil, problem, "format" end
    end
    seen[line] = true
  end
  return true
end

local function read_folder(path, names)
  local set, texts, folders = {x = {}, y = {}}, {}, {}
  for _, name in ipairs(names) do
    if name:sub(1, 1) ~= "." then
      if lstm.folder(path .. "/" .. name) then folders[#folders + 1] = name
      elseif extension(name) == "txt" then texts[#texts + 1] = name end
    end
  end
  if #folders == 0 and #texts == 0 then
    return bad("%s holds no classes: a class is a file NAME.txt with a sequence on each line, or a folder NAME of " ..
      ".csv files, one for each sequence", path)
  end
  local list, read = #folders > 0 and folders or texts, #folders > 0 and read_class or read_lines
  for _, name in ipairs(list) do
    local fine, message, status = read(set, path .. "/" .. name, (name:gsub("%.[tT][xX][tT]$", "")))
    if not fine then return nil, message, status end
  end
  return set
end

--- Labelled sequences: {x = list of strings or arrays, y = labels, width = columns, 0 for text}; or nil, message,
-- status where the path is nothing of the kind.
function classes.read(path)
  local names, message, status = lstm.folder(path)
  if names then return read_folder(path, names) end
  if extension(path) == "ts" then
    local set
    set, message, status = lstm.ts(path)
    if not set then return nil, message, status end
    return {x = set.x, y = set.y, width = width_of(set.x[1])}
  end
  if message:find("Not a directory", 1, true) then
    local problem = require "lstm.sniff".no_data(path, "a folder of classes or a .ts file")
    return bad("%s", problem or path .. " is neither a folder of classes nor a .ts file")
  end
  return nil, message, status
end

--- The labels of a set in order, and how many sequences each has.
function classes.count(y)
  local counts, labels = {}, {}
  for _, label in ipairs(y) do
    if not counts[label] then labels[#labels + 1] = label end
    counts[label] = (counts[label] or 0) + 1
  end
  table.sort(labels)
  return labels, counts
end

return classes
