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
    local name, rest = line:match("^%s*@(%a+)%s*(.*)$")
    if name and name:lower() == "data" then return header, n end
    if name then header[name:lower()] = rest:match("^.*%S") or "" end
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
    line, target = line:match("^(.*):%s*(.*)$")
    if not line then return nil, "the label is missing" end
    target = target:match("^.*%S") or ""
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
  labels = (table.remove(labels, 1) or ""):lower() == "true" and labels or nil
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

-- --- numbers as bytes -----------------------------------------------------------------------------------------------

-- What a product of sizes is; nil where it is too large for an array.
local function product(shape)
  local n = 1
  for _, size in ipairs(shape) do
    n = n * size
    if n > 2147483647 or size > 2147483647 then return nil end
  end
  return n
end

-- Bytes of an element, and the names that formats give it. Doubles become float32, 64-bit whole numbers int32.
local SIZES = {f2 = 2, bf16 = 2, f4 = 4, f8 = 8, i4 = 4, i8 = 8, u1 = 1}
local KINDS = {float32 = "f4", float64 = "f8", int32 = "i4", int64 = "i8", uint8 = "u1"}
local DTYPES = {F16 = "f2", BF16 = "bf16", F32 = "f4", F64 = "f8", I32 = "i4", I64 = "i8", U8 = "u1"}

local function names_of(list)
  local names = {}
  for name in pairs(list) do names[#names + 1] = name end
  table.sort(names)
  return options.list(names)
end

-- The array of a part of a file, which has been checked; or nil, message, status.
local function read_part(path, offset, kind, shape, what)
  local array, message, status = core.read_array(path, offset, kind, #shape > 0 and shape or {1})
  if array then return array end
  return nil, status == "format" and ("%s: %s%s"):format(path, what or "", message) or message, status
end

--- lstm.raw(path [, opts]): the numbers of a file that has nothing but numbers, little-endian.
-- opts: kind "float32" (default), "float64", "int32", "int64" or "uint8"; shape (default: one axis; the first size may
--   be -1: as many rows as there are); offset (bytes before the numbers, default 0).
-- Returns nil, message, status for a file that cannot be read or has another size.
function files.raw(path, opts)
  check_path(path, "raw")
  opts = options.check(opts, {kind = {choices = {"float32", "float64", "int32", "int64", "uint8"}, default = "float32"},
    shape = {type = "table"}, offset = {type = "integer", min = 0, default = 0}}, "raw")
  local shape = {}
  for d, size in ipairs(opts.shape or {-1}) do
    if not options.value(size, {type = "integer", min = d == 1 and -1 or 1}) or d > 4 then
      core.raise(("raw: shape must be up to four whole numbers, number %d is %s"):format(d, options.show(size)))
    end
    shape[d] = size
  end
  if #shape == 0 then core.raise("raw: shape has no sizes") end
  local bytes, message, status = core.file_size(path)
  if not bytes then return nil, message, status end
  if bytes < opts.offset then
    return nil, ("%s: the offset is %d, but there are only %d bytes"):format(path, opts.offset, bytes), "format"
  end
  local item, rows = SIZES[KINDS[opts.kind]], shape[1]
  if rows == -1 then shape[1] = 1 end
  local count = product(shape)
  bytes = bytes - opts.offset
  if rows == -1 and count then
    shape[1] = math.floor(bytes / (item * count))
    count = product(shape)
  end
  if not count or bytes ~= item * count then
    return nil, ("%s: %d bytes%s are not %s %s"):format(path, bytes, opts.offset > 0 and " after the offset" or "",
      opts.kind, opts.shape and "[" .. table.concat(opts.shape, "][") .. "]" or "numbers"), "format"
  end
  return read_part(path, opts.offset, KINDS[opts.kind], shape)
end

-- --- .npy -----------------------------------------------------------------------------------------------------------

-- The length of the header's text and the place where it begins; nil for what is no .npy file.
local function npy_header(start)
  local major = start:match("^\147NUMPY(.)")
  if not major or #start < 12 then return nil end
  local a, b, c, d = start:byte(9, 12)
  if major == "\1" then return a + b * 256, 10 end
  if major == "\2" or major == "\3" then return a + b * 256 + c * 65536 + d * 16777216, 12 end
  return nil
end

-- The shape (1, 2) or (3,) as a list; nil for anything else.
local function npy_shape(text)
  local shape = {}
  for part in text:gmatch("[^,]+") do
    local size = part:match("^%s*(%d+)%s*$")
    if size then shape[#shape + 1] = tonumber(size) elseif part:find("%S") then return nil end
  end
  return shape
end

--- lstm.npy(path): the array of a NumPy file: float32 ("f4", and "f8" rounded), int32 ("i4", and "i8" where it fits) or
-- uint8 ("u1"), in C order, of at most four axes. A single number is an array [1].
-- Returns nil, message, status for a file that cannot be read, and for other types, by name.
function files.npy(path)
  check_path(path, "npy")
  local function bad(message) return nil, path .. ": " .. message, "format" end
  local bytes, message, status = core.file_size(path)
  if not bytes then return nil, message, status end
  local start = core.read_bytes(path, 0, math.min(bytes, 12)) or ""
  local length, from = npy_header(start)
  if not length then return bad "this is no .npy file" end
  if length > bytes - from then return bad "the file ends inside its header" end
  local header = core.read_bytes(path, from, length) or ""
  local order, kind = header:match("'descr'%s*:%s*'([<>|=]?)(%w+)'")
  local fortran, shape = header:match("'fortran_order'%s*:%s*(%a+)"), header:match("'shape'%s*:%s*%(([%d%s,]*)%)")
  shape = shape and npy_shape(shape)
  if not kind or not shape or not fortran then return bad "the header is broken, or of a structured array" end
  if order == ">" or not SIZES[kind] or kind == "f2" then
    return bad(("numbers of the type '%s%s' are not read (there are <f4, <f8, <i4, <i8 and |u1)"):format(order, kind))
  end
  if fortran ~= "False" and #shape > 1 then
    return bad "Fortran order is not read: save numpy.ascontiguousarray(a)"
  end
  if #shape > 4 then return bad(("%d axes, an array has at most 4"):format(#shape)) end
  local count = product(shape)
  if not count or count * SIZES[kind] > bytes - from - length then
    return bad(("the file ends before its %s numbers"):format(table.concat(shape, " x ")))
  end
  return read_part(path, from + length, kind, shape)
end

--- lstm.writenpy(path, array): a file for numpy.load. Returns true, or nil, message, status.
function files.writenpy(path, array)
  check_path(path, "writenpy")
  if not core.is_array(array) then core.raise("writenpy: an array is needed, got " .. options.show(array)) end
  local kinds = {float32 = "<f4", int32 = "<i4", uint8 = "|u1"}
  local header = ("{'descr': '%s', 'fortran_order': False, 'shape': (%s,), }"):format(kinds[array:kind()],
    table.concat({array:shape()}, ", "))
  header = header .. (" "):rep(63 - (10 + #header) % 64) .. "\n"
  local start = "\147NUMPY\1\0" .. string.char(#header % 256, math.floor(#header / 256))
  return core.write_array(path, start .. header, array)
end

-- --- .safetensors ---------------------------------------------------------------------------------------------------

local ESCAPES = {b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/"}

local function utf8_of(code)
  if code < 0x80 then return string.char(code) end
  if code < 0x800 then return string.char(0xC0 + math.floor(code / 64), 0x80 + code % 64) end
  if code < 0x10000 then
    return string.char(0xE0 + math.floor(code / 4096), 0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
  end
  return string.char(0xF0 + math.floor(code / 262144), 0x80 + math.floor(code / 4096) % 64,
    0x80 + math.floor(code / 64) % 64, 0x80 + code % 64)
end

local json                                           -- json[kind](text, place, depth) -> value, next place; or error

local function json_fail(place) error({place = place}, 0) end

local function json_value(text, i, depth)
  i = text:find("[^ \t\r\n]", i) or json_fail(i)
  local reader = json[text:sub(i, i)] or json.number
  return reader(text, i, depth)
end

local function json_string(text, i)
  local parts = {}
  i = i + 1
  while true do
    local stop = text:find('["\\%c]', i) or json_fail(i)
    parts[#parts + 1] = text:sub(i, stop - 1)
    local c, e = text:sub(stop, stop), text:sub(stop + 1, stop + 1)
    if c == '"' then return table.concat(parts), stop + 1 end
    if c ~= "\\" then json_fail(stop) end
    if e == "u" then
      local high = tonumber(text:match("^%x%x%x%x", stop + 2) or json_fail(stop), 16)
      stop = stop + 4
      if high >= 0xD800 and high < 0xDC00 then
        local low = tonumber(text:match("^\\u(%x%x%x%x)", stop + 2) or json_fail(stop), 16)
        if low < 0xDC00 or low > 0xDFFF then json_fail(stop) end
        high, stop = 0x10000 + (high - 0xD800) * 1024 + low - 0xDC00, stop + 6
      end
      parts[#parts + 1] = utf8_of(high)
    else
      parts[#parts + 1] = ESCAPES[e] or json_fail(stop)
    end
    i = stop + 2
  end
end

-- What stands between brackets: calls add(place) for each element, which returns the place after it.
local function json_list(text, i, close, add)
  i = text:find("[^ \t\r\n]", i + 1) or json_fail(i)
  if text:sub(i, i) == close then return i + 1 end
  while true do
    i = add(i)
    i = text:find("[^ \t\r\n]", i) or json_fail(i)
    local c = text:sub(i, i)
    if c == close then return i + 1 end
    if c ~= "," then json_fail(i) end
    i = i + 1
  end
end

json = {
  ['"'] = json_string,
  ["["] = function(text, i, depth)
    if depth > 4 then json_fail(i) end
    local list = {}
    return list, json_list(text, i, "]", function(at)
      list[#list + 1], at = json_value(text, at, depth + 1)
      return at
    end)
  end,
  ["{"] = function(text, i, depth)
    if depth > 4 then json_fail(i) end
    local object = {}
    return object, json_list(text, i, "}", function(at)
      at = text:find("[^ \t\r\n]", at) or json_fail(at)
      if text:sub(at, at) ~= '"' then json_fail(at) end
      local key, value
      key, at = json_string(text, at)
      at = text:match("^[ \t\r\n]*:()", at) or json_fail(at)
      if object[key] ~= nil then json_fail(at) end
      value, at = json_value(text, at, depth + 1)
      object[key] = value
      return at
    end)
  end,
  number = function(text, i)
    local number, after = text:match("^(%d+)()", i)
    if not number or #number > 15 then json_fail(i) end
    return tonumber(number), after
  end,
}

-- The object that a text is; or nil.
local function parse_json(text)
  local ok, object, after = pcall(json_value, text, 1, 1)
  if not ok and type(object) ~= "table" then error(object, 0) end
  return ok and type(object) == "table" and not text:find("[^ \t\r\n%z]", after) and object or nil
end

-- The element kind, shape and first byte of a tensor; or nil, what is wrong.
local function check_tensor(entry, size)
  if type(entry) ~= "table" or type(entry.shape) ~= "table" or type(entry.data_offsets) ~= "table" then
    return nil, "its entry is broken"
  end
  local kind = DTYPES[entry.dtype]
  if not kind then
    return nil, ("the type %s is not read (there are %s)"):format(tostring(entry.dtype), names_of(DTYPES))
  end
  if #entry.shape > 4 then return nil, ("%d axes, an array has at most 4"):format(#entry.shape) end
  for _, n in ipairs(entry.shape) do
    if type(n) ~= "number" then return nil, "its shape is broken" end
  end
  local from, to, count = entry.data_offsets[1], entry.data_offsets[2], product(entry.shape)
  if type(from) ~= "number" or type(to) ~= "number" or #entry.data_offsets ~= 2 or from > to or to > size then
    return nil, "its data are not in the file"
  end
  if not count or count * SIZES[kind] ~= to - from then return nil, "its shape and its data differ in size" end
  return kind, entry.shape, from
end

--- lstm.safetensors(path): the tensors of a file, {name = array}, and its metadata, a table of strings. F32 (and F16,
-- BF16, F64 as float32), I32 (and I64 where it fits) and U8. A single number is an array [1].
-- Returns nil, message, status for a file that cannot be read or is not right.
function files.safetensors(path)
  check_path(path, "safetensors")
  local function bad(message) return nil, path .. ": " .. message, "format" end
  local bytes, message, status = core.file_size(path)
  if not bytes then return nil, message, status end
  local length = 0
  for k, byte in ipairs{(core.read_bytes(path, 0, math.min(bytes, 8)) or ""):byte(1, 8)} do
    length = length + byte * 256 ^ (k - 1)
  end
  if bytes < 8 or length > bytes - 8 or length > 100e6 then return bad "this is no .safetensors file" end
  local header = parse_json(core.read_bytes(path, 8, length) or "")
  if not header then return bad "the header is broken" end
  local metadata, tensors, read = header.__metadata__ or {}, {}, 0
  header.__metadata__ = nil
  if type(metadata) ~= "table" then return bad "the header is broken" end
  for name, entry in pairs(header) do
    local kind, shape, from = check_tensor(entry, bytes - 8 - length)
    if not kind then return bad(("tensor %s: %s"):format(name, shape)) end
    read = read + entry.data_offsets[2] - from
  end
  if read > bytes - 8 - length then return bad "tensors overlap" end
  for name, entry in pairs(header) do
    local kind, shape, from = check_tensor(entry, bytes - 8 - length)
    tensors[name], message, status = read_part(path, 8 + length + from, kind, shape, "tensor " .. name .. ": ")
    if not tensors[name] then return nil, message, status end
  end
  return tensors, metadata
end

return files
