-- log.lua: the history of a run as a CSV file that grows by a line at each look, so that it can be watched.

local core = require "lstm.core"

local Log = {}
Log.__index = Log

local FIRST = "epoch,step,loss"                      -- how every such file begins

-- A file that is something else stays as it is.
local function check(path)
  local file = io.open(path, "rb")
  if not file then return true end
  local line = file:read("*l")
  file:close()
  if line == nil or line:sub(1, #FIRST) == FIRST then return true end
  return nil, ('fit: csv = "%s": the file exists and is no history of a run: it is left as it is'):format(path),
    "format"
end

--- Begins the file: a header, and the rows that a resumed run has already. What a killed run wrote after its last
-- checkpoint goes, as those rows come again. names: the columns. Returns the log; or nil, message, status.
local function new(path, names, record)
  local fine, message, status = check(path)
  if not fine then return nil, message, status end
  local lines = {table.concat(names, ",")}
  for i, row in ipairs(record) do lines[i + 1] = record:line(row, names) end
  fine, message, status = core.writefile(path, table.concat(lines, "\n") .. "\n")
  if not fine then return nil, message, status end
  return setmetatable({path = path, names = names}, Log)
end

--- Adds a row; it is in the file when this returns. Returns true, or nil, message.
function Log:add(record, row)
  local file, message = io.open(self.path, "ab")
  if not file then return nil, message end
  local ok, problem = file:write(record:line(row, self.names), "\n")
  local closed, more = file:close()
  return ok and closed, problem or more
end

return new
