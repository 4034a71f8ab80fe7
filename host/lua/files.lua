-- files.lua: data in the formats of others.

local core = require "lstm.core"
local options = require "lstm.options"
local sequences = require "lstm.sequences"

local files = {}

local function check_path(path, where)
  if type(path) ~= "string" then core.raise(where .. ": the path must be a string, got " .. options.show(path)) end
end

-- --- .ts ------------------------------------------------------------------------------------------------------------

-- The lines of the header: {name in small letters = the rest}; and the number of the last one.
local function ts_header(lines)
  local header, n = {}, 0
  for line in lines do
    n = n + 1
    local name, rest = line:match("^%s*@(%a+)%s*(.-)%s*$")
    if name and name:lower() == "data" then return header, n end
    if name then header[name:lower()] = rest end
    if not name and line:find("^%s*[^#%s]") then return nil, n end
  end
  return nil, n
end

local function words(text)
  local list = {}
  for word in text:gmatch("%S+") do list[#list + 1] = word end
  return list
end

-- One case: its array and target; or nil, message.
local function ts_case(line, labels, targets)
  local target
  if labels or targets then
    line, target = line:match("^(.*):%s*(.-)%s*$")
    if not line then return nil, "the label is missing" end
    if targets then target = tonumber(target) end
    if not target then return nil, "the target is not a number" end
  end
  local channels = select(2, line:gsub(":", "")) + 1
  local x, wrong, steps, channel, count = core.series(line, channels)
  if x then return x, target end
  if wrong then return nil, ('"%s" is not a number'):format(wrong) end
  return nil, ("channel %d has %d steps, the first one %d"):format(channel, count, steps)
end

--- lstm.ts(path): the sequences of a `.ts` file (the archives of UEA and UCR): x [T][channels]; y: the labels, or
-- numbers where the file has @targetLabel. The field `labels` lists them in the order of the file.
-- Returns nil, message with the line, status for a file that cannot be read or is not right.
function files.ts(path)
  check_path(path, "ts")
  local text, message, status = core.readfile(path)
  if not text then return nil, message, status end
  local lines = text:gmatch("([^\r\n]*)\r?\n?")
  local function bad(n, what) return nil, ("%s:%d: %s"):format(path, n, what), "format" end
  local header, n = ts_header(lines)
  if not header then return bad(n, "this is no .ts file: there is no line @data before the cases") end
  if (header.timestamps or ""):lower() == "true" then return bad(n, "time stamps are not supported") end
  local labels = words(header.classlabel or "false")
  local targets = (header.targetlabel or ""):lower() == "true"
  labels = table.remove(labels, 1):lower() == "true" and labels or nil
  local x, y = {}, (labels or targets) and {} or nil
  for line in lines do
    n = n + 1
    if line:find("^%s*[^#%s]") then
      local case, target = ts_case(line, labels, targets)
      if not case then return bad(n, target) end
      local width = select(2, case:shape())
      if x[1] and select(2, x[1]:shape()) ~= width then
        return bad(n, ("%d channels, the first case has %d"):format(width, (select(2, x[1]:shape()))))
      end
      x[#x + 1] = case
      if y then y[#x] = target end
    end
  end
  if #x == 0 then return nil, path .. ": there are no cases", "format" end
  local ok, set = pcall(sequences.new, {x = x, y = y, labels = labels and #labels > 0 and labels or nil})
  if not ok then return nil, path .. ": " .. tostring(set):gsub("^.-sequences: ", ""), "format" end
  return set
end

return files
