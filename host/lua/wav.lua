-- wav.lua: sound in WAV files (RIFF, little-endian). The samples go from file to array in C; here is what stands around
-- them. Nothing that a file says of sizes is believed before it is compared with the file.

local core = require "lstm.core"
local options = require "lstm.options"

local wav = {}

local MOST_RATE = 10000000

-- What read_array calls the samples, by format and bits; and formats that are known by name only.
local KINDS = {["1 8"] = "p8", ["1 16"] = "p16", ["1 24"] = "p24", ["1 32"] = "p32", ["3 32"] = "f4", ["3 64"] = "f8"}
local OTHERS = {[2] = "ADPCM", [6] = "A-law", [7] = "mu-law", [17] = "IMA ADPCM", [80] = "MPEG", [85] = "MP3"}
local PCM, FLOAT, EXTENSIBLE = 1, 3, 65534
local GUID_END = "\0\0\0\0\16\0\128\0\0\170\0\56\155\113"   -- of a format's number as a GUID

-- n bytes of a string from place i as a whole number, and the reverse.
local function number(text, i, n)
  local value = 0
  for k = i + n - 1, i, -1 do value = value * 256 + text:byte(k) end
  return value
end

local function bytes_of(value, n)
  local list = {}
  for k = 1, n do
    list[k] = string.char(value % 256)
    value = math.floor(value / 256)
  end
  return table.concat(list)
end

-- The sound's format from the chunk "fmt ": {kind =, channels =, rate =, frame = (bytes)}; or nil, what is wrong.
local function format_of(chunk)
  if #chunk < 16 then return nil, "the format is cut short" end
  local tag, channels, rate = number(chunk, 1, 2), number(chunk, 3, 2), number(chunk, 5, 4)
  local frame, bits = number(chunk, 13, 2), number(chunk, 15, 2)
  if tag == EXTENSIBLE then
    if #chunk < 40 or chunk:sub(27, 40) ~= GUID_END then return nil, "the extensible format is unknown" end
    tag = number(chunk, 25, 2)
  end
  local kind = KINDS[tag .. " " .. bits]
  if not kind then
    return nil, ("%s of %d bits is not read (there are PCM of 8, 16, 24 and 32 bits and float of 32 and 64)"):format(
      tag == PCM and "PCM" or tag == FLOAT and "float" or OTHERS[tag] or "format " .. tag, bits)
  end
  if channels < 1 then return nil, "there are no channels" end
  if rate < 1 or rate > MOST_RATE then
    return nil, ("the rate is %.0f samples per second, 1 to %d are read"):format(rate, MOST_RATE)
  end
  if frame ~= channels * bits / 8 then
    return nil, ("%d channels of %d bits are not %d bytes"):format(channels, bits, frame)
  end
  return {kind = kind, channels = channels, rate = rate, frame = frame}
end

-- Walks the chunks: the format, and where its samples are: first byte, bytes; or nil, what is wrong.
local function find_sound(path, size)
  local format, why
  local start = core.read_bytes(path, 0, math.min(size, 12)) or ""
  if #start < 12 or start:sub(9) ~= "WAVE" or not start:find("^RIF[FX]") and not start:find("^RF64") then
    return nil, "this is no WAV file"
  end
  if start:sub(1, 4) ~= "RIFF" then return nil, start:sub(1, 4) .. " is not read, only RIFF" end
  local stop = number(start, 5, 4) + 8
  if stop > size then return nil, ("the file has %.0f bytes, its header says %.0f"):format(size, stop) end
  local at = 12
  while at + 8 <= stop do
    local head = core.read_bytes(path, at, 8) or ""
    if #head < 8 then break end                      -- the file became shorter
    local id, length = head:sub(1, 4), number(head, 5, 4)
    at = at + 8
    if length > stop - at then
      return nil, ('the chunk "%s" has %.0f bytes, but there are only %.0f'):format(id:gsub("[^ -~]", "?"), length,
        stop - at)
    end
    if id == "data" then
      if not format then return nil, "there is no format before the sound" end
      return format, at, length
    end
    if id == "fmt " then
      format, why = format_of(core.read_bytes(path, at, math.min(length, 40)) or "")
      if not format then return nil, why end
    end
    at = at + length + length % 2
  end
  return nil, "there is no sound in it"
end

--- lstm.wav(path): the sound in a WAV file, a float32 array [frames][channels] between -1 and 1, and its rate, in
-- samples per second. PCM of 8, 16, 24 or 32 bits is divided by 2^(bits - 1) (of 32 bits a float32 keeps 24); float of
-- 32 or 64 bits comes as it is. Other chunks are skipped.
-- Returns nil, message, status for a file that cannot be read or is not right.
function wav.read(path)
  if type(path) ~= "string" then core.raise("wav: the path must be a string, got " .. options.show(path)) end
  local size, message, status = core.file_size(path)
  if not size then return nil, message, status end
  local format, at, length = find_sound(path, size)
  if format and length % format.frame ~= 0 then
    format, at = nil, ("%.0f bytes of sound are no whole frames of %d"):format(length, format.frame)
  end
  if not format then return nil, path .. ": " .. at, "format" end
  if length == 0 then return core.zeros{0, format.channels}, format.rate end
  local sound
  sound, message, status = core.read_array(path, at, format.kind, {length / format.frame, format.channels})
  if not sound then return nil, status == "format" and path .. ": " .. message or message, status end
  return sound, format.rate
end

--- lstm.writewav(path, array, rate [, {bits = 16}]): a WAV file of sound, [frames] or [frames][channels]. bits 8, 16 or
-- 24: PCM, each sample x 2^(bits - 1) rounded to the nearest, without dither; what is beyond -1 and 1 is cut off, NaN
-- is 0. bits 32: float, as it is. Returns true, or nil, message, status.
function wav.write(path, array, rate, opts)
  if type(path) ~= "string" then core.raise("writewav: the path must be a string, got " .. options.show(path)) end
  if not core.is_array(array) or array:kind() ~= "float32" or select("#", array:shape()) > 2 then
    core.raise("writewav: an array of float32 [frames] or [frames][channels] is needed, got " .. options.show(array))
  end
  local checked, wanted = options.value(rate, {type = "integer", min = 1, max = MOST_RATE})
  if not checked then
    core.raise(("writewav: the rate must be %s, got %s"):format(wanted, options.show(rate)))
  end
  opts = options.check(opts, {bits = {type = "integer", default = 16}}, "writewav")
  local bits, frames, channels = opts.bits, array:shape()
  channels = channels or 1
  if bits ~= 8 and bits ~= 16 and bits ~= 24 and bits ~= 32 then
    core.raise(("writewav: bits must be 8, 16, 24 or 32, got %d"):format(bits))
  end
  local frame = channels * bits / 8
  local length = frames * frame
  if channels < 1 or frame > 65535 or length > 4294967295 - 58 then
    core.raise(("writewav: [%d][%d] is not what a WAV file can hold"):format(frames, channels))
  end
  local float = bits == 32
  local format = bytes_of(float and FLOAT or PCM, 2) .. bytes_of(channels, 2) .. bytes_of(rate, 4) ..
    bytes_of(rate * frame % 4294967296, 4) .. bytes_of(frame, 2) .. bytes_of(bits, 2)
  local chunks = "WAVEfmt " .. (float and "\18\0\0\0" .. format .. "\0\0fact\4\0\0\0" .. bytes_of(frames, 4)
    or "\16\0\0\0" .. format) .. "data" .. bytes_of(length, 4)
  return core.write_array(path, "RIFF" .. bytes_of(#chunks + length + length % 2, 4) .. chunks, array,
    not float and bits / 8 or nil)
end

return wav
